/* Internals of the array layer: owners, element-wise kernels, fixed-order reductions, sources. */
#ifndef LODE_ARRAY_INTERNAL_H
#define LODE_ARRAY_INTERNAL_H

#include "base/base.h"
#include "lode/value.h"

/* Frees any object of the library that it knows: LODE_FREE(&a, &b, ...), up to 16. */
#define LODE_FREE1(p)                                                                              \
    _Generic((p), lode_array *: lode_array_free, lode_sparse *: lode_sparse_free,                      \
        lode_bundle *: lode_bundle_free, lode_source *: lode_source_close,                             \
        struct lode_linop **: lode_i_linop_free_slot)(p);
/* calls the operator's own free; defined in src/linop */
void lode_i_linop_free_slot(struct lode_linop **op);
#define LODE_FREE_N(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, N, ...) N
#define LODE_F1(a) LODE_FREE1(a)
#define LODE_F2(a, ...) LODE_FREE1(a) LODE_F1(__VA_ARGS__)
#define LODE_F3(a, ...) LODE_FREE1(a) LODE_F2(__VA_ARGS__)
#define LODE_F4(a, ...) LODE_FREE1(a) LODE_F3(__VA_ARGS__)
#define LODE_F5(a, ...) LODE_FREE1(a) LODE_F4(__VA_ARGS__)
#define LODE_F6(a, ...) LODE_FREE1(a) LODE_F5(__VA_ARGS__)
#define LODE_F7(a, ...) LODE_FREE1(a) LODE_F6(__VA_ARGS__)
#define LODE_F8(a, ...) LODE_FREE1(a) LODE_F7(__VA_ARGS__)
#define LODE_F9(a, ...) LODE_FREE1(a) LODE_F8(__VA_ARGS__)
#define LODE_F10(a, ...) LODE_FREE1(a) LODE_F9(__VA_ARGS__)
#define LODE_F11(a, ...) LODE_FREE1(a) LODE_F10(__VA_ARGS__)
#define LODE_F12(a, ...) LODE_FREE1(a) LODE_F11(__VA_ARGS__)
#define LODE_F13(a, ...) LODE_FREE1(a) LODE_F12(__VA_ARGS__)
#define LODE_F14(a, ...) LODE_FREE1(a) LODE_F13(__VA_ARGS__)
#define LODE_F15(a, ...) LODE_FREE1(a) LODE_F14(__VA_ARGS__)
#define LODE_F16(a, ...) LODE_FREE1(a) LODE_F15(__VA_ARGS__)
#ifdef __cppcheck__ /* it does not follow _Generic */
void lode_free_any(void *first, ...);
#define LODE_FREE(...) lode_free_any(__VA_ARGS__)
#else
#define LODE_FREE(...)                                                                             \
    do {                                                                                           \
        LODE_FREE_N(__VA_ARGS__, LODE_F16, LODE_F15, LODE_F14, LODE_F13, LODE_F12, LODE_F11,       \
                    LODE_F10, LODE_F9, LODE_F8, LODE_F7, LODE_F6, LODE_F5, LODE_F4, LODE_F3,       \
                    LODE_F2, LODE_F1, 0)                                                           \
        (__VA_ARGS__)                                                                              \
    } while (0)
#endif

/* ---- types ---- */

/** Arithmetic type for a storage type: f64, c64 and c128 stay; every other number becomes f32,
 *  except i32, i64, u32, u64, which become f64. */
lode_dtype lode_i_arith(lode_dtype dtype);
bool lode_i_is_complex(lode_dtype dtype);
lode_dtype lode_i_real_of(lode_dtype dtype); /* c64 -> f32, c128 -> f64 */
bool lode_i_is_single(lode_dtype dtype);     /* f32 or c64 */
double lode_i_epsilon(lode_dtype dtype);     /* of the arithmetic type: 2^-23 or 2^-52 */
/** The power of 2 by which entries of that norm are to be multiplied so that their products and squares
 *  stay in the type; 1: none is needed. */
