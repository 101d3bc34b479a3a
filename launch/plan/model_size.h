// The sizes of a model that memory and time follow from.
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

// Forward and backward floating-point operations per trained token at sequence length T: 6 per weight that multiplies,
// and 12 L H C T / 2 for causal attention (the convention of the PaLM paper, appendix B, with the causal half). A
// frozen weight has no gradient, so it takes 4.
double flops_per_token(const ModelSpec& spec, double sequence_length);
// Those of the forward pass alone.
double forward_flops_per_token(const ModelSpec& spec, double sequence_length);

}  // namespace terse::launch::plan
