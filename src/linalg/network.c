/* Contraction of a network: its order, then one product of matrices a pair of tensors. The larger one of a
 * pair is not moved where what is summed over are neighbouring axes of it. */
#include "linalg/network.h"

#include <math.h>
#include <string.h>

/* ---- tensors with names ---- */

void lode_i_labelled_free(lode_i_labelled *t)
{
    lode_array_free(&t->a);
    *t = (lode_i_labelled){ 0 };
}

double lode_i_labelled_size(const lode_i_labelled *t)
{
    double size = 1;
    for (int i = 0; i < t->n; i++)
        size *= (double)t->size[i];
    return size;
}

void lode_i_label_shape(int ndim, const int64_t *shape, const int *keys, lode_i_labelled *t)
{
    *t = (lode_i_labelled){ 0 };
    for (int i = 0; i < ndim; i++)
        if (shape[i] != 1)
            t->key[t->n] = keys[i], t->size[t->n++] = shape[i];
}

/* As an array of one axis where nothing is left. */
static lode_status shaped(lode_ctx *ctx, const lode_array *a, const lode_i_labelled *t,
                          lode_array *out)
{
    static const int64_t one[1] = { 1 };
    return lode_array_reshape(ctx, a, t->n ? t->n : 1, t->n ? t->size : one, out);
}

lode_status lode_i_label(lode_ctx *ctx, const lode_array *a, const int *keys, lode_i_labelled *t)
{
    lode_i_label_shape(a->ndim, a->shape, keys, t);
    return a->data ? shaped(ctx, a, t, &t->a) : LODE_OK;
}

static int find(const lode_i_labelled *t, int key)
{
    for (int i = 0; i < t->n; i++)
        if (t->key[i] == key)
            return i;
    return -1;
}

lode_status lode_i_arrange(lode_ctx *ctx, const lode_i_labelled *t, int n, const int *keys,
                           lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array moved = { 0 }, whole = { 0 }, y = { 0 };
    int axes[LODE_MAX_NDIM], k = 0;
    int64_t shape[LODE_MAX_NDIM];
    for (int i = 0; i < n; i++) {
        const int at = find(t, keys[i]);
        shape[i] = at < 0 ? 1 : t->size[at];
        if (at >= 0)
            axes[k++] = at;
    }
    LODE_REQUIRE(k == t->n, LODE_EINTERNAL, "network: %d of %d axes have a place", k, t->n);
    if (k > 0)
        LODE_TRY(lode_array_permute(ctx, &t->a, axes, &moved));
    else
        moved = lode_array_ref(&t->a);
    LODE_TRY(lode_i_as(ctx, &moved, t->a.dtype, &whole));
    LODE_TRY(lode_array_reshape(ctx, &whole, n, shape, &y));
    lode_array_swap(out, &y);
done:
    LODE_FREE(&moved, &whole, &y);
    return st;
}

/* ---- the order ---- */

typedef struct problem {
    int terms, indices;
    int key[LODE_I_INDICES];
    double size[LODE_I_INDICES];
    uint64_t set[2 * LODE_I_TERMS]; /* indices of terms and results */
} problem;

static lode_status pose(lode_ctx *ctx, int terms, const lode_i_labelled *t, problem *p)
{
    int seen[LODE_I_INDICES] = { 0 };
    *p = (problem){ .terms = terms };
    if (terms < 1 || terms > LODE_I_TERMS)
        return lode_i_fail(ctx, LODE_EUSAGE, "network: %d tensors; 1 to %d can be multiplied",
                           terms, LODE_I_TERMS);
    for (int i = 0; i < terms; i++)
        for (int j = 0; j < t[i].n; j++) {
            int k = 0;
            while (k < p->indices && p->key[k] != t[i].key[j])
                k++;
            if (k == LODE_I_INDICES)
                return lode_i_fail(ctx, LODE_EUSAGE, "network: more than %d indices",
                                   LODE_I_INDICES);
            if (k == p->indices)
                p->key[k] = t[i].key[j], p->size[k] = (double)t[i].size[j], p->indices++;
            if (++seen[k] > 2 || (int64_t)p->size[k] != t[i].size[j])
                return lode_i_fail(ctx, LODE_EUSAGE,
                                   "network: index %d joins three tensors, or unequal axes",
                                   p->key[k]);
            p->set[i] |= UINT64_C(1) << k;
        }
    return LODE_OK;
}