double lode_i_safe_scale(lode_dtype dtype, double norm);
/** Bytes of rows x cols values (saturates at UINT64_MAX / 4, so that sums of plans cannot wrap). */
uint64_t lode_i_bytes(lode_dtype dtype, int64_t rows, int64_t cols);
/** Turns the bytes of every real number of so many bytes of values, of packed blocks those of the
 *  scale. */
void lode_i_turn_bytes(lode_dtype dtype, void *values, size_t bytes);

/* ---- construction ---- */

lode_status lode_i_matrix_new(lode_ctx *ctx, lode_dtype dtype, int64_t rows, int64_t cols,
                              lode_array *out);
lode_status lode_i_vector_new(lode_ctx *ctx, lode_dtype dtype, int64_t n, lode_array *out);
lode_status lode_i_eye(lode_ctx *ctx, lode_dtype dtype, int64_t n, lode_array *out);
/** Rows, columns [start, stop) of a matrix, as views that hold the owner: free them. */
lode_array lode_i_rows(const lode_array *a, int64_t start, int64_t stop);
lode_array lode_i_cols(const lode_array *a, int64_t start, int64_t stop);
lode_array lode_i_transposed(const lode_array *a);        /* 2-d view; borrowed from a */
lode_array lode_i_column(const lode_array *a, int64_t j); /* a vector; borrowed from a */
/** a itself when contiguous of that type (a reference), else a converted copy. */
lode_status lode_i_as(lode_ctx *ctx, const lode_array *a, lode_dtype dtype, lode_array *out);
/** Rows (axis 0) or columns (axis 1) of a matrix in the order of index, an i64 vector, which may be
 *  shorter; of a CSR matrix, which stays one (columns: each at most once). LODE_EDOMAIN: no such row or
 *  column. */
lode_status lode_i_take(lode_ctx *ctx, const lode_array *a, int axis, const lode_array *index,
                        lode_array *out);
lode_status lode_i_take_csr(lode_ctx *ctx, const lode_sparse *s, int axis, const lode_array *index,
                            lode_sparse *out);
/** Row i of x added to row index[i] of `to`, of the same arithmetic type; index: i64.
 *  Fails only where shapes, types or numbers do not fit. */
lode_status lode_i_add_rows(lode_ctx *ctx, const lode_array *x, const lode_array *index,
                            lode_array *to);
/** Of compressed rows, the columns that have entries (i64, ascending), and the matrix of these alone. */
lode_status lode_i_csr_compact(lode_ctx *ctx, const lode_sparse *s, lode_array *index,
                               lode_array *dense);
/** The diagonal of a CSR matrix, f64 (of a complex one its real parts). */
lode_status lode_i_csr_diagonal(lode_ctx *ctx, const lode_sparse *s, lode_array *out);
/** Random matrices in an arithmetic type; entry (i, j) depends on (stream, i, j) only, not on the
 *  shape. */
lode_status lode_i_randn(lode_ctx *ctx, lode_stream s, lode_dtype dtype, int64_t rows, int64_t cols,
                         lode_array *out);
lode_status lode_i_randsign(lode_ctx *ctx, lode_stream s, lode_dtype dtype, int64_t rows,
                            int64_t cols, lode_array *out);

/* Data pointers: only kernels in array, linalg, code, io may take them. */
static inline void *lode_i_at(const lode_array *a, int64_t offset)
{
    return (char *)a->data +
           offset / lode_dtype_block(a->dtype) * (int64_t)lode_dtype_size(a->dtype);
}
/* Small-array access for ops (s, ranks, labels): checked by asserts, contiguous only. */
double lode_i_get1(const lode_array *a, int64_t i);
void lode_i_set1(lode_array *a, int64_t i, double v);
double lode_i_get2(const lode_array *a, int64_t i, int64_t j);
void lode_i_set2(lode_array *a, int64_t i, int64_t j, double v);

/* Of a matrix, real and imaginary part. */
void lode_i_get_complex(const lode_array *a, int64_t i, int64_t j, double z[2]);
void lode_i_set_complex(lode_array *a, int64_t i, int64_t j, const double z[2]);

/* ---- element-wise, in place, threaded, any strides ---- */

