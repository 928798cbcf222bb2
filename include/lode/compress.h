/* Compression. */
#ifndef LODE_COMPRESS_H
#define LODE_COMPRESS_H

#include "lode/op.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __cplusplus
}
#endif
#endif
