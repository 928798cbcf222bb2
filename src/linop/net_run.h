/* Private to the files of tensor networks. */
#ifndef LODE_NET_RUN_H
#define LODE_NET_RUN_H

#include "linop/net.h"

/** Name of the index of edge i, j, or of mode i (i == j); again: in the second of two copies of the network,
 *  which share their modes. */
int lode_i_net_key(int i, int j, bool again);
/** Of the axes of core k, in order. */
void lode_i_net_keys(const lode_i_net *net, int k, bool again, int *keys);
/** Core k with its names. */
lode_status lode_i_net_term(lode_ctx *ctx, const lode_i_net *net, int k, bool again,
                            lode_dtype dtype, lode_i_labelled *t);
/** Axis of core k that its edge to j is. */
int lode_i_net_axis(int k, int j);
/** The lower half of a set of nodes. */
uint32_t lode_i_net_half(uint32_t set);

#endif
