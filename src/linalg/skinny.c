/* A times a few columns, and its transpose times the result, while a strip of A lies in cache. BLAS
 * copies A into its own order for every product, which for 32 columns takes longer than the
 * product. */
#include <math.h>

#include "linalg/linalg.h"

enum { COLUMNS = 32, STRIP_BYTES = 512 << 10, STRIP_LEAST = 24 };

typedef struct strip {
    int64_t rows, cols, lda, ldx, ldw, ldz;
} strip;

#define REAL float
#define FMA fmaf
#define NAME(x) x##_f32
#include "linalg/skinny_kernel.inc"
#define REAL double
#define FMA fma
#define NAME(x) x##_f64
#include "linalg/skinny_kernel.inc"

bool lode_i_skinny_fits(const lode_array *A, int64_t k)
{
    return (A->dtype == LODE_F32 || A->dtype == LODE_F64) && A->ndim == 2 && A->strides[1] == 1 &&
           k > 0 && k % COLUMNS == 0 && lode_i_has_avx512();
}

void lode_i_skinny(const lode_array *A, const lode_array *X, lode_array *W, lode_array *Z)
{
    const int64_t m = A->shape[0], n = A->shape[1], k = W->shape[1];
    const int64_t row = lode_i_max(1, n) * (int64_t)lode_dtype_size(A->dtype);
    const int64_t step = lode_i_max(STRIP_LEAST, STRIP_BYTES / row / 6 * 6);
    strip s = { .cols = n,
                .lda = A->strides[0],
                .ldx = X ? X->strides[0] : 0,
                .ldw = W->strides[0],
                .ldz = Z ? Z->strides[0] : 0 };
    for (int64_t i = 0; i < m; i += step) {
        s.rows = lode_i_min(step, m - i);
        for (int64_t c = 0; c < k; c += COLUMNS) {
            const void *a = lode_i_at(A, i * s.lda), *x = X ? lode_i_at(X, c) : NULL;
            void *w = lode_i_at(W, i * s.ldw + c), *z = Z ? lode_i_at(Z, c) : NULL;
            if (A->dtype == LODE_F32)
                strip_times_f32(&s, a, x, w, z);
            else
                strip_times_f64(&s, a, x, w, z);
        }
    }
}
