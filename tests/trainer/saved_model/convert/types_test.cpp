// Tests the types of weights: what F16 and Q8_0 hold, and what is refused because they cannot hold it.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "base/errors.h"
#include "base/formats/gguf/quantization.h"
#include "base/formats/safetensors/writer.h"
#include "base/formats/tensor_shape.h"
#include "tests/trainer/saved_model/convert/support.h"
#include "trainer/model/param_layout.h"
#include "trainer/saved_model/hf_config.h"

namespace terse::trainer {
namespace {

using namespace converting;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using ConvertedTypes = Convert;

// A model of 32 x 64 matrices with the same value everywhere but in one element.
fs::path wide_model(const fs::path& folder, float value, const std::string& odd_tensor, float odd_value) {
  ModelSpec spec;
  spec.vocab = 40;
  spec.layers = 1;
  spec.hidden_size = 32;
  spec.heads = spec.kv_heads = 2;
  spec.head_dim = 16;
  spec.intermediate_size = 64;
  spec.max_seq_len = 64;
  spec.rope_theta = 10000;
  spec.norm_eps = 1e-6;
  spec.init_std = 0.02;
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << to_hf_config(spec).dump();
  std::vector<SafetensorsSpec> tensors;
  for (const ParamInfo& info : ParamLayout(spec).infos)
    tensors.push_back({info.name, SafetensorsDtype::kF32, info.shape});
  SafetensorsFolderWriter writer(folder, tensors, 1 << 30);
  for (const SafetensorsSpec& tensor : writer.tensors()) {
    std::vector<float> values(static_cast<size_t>(element_count(tensor.shape).value()), value);
    if (tensor.name == odd_tensor) values[5] = odd_value;
    writer.write(tensor.name, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }
  writer.finish();
  return folder;
}

const std::string kGate = "model.layers.0.mlp.gate_proj.weight";

TEST_F(ConvertedTypes, Q8OfMatricesIsThatOfThePythonPackage) {
  const Converted result = to_gguf(wide_model(folder_ / "wide", 0.5f, kGate, -1.27f), "q.gguf", GgmlType::kQ8_0);
  EXPECT_EQ(result.dtype, "Q8_0 and F32");
  const GgufFile file(folder_ / "q.gguf");
  EXPECT_EQ(file.integer("general.file_type"), 7);
  for (const GgufTensor& tensor : file.tensors())
    EXPECT_EQ(tensor.type, tensor.shape.size() == 1 ? GgmlType::kF32 : GgmlType::kQ8_0) << tensor.name;
  // The scale of the first block is 1.27 / 127 = 0.01, so that 0.5 is 50 and -1.27 is -127.
  const std::string_view block = file.tensor("blk.0.ffn_gate.weight").bytes;
  uint16_t scale = 0;
  std::memcpy(&scale, block.data(), sizeof(scale));
  EXPECT_NEAR(half_to_float(scale), 0.01, 1e-5);
  EXPECT_EQ(block[2], 50);
  EXPECT_EQ(block[2 + 5], -127);
  // Quantized weights become fp32.
  EXPECT_EQ(to_hf(folder_ / "q.gguf", "hf").dtype, "F32");
}

TEST_F(ConvertedTypes, RowsThatQ8CannotHoldBecomeF16) {
  const Converted result = to_gguf(model("qwen3"), "q.gguf", GgmlType::kQ8_0);
  EXPECT_THAT(result.notes, Contains(HasSubstr("Q8_0 needs rows of a multiple of 32 elements")));
  EXPECT_EQ(GgufFile(folder_ / "q.gguf").tensor("token_embd.weight").type, GgmlType::kF16);
}

TEST_F(ConvertedTypes, WhatFp16CannotHoldIsAnErrorThatNamesTheTensor) {
  const fs::path wide = wide_model(folder_ / "wide", 0.5f, kGate, 65520.0f);
  for (const ModelFormat format : {ModelFormat::kHf, ModelFormat::kGguf}) {
    EXPECT_THAT(complaint([&] { convert(wide, "out", format, GgmlType::kF16); }),
                AllOf(HasSubstr("wide: tensor " + kGate), HasSubstr("element 5 is 65520, which fp16 cannot hold")));
    EXPECT_THAT(folder_.names(), ElementsAre("wide")) << "nothing is left";
  }
  const fs::path edge = wide_model(folder_ / "edge", 0.5f, kGate, 65519.0f);  // rounds to 65504
  EXPECT_EQ(to_hf(edge, "half", GgmlType::kF16).dtype, "F16");
  const fs::path infinite = wide_model(folder_ / "infinite", 0.5f, kGate, INFINITY);
  EXPECT_EQ(to_hf(infinite, "same", GgmlType::kF16).dtype, "F16") << "it was infinite before";
  EXPECT_THAT(complaint([&] { to_gguf(infinite, "q.gguf", GgmlType::kQ8_0); }), HasSubstr("infinite: tensor"));
}

TEST_F(ConvertedTypes, LargeModelsComeInShards) {
  const auto original = tensors_of(model("qwen3"));
  const Converted result = convert_model(
      {.from = model("qwen3"), .to = folder_ / "shards", .format = ModelFormat::kHf, .max_shard_bytes = 10'000});
  EXPECT_TRUE(fs::exists(folder_ / "shards" / kSafetensorsIndex));
  EXPECT_GT(result.files, 6u);
  EXPECT_EQ(tensors_of(folder_ / "shards"), original);
}

}  // namespace
}  // namespace terse::trainer
