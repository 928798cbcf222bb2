/* What an operation takes or gives: arrays, sparse arrays, sources, linear operators, callbacks,
 * bundles, text, scalars; and the certificate that travels with a result. */
#ifndef LODE_VALUE_H
#define LODE_VALUE_H

#include "lode/array.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Sparse array. COO: indices nnz x ndim (i64), values nnz. CSR (ndim 2): indptr rows+1, indices
 *  nnz (i64 columns, ascending in a row), values nnz. No duplicates. */
typedef enum lode_layout { LODE_COO, LODE_CSR } lode_layout;
typedef struct lode_sparse {
    lode_layout layout;
    int32_t ndim;
    int64_t shape[LODE_MAX_NDIM];
    lode_array indptr, indices, values;
} lode_sparse;
LODE_API void lode_sparse_free(lode_sparse *s);
LODE_API int64_t lode_sparse_nnz(const lode_sparse *s);
/** Checks sizes, ranges, order and finiteness; LODE_ESHAPE or LODE_EDOMAIN names the first bad
 *  entry. */
LODE_API lode_status lode_sparse_check(lode_ctx *ctx, const lode_sparse *s);
/** CSR with sorted columns; duplicates are an error that names the first (LODE_EDOMAIN). */
LODE_API lode_status lode_sparse_to_csr(lode_ctx *ctx, const lode_sparse *s, lode_sparse *out);
LODE_API lode_status lode_sparse_to_dense(lode_ctx *ctx, const lode_sparse *s, lode_array *out);

/** A dense array that is read by hyper-rectangles: a file's member, a callback. read fills a
 *  contiguous dst of `dtype` with values start[i] .. start[i]+count[i]-1. */
typedef struct lode_source {
    lode_dtype dtype;
    int32_t ndim;
    int64_t shape[LODE_MAX_NDIM];
    int64_t chunk[LODE_MAX_NDIM]; /* preferred read; 0: no preference on that axis */
    bool rewindable;              /* may be read again, in any order */
    bool concurrent;              /* may be read by several threads at once */
    lode_status (*read)(lode_ctx *ctx, const struct lode_source *s, const int64_t *start,
                        const int64_t *count, void *dst);
    void (*close)(void *data); /* NULL: nothing to close */
    void *data;
} lode_source;
LODE_API void lode_source_close(lode_source *s);

/** A matrix known through its products. fn computes, for a block of k columns (row-major, leading
 *  dimensions ldx, ldy, in elements), y = A x (adjoint false) or y = A^H x (true), in dtype. It is
 *  called on the caller's thread only, may not use the context it is called under, and a nonzero
 *  return ends the call with LODE_ECANCEL (cancel) or the status it returns (negative). */
typedef struct lode_callback {
    lode_dtype dtype;
    int64_t rows, cols;
    int (*fn)(void *data, bool adjoint, int64_t k, const void *x, int64_t ldx, void *y,
              int64_t ldy);
    void *data;
} lode_callback;

struct lode_linop; /* linear operator: see lode/linop.h */
struct lode_bundle;

typedef enum lode_kind {
    LODE_NONE,
    LODE_ARRAY,
    LODE_SPARSE,
    LODE_SOURCE,
    LODE_LINOP,
    LODE_CALLBACK,
    LODE_BUNDLE,
    LODE_TEXT,
    LODE_SCALAR
} lode_kind;
#define LODE_KIND_BIT(k) (UINT32_C(1) << (k))
#define LODE_DENSE (LODE_KIND_BIT(LODE_ARRAY) | LODE_KIND_BIT(LODE_SOURCE))
#define LODE_ANY_MATRIX                                                                            \
    (LODE_DENSE | LODE_KIND_BIT(LODE_SPARSE) | LODE_KIND_BIT(LODE_LINOP) |                         \
     LODE_KIND_BIT(LODE_CALLBACK))

typedef struct lode_scalar {
    lode_dtype dtype; /* I64, F64 or C128 */
    int64_t i;
    double re, im;
} lode_scalar;

/** A borrowed value; what it points to must outlive the call it is passed to. */
typedef struct lode_value {
    lode_kind kind;
    union {
        const lode_array *array;
        const lode_sparse *sparse;
        const lode_source *source;
        const struct lode_linop *linop;
        const lode_callback *callback;
        const struct lode_bundle *bundle; /* also a repeated port's items */
        const char *text;
        const lode_scalar *scalar;
    } as;
} lode_value;
LODE_API lode_value lode_none(void);
LODE_API lode_value lode_from_array(const lode_array *a);
LODE_API lode_value lode_from_sparse(const lode_sparse *s);
LODE_API lode_value lode_from_source(const lode_source *s);
LODE_API lode_value lode_from_linop(const struct lode_linop *l);
LODE_API lode_value lode_from_callback(const lode_callback *c);
LODE_API lode_value lode_from_bundle(const struct lode_bundle *b);
LODE_API lode_value lode_from_text(const char *text);
LODE_API lode_value lode_from_scalar(const lode_scalar *s);
LODE_API const char *lode_kind_name(lode_kind kind); /* "array" */

