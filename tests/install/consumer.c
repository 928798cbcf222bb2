/* What a program outside the project writes: compiled and run against the installed library by
 * install.sh. */
#include <lode/lode.h>
#include <stdio.h>

int main(void)
{
    lode_ctx ctx;
    lode_array x = { 0 };
    lode_comparison c;
    lode_make_opts o = lode_make_defaults();
    lode_compare_opts p = lode_compare_defaults();
    if (lode_ctx_init(&ctx, NULL) < 0)
        return 1;
    if (lode_make(&ctx, &o, "lowrank", &x, NULL) < 0 ||
        lode_compare(&ctx, &p, lode_from_array(&x), lode_from_array(&x), &c) < 0)
        fprintf(stderr, "%s\n", lode_message(&ctx));
    else
        printf("lode %s: error %g over %lld values\n", lode_version(), c.relative,
               (long long)c.compared);
    lode_array_free(&x);
    lode_ctx_free(&ctx);
    return 0;
}
