/* Counter-based random numbers: Philox 4x32-10.
 * Source: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
 * doi:10.1145/2063384.2063405. The normal quantile is Wichura's PPND16: Applied Statistics 37
 * (1988), 477-484, algorithm AS 241, relative error about 1e-16.
 *
 * Key: the seed. Counter: words 0 and 1 the block, words 2 and 3 the stream's salt. A 64-bit number
 * of index i is half i mod 2 of block floor(i / 2); so one stream serves numbers or blocks, not
 * both. */
#include "base/base.h"

#include <math.h>
#include <string.h>

void lode_i_random_block(lode_stream s, uint64_t index, uint32_t word[4])
{
    uint32_t k0 = s.key[0], k1 = s.key[1];
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = s.salt[0], c3 = s.salt[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = UINT64_C(0xD2511F53) * c0, p1 = UINT64_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += UINT32_C(0x9E3779B9);
        k1 += UINT32_C(0xBB67AE85);
    }
    word[0] = c0, word[1] = c1, word[2] = c2, word[3] = c3;
}

lode_stream lode_i_stream(const lode_ctx *ctx, const char *op, uint64_t site)
{
    const uint64_t salt = lode_i_checksum(op, strlen(op), site);
    return (lode_stream){ { (uint32_t)ctx->seed, (uint32_t)(ctx->seed >> 32) },
                          { (uint32_t)salt, (uint32_t)(salt >> 32) } };
}

uint64_t lode_i_random_u64(lode_stream s, uint64_t index)
{
    uint32_t w[4];
    lode_i_random_block(s, index >> 1, w);
    return index & 1 ? w[2] | (uint64_t)w[3] << 32 : w[0] | (uint64_t)w[1] << 32;
}

double lode_i_random_uniform(lode_stream s, uint64_t index)
{
    return (double)(lode_i_random_u64(s, index) >> 11) * 0x1p-53;
}

/* Quotient of two polynomials of degree 7, coefficients from the constant term up. */
static double ratio(const double a[8], const double b[8], double x)
{
    double p = a[7], q = b[7];
    for (int i = 6; i >= 0; i--) {
        p = p * x + a[i];
        q = q * x + b[i];
    }
    return p / q;
}

/* Minus the quantile of a probability 0 < p <= 1/2: the result is >= 0. */
static double upper_quantile(double p)
{
    static const double a[] = { 3.3871328727963666080e0, 1.3314166789178437745e2,
                                1.9715909503065514427e3, 1.3731693765509461125e4,
                                4.5921953931549871457e4, 6.7265770927008700853e4,
                                3.3430575583588128105e4, 2.5090809287301226727e3 };
    static const double b[] = { 1,
                                4.2313330701600911252e1,
                                6.8718700749205790830e2,
                                5.3941960214247511077e3,
                                2.1213794301586595867e4,
                                3.9307895800092710610e4,
                                2.8729085735721942674e4,
                                5.2264952788528545610e3 };
    static const double c[] = { 1.42343711074968357734e0,  4.63033784615654529590e0,
                                5.76949722146069140550e0,  3.64784832476320460504e0,
                                1.27045825245236838258e0,  2.41780725177450611770e-1,
                                2.27238449892691845833e-2, 7.74545014278341407640e-4 };
    static const double d[] = { 1,
                                2.05319162663775882187e0,
                                1.67638483018380384940e0,
                                6.89767334985100004550e-1,
                                1.48103976427480074590e-1,
                                1.51986665636164571966e-2,
                                5.47593808499534494600e-4,
                                1.05075007164441684324e-9 };
    static const double e[] = { 6.65790464350110377720e0,  5.46378491116411436990e0,
                                1.78482653991729133580e0,  2.96560571828504891230e-1,
                                2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                2.71155556874348757815e-5, 2.01033439929228813265e-7 };
    static const double f[] = { 1,
                                5.99832206555887937690e-1,
                                1.36929880922735805310e-1,
                                1.48753612908506148525e-2,
                                7.86869131145613259100e-4,
                                1.84631831751005468180e-5,
                                1.42151175831644588870e-7,
                                2.04426310338993978564e-15 };
    const double q = 0.5 - p;
    if (q <= 0.425)
        return q * ratio(a, b, 0.180625 - q * q);
    const double r = sqrt(-log(p));
    return r <= 5 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5);
}

/* The top bit is the sign, the other 63 the tail probability: symmetric, and out to 9
 * deviations. */
double lode_i_random_normal(lode_stream s, uint64_t index)
{
    const uint64_t u = lode_i_random_u64(s, index);
    const double x = upper_quantile(((double)(u & (UINT64_MAX >> 1)) + 0.5) * 0x1p-64);
    return u >> 63 ? -x : x;
}

/* floor(u n / 2^64): no n's outcome is favoured by more than n / 2^64. */
uint64_t lode_i_random_below(lode_stream s, uint64_t index, uint64_t n)
{
    const uint64_t u = lode_i_random_u64(s, index);
    const uint64_t u0 = u & UINT32_MAX, u1 = u >> 32, n0 = n & UINT32_MAX, n1 = n >> 32;
    const uint64_t middle = u1 * n0 + (u0 * n0 >> 32), low = u0 * n1 + (middle & UINT32_MAX);
    return u1 * n1 + (middle >> 32) + (low >> 32);
}
