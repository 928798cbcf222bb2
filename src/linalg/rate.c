/* How fast products are on this machine, for plans: one small product timed once a process and
 * type. */
#include "linalg/linalg.h"

#include <stdatomic.h>

double lode_i_gemm_rate(lode_ctx *ctx, lode_dtype dtype)
{
    static _Atomic double rates[4]; /* a memory of the machine, not of any call: plans only */
    const lode_dtype t = lode_i_arith(dtype);
    _Atomic double *rate = &rates[(lode_i_is_single(t) ? 0 : 1) + (lode_i_is_complex(t) ? 2 : 0)];
    double known = atomic_load_explicit(rate, memory_order_relaxed);
    if (known <= 0) {
        const int64_t n = 256;
        lode_ctx one = *ctx;
        lode_array a = { 0 }, c = { 0 };
        double best = 0;
        one.threads = 1;
        if (lode_array_zeros(&one, t, 2, (const int64_t[]){ n, n }, &a) == LODE_OK)
            for (int i = 0; i < 3; i++) { /* the first one also touches memory */
                const double start = lode_i_seconds();
                if (lode_i_gemm(&one, LODE_N, LODE_N, &a, &a, &c) < 0)
                    break;
                const double seconds = lode_i_seconds() - start;
                const double flops = 2.0 * (double)(n * n * n) * (lode_i_is_complex(t) ? 4 : 1);
                if (seconds > 0 && flops / seconds > best)
                    best = flops / seconds;
            }
        LODE_FREE(&a, &c);
        known = best > 0 ? best : 1e9;
        atomic_store_explicit(rate, known, memory_order_relaxed);
    }
    return known * lode_ctx_threads(ctx);
}