static double size_of(const problem *p, uint64_t set)
{
    double size = 1;
    for (int k = 0; k < p->indices; k++)
        size *= (set >> k) & 1 ? p->size[k] : 1;
    return size;
}

/* What is known of a subset of the terms. */
typedef struct state {
    double size, flops, peak;
    uint32_t part; /* one of the two subsets that are joined last, which is computed first */
} state;

/* Values held while a and then b are computed and joined; single: they are terms, held anyway. */
static double peak_of(const state *a, bool single_a, const state *b, bool single_b, double size)
{
    const double held_a = single_a ? 0 : a->size, held_b = single_b ? 0 : b->size;
    return fmax(fmax(a->peak, held_a + b->peak), held_a + held_b + a->size + b->size + size);
}

static void consider(state *s, uint32_t all, uint32_t part)
{
    const uint32_t rest = all ^ part;
    const bool one = !(part & (part - 1)), other = !(rest & (rest - 1));
    const state *a = &s[part], *b = &s[rest];
    /* indices of either: each of those that stay, and of those summed over, twice in the product */
    const double flops = a->flops + b->flops + 2 * sqrt(a->size * b->size * s[all].size);
    if (flops > s[all].flops * (1 + 1e-12))
        return;
    const double first = peak_of(a, one, b, other, s[all].size),
                 second = peak_of(b, other, a, one, s[all].size), peak = fmin(first, second);
    if (flops < s[all].flops * (1 - 1e-12) || peak < s[all].peak) {
        s[all].flops = flops, s[all].peak = peak;
        s[all].part = first <= second ? part : rest;
    }
}

/* Joins in the order in which they are computed; number of the result. */
static int unfold(const state *s, uint32_t all, lode_i_order *o, int *steps)
{
    if (!(all & (all - 1))) {
        int i = 0;
        while (!(all >> i & 1))
            i++;
        return i;
    }
    const int left = unfold(s, s[all].part, o, steps),
              right = unfold(s, all ^ s[all].part, o, steps);
    o->left[*steps] = left, o->right[*steps] = right;
    return o->terms + (*steps)++;
}

static lode_status best_order(lode_ctx *ctx, const problem *p, lode_i_order *o)
{
    lode_status st = LODE_OK;
    state *s = NULL;
    int steps = 0;
    const uint32_t all = (UINT32_C(1) << p->terms) - 1;
    LODE_TRY(LODE_NEW(ctx, (int64_t)all + 1, &s));
    for (uint32_t set = 1; set <= all; set++) {
        uint64_t indices = 0;
        for (int i = 0; i < p->terms; i++)
            indices ^= set >> i & 1 ? p->set[i] : 0; /* an index of two of them is summed over */
        const bool one = !(set & (set - 1));
        s[set] = (state){ .size = size_of(p, indices), .flops = one ? 0 : INFINITY };
        const uint32_t lowest = set & (~set + 1);
        for (uint32_t part = (set - 1) & set; part && !one; part = (part - 1) & set)
            if (part & lowest)
                consider(s, set, part);
    }
    unfold(s, all, o, &steps);
    o->flops = s[all].flops, o->peak = s[all].peak;
done:
    lode_i_free(s);
    return st;
}

/* The pair whose product is smallest against what it replaces, again and again. */
static void greedy_order(problem *p, lode_i_order *o)
{
    bool gone[2 * LODE_I_TERMS] = { false };
    double held = 0;
    for (int step = 0; step + 1 < p->terms; step++) {
        const int count = p->terms + step;
        double least = INFINITY;
        for (int a = 0; a < count; a++)
            for (int b = a + 1; b < count && !gone[a]; b++) {
                const double gain = gone[b] ? INFINITY
                                            : size_of(p, p->set[a] ^ p->set[b]) -
                                                  size_of(p, p->set[a]) - size_of(p, p->set[b]);
                if (gain < least)
                    least = gain, o->left[step] = a, o->right[step] = b;
            }
        const int a = o->left[step], b = o->right[step];
        const double sa = size_of(p, p->set[a]), sb = size_of(p, p->set[b]);
        p->set[count] = p->set[a] ^ p->set[b];
        const double size = size_of(p, p->set[count]);
        o->flops += 2 * size_of(p, p->set[a] | p->set[b]);
        o->peak = fmax(o->peak, held + sa + sb + size);
        held += size - (a < p->terms ? 0 : sa) - (b < p->terms ? 0 : sb);
        gone[a] = gone[b] = true;
    }
}

