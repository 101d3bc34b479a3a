// The sizes of a model that memory follows from.
#pragma once

#include <vector>

#include "trainer/model/spec.h"

namespace terse::launch::plan {

using trainer::ModelSpec;

// Elements of each unit (ParamLayout), in the order in which a forward pass needs them. Together they are all
// parameters of the model.
std::vector<double> unit_sizes(const ModelSpec& spec);

// The same of what is trained (trained_layout()): with LoRA, the adapters, else all parameters. The first and the last
// unit of adapters are 0.
std::vector<double> trained_sizes(const ModelSpec& spec);

}  // namespace terse::launch::plan
