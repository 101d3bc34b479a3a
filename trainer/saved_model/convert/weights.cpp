// A piece is some rows, read as fp32 and encoded. F16 and BF16 become fp32 and back without a change.
#include "trainer/saved_model/convert/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "base/errors.h"
#include "base/formats/gguf/quantization.h"
#include "base/formats/tensor_shape.h"
#include "trainer/saved_model/gguf_model.h"

namespace terse::trainer {

namespace {

constexpr int64_t kPieceElements = 4 << 20;

std::map<GgmlType, uint64_t> bytes_by_type(const std::vector<OutputWeight>& weights, bool matrices_only) {
  std::map<GgmlType, uint64_t> sums;
  for (const OutputWeight& weight : weights)
    if (!matrices_only || weight.info.shape.size() > 1) sums[weight.type] += weight.bytes();
  return sums;
}

// Swaps the rows of whole heads into the order of llama.cpp.
std::vector<float> in_gguf_order(const std::vector<float>& values, int64_t columns, int64_t head_dim) {
  std::vector<float> turned(values.size());
  const int64_t rows = static_cast<int64_t>(values.size()) / columns;
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(values.begin() + row * columns, columns, turned.begin() + gguf_row_of_llama(row, head_dim) * columns);
  }
  return turned;
}

// A value that becomes infinite would break the model without a word.
void require_f16(const ModelFiles& model, const OutputWeight& weight, const std::vector<float>& values, int64_t first) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]) || std::isfinite(half_to_float(float_to_half(values[i])))) continue;
    throw DataError(fmt::format(
        "{}: tensor {}: element {} is {}, which fp16 cannot hold (its largest value is 65504); choose bf16 or fp32",
        model.path().string(), weight.info.name, first + static_cast<int64_t>(i), values[i]));
  }
}

std::string encoded(const ModelFiles& model, const OutputWeight& weight, const std::vector<float>& values,
                    int64_t first) {
  if (weight.type == GgmlType::kF16) require_f16(model, weight, values, first);
  try {
    return quantize(weight.type, values, weight.info.name);
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", model.path().string(), error.what()));
  }
}

}  // namespace

uint64_t OutputWeight::bytes() const {
  return ggml_bytes(type, info.shape).value();
}

std::vector<OutputWeight> output_weights(const ModelFiles& model, std::optional<GgmlType> dtype) {
  const ParamLayout layout(model.spec());
  std::vector<OutputWeight> weights;
  for (const ParamUnit& unit : layout.units) {
    std::vector<ParamInfo> infos;
    std::copy_if(layout.infos.begin(), layout.infos.end(), std::back_inserter(infos),
                 [&](const ParamInfo& info) { return info.offset >= unit.begin && info.offset < unit.end; });
    std::sort(infos.begin(), infos.end(), [](const ParamInfo& a, const ParamInfo& b) { return a.name < b.name; });
    for (const ParamInfo& info : infos) weights.push_back({info, dtype.value_or(model.stored_type(info)), info.name});
  }
  return weights;
}

std::string types_text(const std::vector<OutputWeight>& weights) {
  std::vector<std::pair<uint64_t, std::string>> types;
  for (const auto& [type, bytes] : bytes_by_type(weights, false)) types.emplace_back(bytes, ggml_name(type));
  std::sort(types.rbegin(), types.rend());
  std::vector<std::string> names;
  for (const auto& [bytes, name] : types) names.push_back(name);
  return fmt::format("{}", fmt::join(names, " and "));
}

GgmlType main_type(const std::vector<OutputWeight>& weights) {
  const std::map<GgmlType, uint64_t> sums = bytes_by_type(weights, true);
  return std::max_element(sums.begin(), sums.end(), [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

void write_weight(const ModelFiles& model, const OutputWeight& weight,
                  const std::function<void(std::string_view)>& write) {
  const int64_t columns = row_elements(weight.info.shape), all = weight.info.numel();
  const int64_t head_dim = model.spec().head_dim;
  int64_t rows = std::max<int64_t>(1, kPieceElements / columns);
  if (weight.gguf_order) rows = (rows + head_dim - 1) / head_dim * head_dim;
  for (int64_t begin = 0; begin < all; begin += rows * columns) {
    const int64_t end = std::min(all, begin + rows * columns);
    std::vector<float> values(static_cast<size_t>(end - begin));
    model.read(weight.info, begin, end, values.data());
    if (weight.gguf_order) values = in_gguf_order(values, columns, head_dim);
    write(encoded(model, weight, values, begin));
  }
}

}  // namespace terse::trainer