static lode_status order_of(lode_ctx *ctx, problem *p, lode_i_order *o)
{
    *o = (lode_i_order){ .terms = p->terms };
    if (p->terms == 1)
        return LODE_OK;
    if (p->terms <= LODE_I_EXACT_TERMS)
        return best_order(ctx, p, o);
    greedy_order(p, o);
    return LODE_OK;
}

lode_status lode_i_network_order(lode_ctx *ctx, int terms, const lode_i_labelled *t,
                                 lode_i_order *o)
{
    problem p;
    LODE_FORWARD(pose(ctx, terms, t, &p));
    return order_of(ctx, &p, o);
}

/* ---- a pair ---- */

/* Axes of A that B has, in A's order, and where B has them; then those that it has not. */
typedef struct pairing {
    int shared, free_a, free_b;
    int in_a[LODE_MAX_NDIM], in_b[LODE_MAX_NDIM]; /* shared ones */
    int of_a[LODE_MAX_NDIM], of_b[LODE_MAX_NDIM]; /* free ones */
    int64_t n, m, r; /* values over the shared axes, over the free ones of A, of B */
} pairing;

static pairing pair_up(const lode_i_labelled *A, const lode_i_labelled *B)
{
    pairing p = { .n = 1, .m = 1, .r = 1 };
    for (int i = 0; i < A->n; i++) {
        const int at = find(B, A->key[i]);
        if (at >= 0) {
            p.in_a[p.shared] = i, p.in_b[p.shared++] = at;
            p.n *= A->size[i];
        } else {
            p.of_a[p.free_a++] = i, p.m *= A->size[i];
        }
    }
    for (int i = 0; i < B->n; i++)
        if (find(A, B->key[i]) < 0)
            p.of_b[p.free_b++] = i, p.r *= B->size[i];
    return p;
}

/* The tensor as a matrix: a view where its strides allow. */
static lode_status matrix_of(lode_ctx *ctx, const lode_i_labelled *t, const int *rows, int nrows,
                             const int *cols, int ncols, int64_t m, int64_t n, lode_array *out)
{
    lode_status st = LODE_OK;
    lode_array moved = { 0 };
    int axes[LODE_MAX_NDIM];
    for (int i = 0; i < nrows; i++)
        axes[i] = rows[i];
    for (int i = 0; i < ncols; i++)
        axes[nrows + i] = cols[i];
    if (t->n > 0)
        LODE_TRY(lode_array_permute(ctx, &t->a, axes, &moved));
    else
        moved = lode_array_ref(&t->a);
    LODE_TRY(lode_array_reshape(ctx, &moved, 2, (const int64_t[]){ m, n }, out));
done:
    LODE_FREE(&moved);
    return st;
}

static void name_free(lode_i_labelled *C, const lode_i_labelled *t, const int *axes, int from,
                      int to)
{
    for (int i = from; i < to; i++)
        C->key[C->n] = t->key[axes[i]], C->size[C->n++] = t->size[axes[i]];
}

/* Names of the product: free axes of A before position `at`, those of B, the rest of A's. */
static lode_i_labelled names_of(const lode_i_labelled *A, const lode_i_labelled *B,
                                const pairing *p, int at)
{
    lode_i_labelled C = { 0 };
    name_free(&C, A, p->of_a, 0, at);
    name_free(&C, B, p->of_b, 0, p->free_b);
    name_free(&C, A, p->of_a, at, p->free_a);
    return C;
}

