/* Expands the registry list into the table that the op layer reads. */
#include "op/op.h"

#define LODE_OP(family, name) extern const lode_op lode_op_##name;
#include "registry.def"
#undef LODE_OP

const lode_op *const lode_i_builtin_ops[] = {
#define LODE_OP(family, name) &lode_op_##name,
#include "registry.def"
#undef LODE_OP
    NULL,
};
