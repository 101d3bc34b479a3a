// How each operation moves CPU tensors among ranks: every rank talks to every other directly.
//
// Traffic of a rank, for S bytes and R ranks: all_gather and reduce_scatter (R-1)/R S each way, the least possible;
// all_reduce twice that; a small all_reduce S in one step instead of two.
#pragma once

#include "trainer/dist/call.h"
#include "trainer/dist/exchange.h"

namespace terse::trainer {

void carry_out(Exchange& exchange, const Call& call);

}  // namespace terse::trainer
