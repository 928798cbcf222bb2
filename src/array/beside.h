/* Blocks of columns of the same rows, as one source of double precision: [A B], shifted and scaled as it
 * is read. */
#ifndef LODE_ARRAY_BESIDE_H
#define LODE_ARRAY_BESIDE_H

#include "array/array.h"

enum { LODE_I_BESIDE_MOST = 2 };
typedef struct lode_i_beside {
    int parts;
    lode_value
        part[LODE_I_BESIDE_MOST]; /* real arrays, sources, CSR matrices, of equally many rows */
    const char *name[LODE_I_BESIDE_MOST]; /* finite: what a sentence calls it ("cca: X") */
    const lode_array *rows;               /* i64, ascending: these alone; NULL: all */
    const lode_array *shift;              /* f64, a column each: subtracted; NULL: 0 */
    const lode_array *factor; /* f64, a column each: multiplied by, after the shift; NULL: 1 */
    int64_t skip;             /* places of shift and factor before the first column's */
    const lode_array *weight; /* f64, a row of the parts each: multiplied by; NULL: 1 */
    bool finite; /* LODE_EDOMAIN names a value that is not, and parts with them are refused */
    double *
        maxabs; /* finite: largest |value| of each part as it is stored, kept up to date; or NULL */
} lode_i_beside;
/** What `b` points at must outlive the source. A sparse part is made dense a slab at a time. */
lode_status lode_i_source_beside(lode_ctx *ctx, const lode_i_beside *b, lode_source *s);

#endif
