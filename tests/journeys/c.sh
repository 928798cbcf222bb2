# Call Lode from a C program
#
# Wanted: twenty lines of C that factor a matrix I have in memory, compiled as any other library is.
#
# Learned: one header, one pkg-config name. A context holds budget, seed and the last message; options start from their
# defaults; arrays wrap the caller's memory; each call returns a status and, where wanted, a certificate.
cat >factor.c <<'END'
#include <lode/lode.h>
#include <stdio.h>

int main(void)
{
    double values[4][3] = { { 1, 2, 3 }, { 2, 4, 6 }, { 3, 6, 9 }, { 1, 0, 1 } }; /* rank 2 */
    lode_array A = lode_array_wrap(values, LODE_F64, 2, (int64_t[]){ 4, 3 });
    lode_array U = { 0 }, s = { 0 }, V = { 0 };
    lode_certificate cert;
    lode_ctx ctx;
    if (lode_ctx_init(&ctx, NULL) < 0)
        return 1;
    lode_svd_opts o = lode_svd_defaults();
    o.error = lode_error_rel(1e-12);
    const lode_status st = lode_svd(&ctx, &o, lode_from_array(&A), &U, &s, &V, &cert);
    if (st < 0)
        fprintf(stderr, "%s\n", lode_message(&ctx));
    else
        printf("rank %d, relative error %.0e\n", (int)s.shape[0], cert.value);
    lode_array_free(&U), lode_array_free(&s), lode_array_free(&V), lode_ctx_free(&ctx);
    return st < 0;
}
END
# shellcheck disable=SC2046 # flags are a list of words
cc -Wall -Wextra factor.c $(pkg-config --cflags --libs lode) -o factor
./factor | grep 'rank 2, relative error'
