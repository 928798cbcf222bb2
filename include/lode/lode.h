/* Lode: finds the low-dimensional structure in data. The only header a program includes. */
#ifndef LODE_LODE_H
#define LODE_LODE_H

#include "lode/array.h"
#include "lode/base.h"
#include "lode/io.h"
#include "lode/linop.h"
#include "lode/op.h"
#include "lode/plot.h"
#include "lode/value.h"
#include "lode/whole.h"
/* families of operations */
#include "lode/adapt.h"
#include "lode/bounds.h"
#include "lode/compress.h"
#include "lode/dynamics.h"
#include "lode/make.h"
#include "lode/matrix.h"
#include "lode/tensor.h"

#endif