lode_status lode_i_scale(lode_ctx *ctx, double alpha, lode_array *a);
/* y += alpha x */
lode_status lode_i_axpy(lode_ctx *ctx, double alpha, const lode_array *x, lode_array *y);
lode_status lode_i_conj(lode_ctx *ctx, lode_array *a);
/** a[.., j] *= d[j] along the last axis (cols), or a[i, ..] *= d[i] along the first (rows). */
lode_status lode_i_scale_cols(lode_ctx *ctx, lode_array *a, const lode_array *d);
lode_status lode_i_scale_rows(lode_ctx *ctx, lode_array *a, const lode_array *d);
lode_status lode_i_sub_row(lode_ctx *ctx, lode_array *a, const lode_array *row); /* a -= 1 row^T */
lode_status lode_i_fill(lode_ctx *ctx, lode_array *a, double v);

/** Arrays of one shape, contiguous, f32 or f64, as one: of each the share `density` of largest entries is
 *  kept (all that equal the least of them), every place takes the sign of their sum, and the mean of
 *  those that have it. On the calling thread. */
lode_status lode_i_elect(lode_ctx *ctx, const lode_array *a, int count, double density,
                         lode_array *out);

/* ---- reductions: fixed blocks of 2^14 values joined in a fixed tree, f64 inside ---- */

/** Sum in a fixed order: values fill blocks of 2^14, value i of a block goes to lane i mod 8, block
 *         sums
 *  join pairwise like the carries of a binary counter. The bits depend on the values in order and
 *  on nothing else: not on how they were cut into pushes, on threads, or on slabs. { 0 } is the
 *  empty sum. */
#define LODE_SUM_BLOCK 16384
typedef struct lode_sum {
    double lane[8]; /* the block being filled */
    int64_t fill;   /* values in it */
    int64_t blocks; /* whole blocks so far; bit k set: level[k] holds 2^k of them */
    double level[48];
} lode_sum;
void lode_i_sum_push(lode_sum *s, const double *values, int64_t count);
/* the sum of one whole block; legal where fill is 0 */
void lode_i_sum_block(lode_sum *s, double block);
double lode_i_sum_total(const lode_sum *s);

/** sqrt of the sum of |a|^2; survives 1e300 and denormals. NaN and infinities propagate. */
lode_status lode_i_norm_fro(lode_ctx *ctx, const lode_array *a, double *norm);
lode_status lode_i_diff_fro(lode_ctx *ctx, const lode_array *a, const lode_array *b, double *norm);
typedef struct lode_stats {
    /* over finite values (0 when there are none); complex: of |a| */
    double min, max, sum, sumsq, maxabs;
    int64_t count, missing, infinite;  /* finite, NaN, infinite */
    int64_t first_nan, first_infinite; /* flat index; -1: none */
} lode_stats;
lode_status lode_i_stats(lode_ctx *ctx, const lode_array *a, lode_stats *s);
/** The same out of core: start from { 0 }, push the slabs in flat order, any sizes; the result has
 *  the same bits as lode_i_stats of the whole. */
typedef struct lode_stats_run {
    lode_stats so_far; /* without sums; read the result through lode_i_stats_result */
    lode_sum sum, sumsq;
    int64_t seen;
} lode_stats_run;
lode_status lode_i_stats_push(lode_ctx *ctx, lode_stats_run *run, const lode_array *slab);
lode_stats lode_i_stats_result(const lode_stats_run *run);
typedef struct lode_diff {
    double sumsq, maxabs;               /* of a - b where both are finite */
    double ref_sumsq, ref_min, ref_max; /* of a there; complex: min and max of |a| */
    int64_t count, mismatched; /* entries compared; entries not finite in one only, or unlike */
    int64_t at;                /* flat index of maxabs; -1: nothing compared */
} lode_diff;
lode_status lode_i_diff(lode_ctx *ctx, const lode_array *a, const lode_array *b, lode_diff *d);
/** How many values (parts of complex ones) lie more than `bound` apart, where a - b is rounded too:
 *  maxabs may be bound and the truth half an ulp more. NaN does not count. */
lode_status lode_i_diff_beyond(lode_ctx *ctx, const lode_array *a, const lode_array *b,
                               double bound, int64_t *count);
