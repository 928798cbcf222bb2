/* The smallest core for an error: against orthogonal iteration at every tuple of ranks. */
#include "linop/tensors.h"

#include "linop/tucker.h"

static lode_ctx ctx;

static int setup(void **state)
{
    (void)state;
    if (lode_ctx_init(&ctx, NULL) < 0)
        return -1;
    ctx.threads = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lode_ctx_free(&ctx);
    return 0;
}

/* Entry i_k of each mode k times (i_k + 1)^-decay, in random bases of the modes. */
static lode_array decaying(lode_dtype t, const int64_t *shape, double decay, uint64_t seed)
{
    lode_array x = tensor_normal(&ctx, t, 3, shape, seed), y = { 0 }, Q = { 0 };
    for (int k = 0; k < 3; k++) {
        Q = tensor_normal(&ctx, t, 2, (const int64_t[]){ shape[k], shape[k] },
                          10 * seed + (uint64_t)k);
        assert_ok(&ctx, lode_i_orth(&ctx, &Q, NULL));
        lode_array scale = { 0 };
        assert_ok(&ctx, lode_i_vector_new(&ctx, lode_i_real_of(t), shape[k], &scale));
        for (int64_t i = 0; i < shape[k]; i++)
            lode_i_set1(&scale, i, pow((double)(i + 1), -decay));
        assert_ok(&ctx, lode_i_scale_cols(&ctx, &Q, &scale));
        assert_ok(&ctx, lode_i_ttm(&ctx, &x, k, LODE_N, &Q, &y));
        lode_array_swap(&x, &y);
        LODE_FREE(&y, &Q, &scale);
    }
    return x;
}

static double decompose(const lode_array *X, const lode_sthosvd_opts *o, int64_t *entries)
{
    lode_array core = { 0 }, U[LODE_MAX_NDIM] = { { 0 } };
    lode_sthosvd_info info;
    assert_ok(&ctx, lode_i_sthosvd(&ctx, lode_from_array(X), o, &core, U, &info));
    *entries = lode_array_size(&core);
    for (int k = 0; k < X->ndim; k++) {
        assert_le(off_orthonormal(&U[k]), 1e-12);
        lode_array_free(&U[k]);
    }
    lode_array_free(&core);
    return info.error / info.norm;
}

/* Fewest entries of a core that orthogonal iteration brings to the error. */
static int64_t brute_force(const lode_array *X, double error)
{
    lode_sthosvd_opts o = { .op = "test", .name = "X", .ranks = 3, .sweeps = 30, .tol = 1e-6 };
    int64_t least = lode_array_size(X), entries;
    for (o.rank[0] = 1; o.rank[0] <= X->shape[0]; o.rank[0]++)
        for (o.rank[1] = 1; o.rank[1] <= X->shape[1]; o.rank[1]++)
            for (o.rank[2] = 1; o.rank[2] <= X->shape[2]; o.rank[2]++)
                if (o.rank[0] * o.rank[1] * o.rank[2] < least &&
                    decompose(X, &o, &entries) <= error)
                    least = entries;
    return least;
}

static void cores_are_as_small_as_brute_force_finds(void **state)
{
    (void)state;
    static const double errors[] = { 0.5, 0.3, 0.1 }, decays[] = { 0.5, 1 };
    const int64_t shape[] = { 5, 6, 4 };
    for (uint64_t seed = 0; seed < 6; seed++) {
        lode_array X = decaying(seed % 3 == 2 ? LODE_C128 : LODE_F64, shape, decays[seed % 2],
                                seed);
        const double error = errors[seed % 3];
        const lode_sthosvd_opts o = { .op = "test", .name = "X", .error = error };
        int64_t entries;
        assert_le(decompose(&X, &o, &entries), error);
        assert_le((double)entries, 1.1 * (double)brute_force(&X, error));
        lode_array_free(&X);
    }
}

/* From any amount of work: fewer entries than the ranks given, within what may be left out. */
static void a_trim_keeps_what_it_promises(void **state)
{
    (void)state;
    const int64_t shape[] = { 6, 7, 8 }, cap[] = { 6, 7, 8 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        lode_array X = decaying(LODE_F64, shape, 0.5, seed), core = lode_array_ref(&X), y = { 0 };
        lode_array U[LODE_MAX_NDIM] = { { 0 } };
        for (int k = 0; k < 3; k++) {
            U[k] = tensor_normal(&ctx, LODE_F64, 2, (const int64_t[]){ shape[k], shape[k] },
                                 seed + (uint64_t)k);
            assert_ok(&ctx, lode_i_orth(&ctx, &U[k], NULL));
            assert_ok(&ctx, lode_i_ttm(&ctx, &core, k, LODE_T, &U[k], &y));
            lode_array_swap(&core, &y);
            lode_array_free(&y);
        }
        const double norm = tensor_norm(&X), allowed = 0.16 * norm * norm;
        const int64_t rank[] = { 6, 6, 6 };
        for (double work = 0; work <= 1e7; work = work > 0 ? 100 * work : 1e3) {
            bool trimmed = true;
            assert_ok(&ctx, lode_i_tucker_trim(&ctx, allowed, cap, rank, work, &core, U, &trimmed));
            assert_true(trimmed || work < 1e7);
            assert_true(!trimmed || lode_array_size(&core) < 6 * 6 * 6);
            assert_le(pow(naive_residual(&X, &core, U), 2), allowed * (1 + 1e-9));
            if (trimmed)
                break;
        }
        for (int k = 0; k < 3; k++)
            lode_array_free(&U[k]);
        LODE_FREE(&X, &core);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cores_are_as_small_as_brute_force_finds),
        cmocka_unit_test(a_trim_keeps_what_it_promises),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
