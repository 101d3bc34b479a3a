// The weights of an output: their types, and their bytes in pieces.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/saved_model/model_files.h"

namespace terse::trainer {

struct OutputWeight {
  ParamInfo info;
  GgmlType type = GgmlType::kF32;
  std::string name;         // in the output
  bool gguf_order = false;  // the rows come in the order of llama.cpp (gguf_model.h)
  uint64_t bytes() const;
};

// All weights under Hugging Face's names. Layers come in their order, and the weights of a layer by name: a reader of a
// checkpoint then meets each file once. `dtype`: empty: as each one is stored.
std::vector<OutputWeight> output_weights(const ModelFiles& model, std::optional<GgmlType> dtype);

// "Q8_0 and F32": the types, that of the most bytes first.
std::string types_text(const std::vector<OutputWeight>& weights);
// The type of the most bytes. Norms and biases do not count.
GgmlType main_type(const std::vector<OutputWeight>& weights);

// Passes the bytes of a weight to `write`, piece by piece. Throws DataError, which names the weight, when F16 or Q8_0
// cannot hold a value.
void write_weight(const ModelFiles& model, const OutputWeight& weight,
                  const std::function<void(std::string_view)>& write);

}  // namespace terse::trainer