/** What is proved about a result. value is what was reached, not what was asked for. */
typedef enum lode_cert_kind {
    LODE_CERT_NONE,          /* nothing; note says why */
    LODE_CERT_MEASURED,      /* computed on the result itself */
    LODE_CERT_BOUND,         /* a theorem's bound, evaluated */
    LODE_CERT_PROBABILISTIC, /* holds but with probability `failure` */
    LODE_CERT_GAP,           /* duality gap or residual */
    LODE_CERT_HELDOUT,       /* on entries kept back, with interval low..high */
    LODE_CERT_INVARIANCE     /* a property that must hold exactly */
} lode_cert_kind;
typedef enum lode_norm { LODE_NORM_FRO, LODE_NORM_SPECTRAL, LODE_NORM_MAX } lode_norm;
typedef struct lode_certificate {
    lode_cert_kind kind;
    lode_norm norm;
    bool relative;       /* to the same norm of the input (max: to its range) */
    bool needs_original; /* whether checking it again takes the input */
    double value;        /* what was reached */
    double absolute;     /* the same, not relative */
    double asked;        /* the target; NaN: none */
    double failure;      /* probability, for LODE_CERT_PROBABILISTIC */
    double low, high;    /* interval, for LODE_CERT_HELDOUT */
    /* the same error in the other of the norms Frobenius and maximum, absolute; 0: not measured, or
     * none where absolute is 0 */
    double other;
    char quantity[64]; /* "||A - U diag(s) V^H||" */
    char note[128];    /* what bound the result: "rank 20 reached first" */
} lode_certificate;
LODE_API const char *lode_cert_kind_name(lode_cert_kind kind);
LODE_API const char *lode_norm_name(lode_norm norm);
/** One line for people: "relative Frobenius error 9.7e-04 (measured; asked 1e-03)". */
LODE_API void lode_certificate_print(const lode_certificate *c, char *text, size_t size);

/** Where a bundle came from and what it stands for. */
typedef struct lode_meta {
    char op[32];      /* "svd"; "" for a plain file */
    char version[16]; /* of Lode, when it was made */
    char *options;    /* canonical JSON object; NULL: none */
    char *attributes; /* JSON object of the source's names, units, coordinates; NULL */
    /* JSON object: the verb that made it and hashes of what from; NULL: the op, from one input or none,
     * whose hash is below */
    char *made;
    uint64_t seed;
    char input_hash[72];  /* tree hash of the first input, hex; "" unknown */
    uint64_t input_bytes; /* bytes of the first input as stored in memory; 0 unknown */
    bool has_shape;       /* dtype, ndim, shape of what invert gives */
    lode_dtype dtype;
    int32_t ndim;
    int64_t shape[LODE_MAX_NDIM];
} lode_meta;

struct lode_member;
/** An ordered set of named values, owned: a file, a fitted model, a result; a file may hold results,
 *  each a member that is a bundle itself. */
typedef struct lode_bundle {
    int64_t count;
    int64_t capacity;
    struct lode_member *members; /* private; see the functions below */
    lode_meta meta;
    lode_certificate certificate;
} lode_bundle;
LODE_API void lode_bundle_free(lode_bundle *b);
LODE_API void lode_bundle_swap(lode_bundle *a, lode_bundle *b);
LODE_API const char *lode_bundle_name(const lode_bundle *b, int64_t i);
LODE_API lode_value lode_bundle_value(const lode_bundle *b, int64_t i);
/** Value by name; kind LODE_NONE when absent. */
LODE_API lode_value lode_bundle_get(const lode_bundle *b, const char *name);
/** Array by name, or an error that names what is missing (LODE_ENOENT) or of another kind
 *  (LODE_ETYPE). */
LODE_API lode_status lode_bundle_array(lode_ctx *ctx, const lode_bundle *b, const char *name,
                                       const lode_array **a);
/** Adds at the end, taking over what is given (left empty on success, untouched on failure); a name
 *  in use is LODE_EUSAGE. */
LODE_API lode_status lode_bundle_add_array(lode_ctx *ctx, lode_bundle *b, const char *name,
                                           lode_array *a);
LODE_API lode_status lode_bundle_add_sparse(lode_ctx *ctx, lode_bundle *b, const char *name,
                                            lode_sparse *s);
LODE_API lode_status lode_bundle_add_source(lode_ctx *ctx, lode_bundle *b, const char *name,
                                            lode_source *s);
LODE_API lode_status lode_bundle_add_bundle(lode_ctx *ctx, lode_bundle *b, const char *name,
                                            lode_bundle *inner);
LODE_API lode_status lode_bundle_add_text(lode_ctx *ctx, lode_bundle *b, const char *name,
                                          const char *text);
LODE_API lode_status lode_bundle_add_i64(lode_ctx *ctx, lode_bundle *b, const char *name,
                                         int64_t v);
LODE_API lode_status lode_bundle_add_f64(lode_ctx *ctx, lode_bundle *b, const char *name, double v);
/** Scalars back; text members: lode_bundle_get(...).as.text. Errors as lode_bundle_array. */
LODE_API lode_status lode_bundle_i64(lode_ctx *ctx, const lode_bundle *b, const char *name,
                                     int64_t *v);
LODE_API lode_status lode_bundle_f64(lode_ctx *ctx, const lode_bundle *b, const char *name,
                                     double *v);
/** A bundle that views the same values (arrays referenced, others copied). Sources are not kept. */
LODE_API lode_status lode_bundle_ref(lode_ctx *ctx, const lode_bundle *b, lode_bundle *out);

#ifdef __cplusplus
}
#endif
#endif