/* A is the larger. Its shared axes are neighbours, so that it is seen as left x n x right without moving it;
 * else it becomes m x n. */
static lode_status join(lode_ctx *ctx, const lode_i_labelled *A, const lode_i_labelled *B,
                        lode_i_labelled *out)
{
    lode_status st = LODE_OK;
    lode_array X = { 0 }, M = { 0 }, Y = { 0 };
    const pairing p = pair_up(A, B);
    const int first = p.shared ? p.in_a[0] : A->n;
    const bool run = lode_array_is_contiguous(&A->a) &&
                     (!p.shared || p.in_a[p.shared - 1] - first == p.shared - 1);
    /* where nothing is behind the shared axes, the factor with the lower name comes first: results that stand for
     * a tensor then tend to have its order */
    const bool behind = run && first < p.free_a;
    const bool turn = !behind && p.free_a && p.free_b && B->key[p.of_b[0]] < A->key[p.of_a[0]];
    const int at = behind ? first : turn ? 0 : p.free_a;
    lode_i_labelled C = names_of(A, B, &p, at);
    LODE_REQUIRE(C.n <= LODE_MAX_NDIM, LODE_EUSAGE, "network: a product of more than %d axes",
                 LODE_MAX_NDIM);
    if (A->a.data) {
        LODE_TRY(matrix_of(ctx, B, p.in_b, p.shared, p.of_b, p.free_b, p.n, p.r, &M));
        if (behind) {
            int64_t left = 1;
            for (int i = 0; i < at; i++)
                left *= A->size[p.of_a[i]];
            LODE_TRY(
                lode_array_reshape(ctx, &A->a, 3, (const int64_t[]){ left, p.n, p.m / left }, &X));
            LODE_TRY(lode_i_ttm(ctx, &X, 1, LODE_T, &M, &Y));
        } else {
            LODE_TRY(matrix_of(ctx, A, p.of_a, p.free_a, p.in_a, p.shared, p.m, p.n, &X));
            LODE_TRY(turn ? lode_i_gemm(ctx, LODE_T, LODE_T, &M, &X, &Y)
                          : lode_i_gemm(ctx, LODE_N, LODE_N, &X, &M, &Y));
        }
        LODE_TRY(shaped(ctx, &Y, &C, &C.a));
    }
    lode_i_labelled_free(out);
    *out = C, C = (lode_i_labelled){ 0 };
done:
    lode_i_labelled_free(&C);
    LODE_FREE(&X, &M, &Y);
    return st;
}

lode_status lode_i_network_contract(lode_ctx *ctx, int terms, const lode_i_labelled *t,
                                    lode_i_order *taken, lode_i_labelled *out)
{
    lode_status st = LODE_OK;
    lode_i_labelled made[LODE_I_TERMS] = { { .n = 0 } };
    problem p;
    lode_i_order o;
    LODE_TRY(pose(ctx, terms, t, &p));
    LODE_TRY(order_of(ctx, &p, &o));
    if (terms == 1) {
        made[0] = t[0];
        made[0].a = t[0].a.data ? lode_array_ref(&t[0].a) : (lode_array){ 0 };
    }
    for (int s = 0; s + 1 < terms; s++) {
        const int l = o.left[s], r = o.right[s];
        lode_i_labelled *of_l = l < terms ? NULL : &made[l - terms],
                        *of_r = r < terms ? NULL : &made[r - terms];
        const lode_i_labelled *a = of_l ? of_l : &t[l], *b = of_r ? of_r : &t[r];
        const bool turn = lode_i_labelled_size(a) < lode_i_labelled_size(b);
        LODE_TRY(join(ctx, turn ? b : a, turn ? a : b, &made[s]));
        if (of_l)
            lode_i_labelled_free(of_l);
        if (of_r)
            lode_i_labelled_free(of_r);
    }
    if (taken)
        *taken = o;
    const int last = terms > 1 ? terms - 2 : 0;
    lode_i_labelled_free(out);
    *out = made[last], made[last] = (lode_i_labelled){ 0 };
done:
    for (int i = 0; i < LODE_I_TERMS; i++)
        lode_i_labelled_free(&made[i]);
    return st;
}
