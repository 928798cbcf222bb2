/* Arrays: n-dimensional, row-major with strides, as in NumPy and DLPack. */
#ifndef LODE_ARRAY_H
#define LODE_ARRAY_H

#include "lode/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Storage types. Arithmetic runs in f32, f64, c64, c128; labels, masks, indices and exact integers
 *  keep their type. Q8 and Q4 hold blocks of 32 values along the last axis: an f16 scale d, then 32
 *  signed bytes, or 16 bytes of two nibbles (value i low, value i+16 high, biased by 8); value =
 *  d*q. */
typedef enum lode_dtype {
#define LODE_DTYPE(suffix, name, bytes, block, class) LODE_##suffix,
#include "lode/dtype.def"
#undef LODE_DTYPE
    LODE_DTYPE_COUNT
} lode_dtype;

/** Sets of types, for ports. */
#define LODE_BIT(suffix) (UINT32_C(1) << LODE_##suffix)
#define LODE_REALS (LODE_BIT(F16) | LODE_BIT(BF16) | LODE_BIT(F32) | LODE_BIT(F64))
#define LODE_COMPLEXES (LODE_BIT(C64) | LODE_BIT(C128))
#define LODE_FLOATING (LODE_REALS | LODE_COMPLEXES)
#define LODE_INTEGERS                                                                              \
    (LODE_BIT(BOOL) | LODE_BIT(I8) | LODE_BIT(I16) | LODE_BIT(I32) | LODE_BIT(I64) |               \
     LODE_BIT(U8) | LODE_BIT(U16) | LODE_BIT(U32) | LODE_BIT(U64))
#define LODE_PACKED (LODE_BIT(Q8) | LODE_BIT(Q4))
#define LODE_REAL_NUMBERS                                                                          \
    (LODE_REALS | LODE_INTEGERS | LODE_PACKED) /* all that read as f32 or f64 */
#define LODE_NUMBERS (LODE_REAL_NUMBERS | LODE_COMPLEXES)

LODE_API const char *lode_dtype_name(lode_dtype dtype);              /* "f32" */
LODE_API bool lode_dtype_parse(const char *name, lode_dtype *dtype); /* also NumPy's "float32" */
LODE_API size_t lode_dtype_size(lode_dtype dtype);                   /* bytes of one unit (block) */
LODE_API int64_t lode_dtype_block(lode_dtype dtype); /* values a unit holds: 1 or 32 */
LODE_API char lode_dtype_class(lode_dtype dtype);    /* 'b' 'i' 'u' 'f' 'c' 'q' */

#define LODE_MAX_NDIM 32

struct lode_owner;

/** A view of values. strides count elements; packed types are contiguous along the last axis and
 *  their strides count values. The owner keeps the memory alive (atomic count); NULL: borrowed.
 *  { 0 } is the empty array: freeing it is legal, and it is not a 0-d array (data is NULL). */
typedef struct lode_array {
    void *data;
    struct lode_owner *owner;
    lode_dtype dtype;
    int32_t ndim;
    int32_t device; /* 0: this machine's memory */
    int32_t flags;  /* private */
    int64_t shape[LODE_MAX_NDIM];
    int64_t strides[LODE_MAX_NDIM];
} lode_array;

/** New contiguous array, uninitialized (zeros: zeroed). Errors: LODE_ESHAPE (negative or
 *  overflowing shape, ndim over 32, packed with a last axis not a multiple of 32), LODE_ENOMEM,
 *  LODE_EBUDGET. */
LODE_API lode_status lode_array_new(lode_ctx *ctx, lode_dtype dtype, int ndim, const int64_t *shape,
                                    lode_array *out);
LODE_API lode_status lode_array_zeros(lode_ctx *ctx, lode_dtype dtype, int ndim,
                                      const int64_t *shape, lode_array *out);
/** Wraps the caller's contiguous memory without copying; it must outlive the array. */
LODE_API lode_array lode_array_wrap(void *data, lode_dtype dtype, int ndim, const int64_t *shape);
/** Wraps memory that `release(data_owner)` gives back, on any thread, when the last view goes. */
LODE_API lode_status lode_array_adopt(lode_ctx *ctx, const lode_array *view,
                                      void (*release)(void *), void *data_owner, lode_array *out);
/** Another view of the same memory, holding its owner. */
LODE_API lode_array lode_array_ref(const lode_array *a);
LODE_API void lode_array_free(lode_array *a);
LODE_API void lode_array_swap(lode_array *a, lode_array *b);

LODE_API int64_t lode_array_size(const lode_array *a); /* number of values */
LODE_API size_t lode_array_bytes(const lode_array *a); /* bytes when stored contiguously */
LODE_API bool lode_array_is_contiguous(const lode_array *a);

/** Views. They hold the owner, so the source may be freed first. */
LODE_API lode_status lode_array_slice(lode_ctx *ctx, const lode_array *a, int axis, int64_t start,
                                      int64_t stop, int64_t step, lode_array *out);
LODE_API lode_status lode_array_permute(lode_ctx *ctx, const lode_array *a, const int *axes,
                                        lode_array *out);
/** Reshapes: a view where strides allow, else a copy. One -1 is inferred. */
LODE_API lode_status lode_array_reshape(lode_ctx *ctx, const lode_array *a, int ndim,
                                        const int64_t *shape, lode_array *out);
/** Contiguous copy, converted to dtype. Integers that do not fit saturate; complex to real keeps
 *  the real part; real to integer rounds to nearest even; packed types quantize. */
LODE_API lode_status lode_array_cast(lode_ctx *ctx, const lode_array *a, lode_dtype dtype,
                                     lode_array *out);
/** Copies values into an existing array of the same shape, converting. */
LODE_API lode_status lode_array_copy_into(lode_ctx *ctx, const lode_array *from, lode_array *to);
/** One value as f64 (real part), for printing and tests; index holds ndim numbers. */
LODE_API double lode_array_get(const lode_array *a, const int64_t *index);

#ifdef __cplusplus
}
#endif
#endif