/** The same as lode_i_diff out of core, as lode_i_stats_push. */
typedef struct lode_diff_run {
    lode_diff so_far;
    lode_sum sumsq, ref_sumsq;
    int64_t seen;
} lode_diff_run;
lode_status lode_i_diff_push(lode_ctx *ctx, lode_diff_run *run, const lode_array *a,
                             const lode_array *b);
lode_diff lode_i_diff_result(const lode_diff_run *run);
/** Sums over the entries where x, and y where given, are finite: of x conj(y) (y NULL: of x), of
 *  |x|^2 and |y|^2; how many these are, how many are NaN in one, how many are infinite. */
typedef struct lode_inner {
    double re, im, sumsq, other;
    int64_t count, missing, infinite;
} lode_inner;
lode_status lode_i_inner(lode_ctx *ctx, const lode_array *x, const lode_array *y, lode_inner *sums);
/** Fails with LODE_EDOMAIN naming the first NaN or infinity by its index: "A[3,17] is nan". */
lode_status lode_i_require_finite(lode_ctx *ctx, const lode_array *a, const char *name);
/** |values| ascending, a new f64 vector; without NaN. */
lode_status lode_i_sort_abs(lode_ctx *ctx, const lode_array *a, lode_array *out);
/** The value that a share of n |values| lies below: the floor(share n)-th, from 0; NaN where one is, 0 where
 *  there are none. */
lode_status lode_i_quantile_abs(lode_ctx *ctx, const lode_array *a, double share, double *value);
/** Index of flat position in shape, as "[3,17]". */
void lode_i_print_index(int ndim, const int64_t *shape, int64_t flat, char *text, size_t size);
void lode_i_print_shape(int ndim, const int64_t *shape, char *text, size_t size); /* "3 x 4" */
/** sums[i] += Re of the inner product of row i of X with row i of Y, in f64; sums: f64, one a row. */
lode_status lode_i_row_inner(lode_ctx *ctx, const lode_array *X, const lode_array *Y,
                             lode_array *sums);
/** Where a square matrix (array, source or CSR) is not its own adjoint: entries [i,j] and [j,i], i <= j, with
 *  |a_ij - conj a_ji| > slack. Blocks of a dense one are looked at one after the other; of the first that has
 *  such a pair, its first. Entries must be finite. */
typedef struct lode_i_mismatch {
    bool found;
    int64_t i, j;
    double upper[2], lower[2], off; /* real and imaginary part of the two; how far apart */
} lode_i_mismatch;
lode_status lode_i_hermitian(lode_ctx *ctx, lode_value A, double slack, lode_i_mismatch *m);
/** Column means of a matrix, in f64. */
lode_status lode_i_col_means(lode_ctx *ctx, const lode_array *a, lode_array *mean);
/** Largest |entry| of each column made positive real: signs applied to U's and V's columns alike
 *  (V may be NULL). Ties go to the first. */
lode_status lode_i_canonical_signs(lode_ctx *ctx, lode_array *U, lode_array *V);

/* ---- tensors as matrices: contraction lives in linalg; here only views ---- */

/** The box that begins at `start` and has `count` entries along each axis, `step` apart (NULL: 1), as
 *  a view. */
lode_status lode_i_strided(lode_ctx *ctx, const lode_array *a, const int64_t *start,
                           const int64_t *count, const int64_t *step, lode_array *view);
/** A contiguous tensor seen as left x n x right around axis `mode`. */
void lode_i_split_mode(const lode_array *a, int mode, int64_t *left, int64_t *n, int64_t *right);

/* ---- bundles ---- */

/** lode_bundle_array of a member that may be left out: then *a is NULL. */
lode_status lode_i_bundle_optional(lode_ctx *ctx, const lode_bundle *b, const char *name,
                                   const lode_array **a);
/** Member i of `from` once more, under its name; sources are not kept. */
lode_status lode_i_bundle_ref_member(lode_ctx *ctx, const lode_bundle *from, int64_t i,
                                     lode_bundle *to);
/** lode_bundle_ref with sources, which are lent: `b` must outlive them, and closes them. */
lode_status lode_i_bundle_lend(lode_ctx *ctx, const lode_bundle *b, lode_bundle *out);
/** Member i becomes a source, which is taken over; what it was is freed. */
void lode_i_bundle_put_source(lode_bundle *b, int64_t i, lode_source *s);

