// How each operation moves CPU tensors among ranks. Every rank exchanges messages with every other rank directly.
//
// For S bytes and R ranks, a rank sends and receives (R-1)/R S in all_gather and reduce_scatter, which is the minimum.
// all_reduce takes twice that, in two steps. A small all_reduce takes S in a single step.
#pragma once

#include "trainer/parallel/collectives/collective_op.h"
#include "trainer/parallel/collectives/exchange.h"

namespace terse::trainer {

// Runs `op`, whose tensors are on the CPU, as the body of an operation.
void run_over_mpi(Exchange& exchange, const CollectiveOp& op);

}  // namespace terse::trainer
