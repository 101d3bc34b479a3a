// How much the operations of an update and of generation compute, or read and write.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "launch/bench/workload.h"

namespace terse::launch::bench {

struct Work {
  double flops = 0;  // floating-point operations, as in trainer/speed/flops.h
  double bytes = 0;  // read and written, where memory sets the pace
};

// By phase and operation. Only operations that multiply matrices or read all weights are there.
using OperationWork = std::map<std::pair<std::string, std::string>, Work>;

OperationWork update_work(const trainer::Transformer& model, const trainer::TokenWork& work);
// Returns the work of generation in which every sequence has a prompt of its own.
OperationWork generation_work(const trainer::ModelSpec& spec, const GenerationShape& shape);

}  // namespace terse::launch::bench