/* ---- sources ---- */

/** A source over an array (holds a reference). */
lode_status lode_i_source_from_array(lode_ctx *ctx, const lode_array *a, lode_source *s);
/** A step of a call under a checkpoint: numbers and arrays, kept at a place in the code named by `site`;
 *  key: of what they are made of. */
enum { LODE_I_STEP_ARRAYS = 4 };
typedef struct lode_i_step {
    const char *site;
    uint64_t key;
    double *number;
    int count, n; /* of numbers, of arrays */
    bool middle;  /* stands for work in the middle of the next one that is not */
    lode_array *array[LODE_I_STEP_ARRAYS];
} lode_i_step;
/** found: the step is filled with what an earlier run kept, and nothing has to be done; else it is to be
 *  done and kept. */
lode_status lode_i_restore(lode_ctx *ctx, const lode_i_step *s, bool *found);
lode_status lode_i_keep(lode_ctx *ctx, const lode_i_step *s);
/** A pass whose state is a struct of 64-bit numbers, the same when it goes on from there: restored as it was
 *  kept last, done: at the pass's end. Kept in the middle when that is worth it. */
lode_status lode_i_restore_pass(lode_ctx *ctx, const char *site, void *state, size_t size,
                                bool *done);
lode_status lode_i_keep_pass(lode_ctx *ctx, const char *site, void *state, size_t size, bool done);
/** A key that goes on with words and numbers, or with the values of an array. */
uint64_t lode_i_step_key(uint64_t key, const char *what, const int64_t *numbers, int count);
lode_status lode_i_step_key_array(lode_ctx *ctx, const lode_array *a, uint64_t *key);
/** Rectangle into a new contiguous array of `dtype` (the source's own: s->dtype). */
lode_status lode_i_source_read(lode_ctx *ctx, const lode_source *s, const int64_t *start,
                               const int64_t *count, lode_dtype dtype, lode_array *out);
/** Rows [start, stop) of the first axis. */
lode_status lode_i_source_rows(lode_ctx *ctx, const lode_source *s, int64_t start, int64_t stop,
                               lode_dtype dtype, lode_array *out);
/** Everything; LODE_EBUDGET with the number that would do. */
lode_status lode_i_source_load(lode_ctx *ctx, const lode_source *s, lode_array *out);
/** Rows of the first axis that fit in `bytes`, at least 1, a multiple of the chunk where
 *  possible. */
int64_t lode_i_source_slab(const lode_source *s, uint64_t bytes);
/** A sub-rectangle with steps as a source. Holds nothing: `s` must outlive it. */
lode_status lode_i_source_slice(lode_ctx *ctx, const lode_source *s, int ndim, const int64_t *start,
                                const int64_t *stop, const int64_t *step, const bool *dropped,
                                lode_source *out);
/** The first `lead` axes in C order as rows, the others as columns. Holds nothing: `s` must outlive
 *  it. */
lode_status lode_i_source_matrix(lode_ctx *ctx, const lode_source *s, int lead, lode_source *out);
/** Dense value as a source, whatever it is (borrowed, not closed by the caller when *owned is
 *  false). */
lode_status lode_i_as_source(lode_ctx *ctx, lode_value v, lode_source *s, bool *owned);
/** Dense value as an array of that arithmetic type: reference, conversion or load. */
lode_status lode_i_as_array(lode_ctx *ctx, lode_value v, lode_dtype dtype, lode_array *out);
/** How struct lode_linop (src/linop/linop.h) begins; a test holds it to this. */
typedef struct lode_linop_head {
    int64_t rows, cols;
    lode_dtype dtype;
} lode_linop_head;
/** Y = A X (or A^H X) by the user's function; X and Y contiguous, of its type. */
lode_status lode_i_callback_multiply(lode_ctx *ctx, const lode_callback *c, bool adjoint,
                                     const lode_array *X, lode_array *Y);
/** Type, rank and shape of a dense, sparse, linop or callback value; false when it has none. */
bool lode_i_value_shape(lode_value v, lode_dtype *dtype, int *ndim, int64_t *shape);

#endif
