// Tests that written files equal those of the Python package, byte for byte.
#include "base/formats/gguf/writer.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "base/formats/gguf/quantization.h"
#include "tests/support/tensor_files.h"

namespace terse {
namespace {

using support::format_fixture;
using support::read_file;
using support::TemporaryFolder;
using ::testing::ElementsAre;

TEST(GgufWriter, WritesTheBytesOfThePythonPackage) {
  const TemporaryFolder folder;
  const GgufFile python(format_fixture("python.gguf"));
  GgufMetadata metadata;
  for (const GgufEntry& entry : python.metadata()) metadata.add(entry);
  std::vector<GgufSpec> specs;
  for (const GgufTensor& tensor : python.tensors())
    specs.push_back({std::string(tensor.name), tensor.type, tensor.shape});
  GgufWriter writer(folder / "a", metadata, specs);
  for (const GgufTensor& tensor : python.tensors()) writer.write(tensor.name, tensor.bytes);
  writer.finish();
  EXPECT_EQ(read_file(folder / "a"), read_file(format_fixture("python.gguf")));
}

TEST(GgufWriter, EveryFunctionWritesItsType) {
  const GgufFile python(format_fixture("python.gguf"));
  GgufMetadata copied, added;
  for (const char* key : {"general.architecture", "test.uint32", "test.int32", "test.uint64", "test.float32",
                          "test.bool", "test.string", "test.strings", "test.int32s", "test.float32s"}) {
    copied.add({key, *python.find(key)});
  }
  added.add_text("general.architecture", "llama");
  added.add_uint32("test.uint32", 4000000000);
  added.add_int32("test.int32", -2000000000);
  added.add_uint64("test.uint64", UINT64_MAX);
  added.add_float32("test.float32", 0.1f);
  added.add_bool("test.bool", true);
  added.add_text("test.string", "\u00e9 \u6f22 \U0001F600\n");
  added.add_texts("test.strings", std::vector<std::string>{"", "\u0120the", "\u00e9"});
  added.add_int32s("test.int32s", {-1, 0, 1});
  added.add_float32s("test.float32s", {-0.5f, 1e10f});
  EXPECT_EQ(added.bytes(), copied.bytes());
  EXPECT_EQ(added.count(), 10u);
  GgufMetadata texts, views;
  texts.add_texts("a", std::vector<std::string>{"x", "yz"});
  views.add_texts("a", std::vector<std::string_view>{"x", "yz"});
  EXPECT_EQ(texts.bytes(), views.bytes());
}

TEST(GgufWriter, WhatIsWrittenIsReadAgain) {
  const TemporaryFolder folder;
  GgufMetadata metadata;
  metadata.add_texts("tokens", std::vector<std::string>{});
  metadata.add_bool("no", false);
  const std::vector<float> values(64, -1.5f);
  const std::vector<GgufSpec> specs = {{"scalar", GgmlType::kF32, {}},
                                       {"half", GgmlType::kF16, {2, 32}},
                                       {"none", GgmlType::kF32, {0, 3}},
                                       {"blocks", GgmlType::kQ8_0, {2, 32}},
                                       {"brain", GgmlType::kBF16, {2, 2, 16}}};
  GgufWriter writer(folder / "a.gguf", metadata, specs);
  for (const GgufSpec& spec : specs) {
    const size_t count = spec.name == "scalar" ? 1 : spec.name == "none" ? 0 : 64;
    const std::string bytes = quantize(spec.type, std::span(values).first(count), spec.name);
    writer.write(spec.name, std::string_view(bytes).substr(0, bytes.size() / 2));
    EXPECT_FALSE(std::filesystem::exists(folder / "a.gguf"));
    writer.write(spec.name, std::string_view(bytes).substr(bytes.size() / 2));
  }
  writer.finish();
  const GgufFile file(folder / "a.gguf");
  EXPECT_TRUE(file.texts("tokens").empty());
  EXPECT_FALSE(file.boolean("no"));
  for (const GgufSpec& spec : specs) {
    EXPECT_EQ(file.tensor(spec.name).shape, spec.shape);
    if (spec.name == "none") continue;
    std::vector<float> found(spec.name == "scalar" ? 1 : 32);
    file.read_rows(file.tensor(spec.name), 0, spec.name == "brain" ? 2 : 1, found);
    for (const float value : found) EXPECT_NEAR(value, -1.5f, spec.name == "blocks" ? 1e-3f : 0.0f) << spec.name;
  }
}

TEST(GgufWriter, RefusesKeysThatNoReaderWouldTake) {
  GgufMetadata metadata;
  metadata.add_bool("a", true);
  EXPECT_THROW(metadata.add_bool("a", true), std::invalid_argument);
  EXPECT_THROW(metadata.add_text("a", ""), std::invalid_argument);
  EXPECT_THROW(metadata.add_bool("", true), std::invalid_argument);
  EXPECT_THROW(metadata.add_bool("\xFF", true), std::invalid_argument);
  EXPECT_THROW(metadata.add_bool(std::string(65536, 'k'), true), std::invalid_argument);
  EXPECT_THROW(metadata.add_uint32("general.alignment", 32), std::invalid_argument);
  metadata.add_bool(std::string(65535, 'k'), true);
  EXPECT_EQ(metadata.count(), 2u);
}

TEST(GgufWriter, RefusesTensorsThatNoReaderWouldTake) {
  const TemporaryFolder folder;
  const auto write = [&](const std::vector<GgufSpec>& specs) { GgufWriter(folder / "a", {}, specs); };
  EXPECT_THROW(write({{"", GgmlType::kF32, {1}}}), std::invalid_argument);
  EXPECT_THROW(write({{std::string(64, 't'), GgmlType::kF32, {1}}}), std::invalid_argument);
  EXPECT_THROW(write({{"\xFF", GgmlType::kF32, {1}}}), std::invalid_argument);
  EXPECT_THROW(write({{"a", GgmlType::kF32, {1}}, {"a", GgmlType::kF32, {1}}}), std::invalid_argument);
  EXPECT_THROW(write({{"a", GgmlType::kQ8_0, {32, 2}}}), std::invalid_argument);
  EXPECT_THROW(write({{"a", GgmlType::kF32, {1, 1, 1, 1, 1}}}), std::invalid_argument);
  EXPECT_THROW(write({{"a", GgmlType::kF32, {-1}}}), std::invalid_argument);
  EXPECT_TRUE(folder.names().empty());
}

TEST(GgufWriter, AnUnfinishedFileLeavesNothing) {
  const TemporaryFolder folder;
  folder.write("a", "old");
  {
    GgufWriter writer(folder / "a", {}, {{"a", GgmlType::kF32, {1}}});
    EXPECT_THROW(writer.finish(), std::logic_error);
    EXPECT_THROW(writer.write("b", "1234"), std::logic_error);
  }
  EXPECT_THAT(folder.names(), ElementsAre("a"));
  EXPECT_EQ(read_file(folder / "a"), "old");
}

}  // namespace
}  // namespace terse
