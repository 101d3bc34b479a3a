// Tests that written files equal those of the format's own library, byte for byte, and that a model appears whole.
#include "base/formats/safetensors/writer.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/formats/safetensors/file.h"
#include "base/formats/safetensors/folder.h"
#include "tests/support/tensor_files.h"

namespace terse {
namespace {

using support::format_fixture;
using support::read_file;
using support::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using enum SafetensorsDtype;

TEST(SafetensorsWriter, WritesTheBytesOfThePythonLibrary) {
  const TemporaryFolder folder;
  const SafetensorsFile python(format_fixture("python.safetensors"));
  std::vector<SafetensorsSpec> specs;
  for (const SafetensorsTensor& tensor : python.tensors()) specs.push_back({tensor.name, tensor.dtype, tensor.shape});
  std::reverse(specs.begin(), specs.end());  // the writer sorts
  SafetensorsWriter writer(folder / "a", specs, python.metadata());
  for (const SafetensorsSpec& spec : writer.tensors()) writer.write(spec.name, python.tensor(spec.name).bytes);
  writer.finish();
  EXPECT_EQ(read_file(folder / "a"), read_file(format_fixture("python.safetensors")));
}

TEST(SafetensorsWriter, SortsByDtypeThenByName) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder / "a", {{"b", kBF16, {1}}, {"z", kF32, {1}}, {"a", kBF16, {1}}, {"c", kF16, {1}}});
  std::string order;
  for (const SafetensorsSpec& spec : writer.tensors()) {
    order += spec.name;
    writer.write(spec.name, spec.dtype == kF32 ? "1234" : "12");
  }
  EXPECT_EQ(order, "zabc");
  writer.finish();
  EXPECT_EQ(SafetensorsFile(folder / "a").tensors().size(), 4u);
}

TEST(SafetensorsWriter, AFileWithoutTensorsIsValid) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder / "a", {});
  writer.finish();
  EXPECT_EQ(read_file(folder / "a"), support::safetensors_text("{}      "));
  EXPECT_TRUE(SafetensorsFile(folder / "a").tensors().empty());
}

TEST(SafetensorsWriter, RefusesWhatNoReaderWouldTake) {
  const TemporaryFolder folder;
  const auto write = [&](const std::vector<SafetensorsSpec>& specs) { SafetensorsWriter(folder / "a", specs); };
  EXPECT_THROW(write({{"__metadata__", kF32, {1}}}), std::invalid_argument);
  EXPECT_THROW(write({{"\xFF", kF32, {1}}}), std::invalid_argument);
  EXPECT_THROW(write({{"a", kF32, {1}}, {"b", kF32, {1}}, {"a", kF16, {1}}}), std::invalid_argument);
  EXPECT_THROW(write({{"a", kF32, {-1}}}), std::invalid_argument);
  EXPECT_THROW(write({{"a", kF4, {1}}}), std::invalid_argument);
  EXPECT_TRUE(folder.names().empty());
}

// Copies the tensors of the fixture in the given order.
std::vector<std::string> copy_shards(const std::filesystem::path& to, uint64_t limit,
                                     const std::vector<std::string>& order) {
  const SafetensorsFolder from(format_fixture("shards"));
  std::vector<SafetensorsSpec> specs;
  for (const std::string& name : order) {
    const SafetensorsTensor& tensor = *from.tensor(name).tensor;
    specs.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  SafetensorsFolderWriter writer(to, specs, limit, {{"format", "pt"}});
  std::vector<std::string> during;
  for (const SafetensorsSpec& spec : writer.tensors()) {
    const std::string_view bytes = from.tensor(spec.name).tensor->bytes;
    writer.write(spec.name, bytes.substr(0, 100));
    writer.write(spec.name, bytes.substr(100));
    for (const auto& entry : std::filesystem::directory_iterator(to)) {
      if (entry.path().extension() == ".safetensors" || entry.path().extension() == ".json")
        during.push_back(entry.path());
    }
  }
  writer.finish();
  return during;
}

std::vector<std::string> names_of_layers() {
  std::vector<std::string> names;
  for (int i = 0; i < 8; ++i) names.push_back("layers." + std::to_string(i) + ".weight");
  for (const char* name : {"lm_head.weight", "layers.8.weight", "layers.9.weight"}) names.emplace_back(name);
  return names;
}

TEST(SafetensorsFolderWriter, WritesTheShardsOfThePythonLibrary) {
  const TemporaryFolder folder;
  EXPECT_THAT(copy_shards(folder / "model", 1000, names_of_layers()), ElementsAre()) << "a shard appeared too early";
  const auto index = [](const std::filesystem::path& of) {
    return nlohmann::json::parse(read_file(of / kSafetensorsIndex));
  };
  EXPECT_EQ(index(folder / "model"), index(format_fixture("shards")));
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(format_fixture("shards"))) {
    ++files;
    if (entry.path().extension() == ".json") continue;
    EXPECT_EQ(read_file(folder / "model" / entry.path().filename().string()), read_file(entry.path())) << entry.path();
  }
  EXPECT_EQ(files, 7);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "model"), {}), files);
  EXPECT_EQ(SafetensorsFolder(folder / "model").tensors().size(), 11u);
}

TEST(SafetensorsFolderWriter, TheIndexIsWrittenAsTransformersWritesIt) {
  const TemporaryFolder folder;
  SafetensorsFolderWriter writer(folder.path(), {{"b", kF32, {1}}, {"a", kF32, {1}}}, 4);
  writer.write("b", "1234");
  writer.write("a", "1234");
  writer.finish();
  EXPECT_EQ(
      read_file(folder / kSafetensorsIndex),
      "{\n  \"metadata\": {\n    \"total_size\": 8\n  },\n  \"weight_map\": {\n"
      "    \"a\": \"model-00002-of-00002.safetensors\",\n    \"b\": \"model-00001-of-00002.safetensors\"\n  }\n}\n");
}

TEST(SafetensorsFolderWriter, WhatFitsIsOneFile) {
  const TemporaryFolder folder;
  copy_shards(folder / "model", 6000, names_of_layers());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "model"), {}), 1);
  EXPECT_EQ(SafetensorsFolder(folder / "model").tensors().size(), 11u);
  copy_shards(folder / "split", 5999, names_of_layers());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "split"), {}), 3);
}

TEST(SafetensorsFolderWriter, NeverReplacesAModel) {
  const TemporaryFolder folder;
  for (const char* name : {kSafetensorsFile, kSafetensorsIndex}) {
    folder.write(name, "old");
    try {
      SafetensorsFolderWriter(folder.path(), {{"a", kF32, {1}}}, 100);
      ADD_FAILURE() << name;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr(std::string("already holds a model (") + name + "); choose another folder"));
    }
    EXPECT_THAT(folder.names(), ElementsAre(name));
    std::filesystem::remove(folder / name);
  }
}

TEST(SafetensorsFolderWriter, AnUnfinishedModelLeavesNothing) {
  const TemporaryFolder folder;
  {
    SafetensorsFolderWriter writer(folder.path(), {{"a", kF32, {1}}, {"b", kF32, {1}}}, 4);
    writer.write("a", "1234");
    EXPECT_THROW(writer.finish(), std::logic_error) << "the second shard is missing";
    writer.write("b", "12");
    EXPECT_THROW(writer.finish(), std::logic_error) << "the second shard is not whole";
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST(SafetensorsFolderWriter, TensorsComeInTheirOrder) {
  const TemporaryFolder folder;
  SafetensorsFolderWriter writer(folder.path(),
                                 {{"a", kF32, {1}}, {"b", kF32, {1}}, {"c", kF32, {1}}, {"none", kF32, {0}}}, 4);
  EXPECT_THROW(writer.write("c", "1234"), std::logic_error);
  EXPECT_THROW(writer.write("x", "1234"), std::logic_error);
  EXPECT_THROW(writer.write("b", "1234"), std::logic_error) << "a is not written";
}

TEST(SafetensorsFolderWriter, ShardsOfEmptyTensorsAreWrittenToo) {
  const TemporaryFolder folder;
  SafetensorsFolderWriter writer(folder.path(), {{"a", kF32, {1}}, {"b", kF32, {1}}, {"none", kF32, {0}}}, 4);
  writer.write("a", "1234");
  writer.write("b", "1234");
  writer.finish();
  EXPECT_EQ(SafetensorsFolder(folder.path()).tensors().size(), 3u);
  EXPECT_EQ(folder.names().size(), 3u) << "two shards and the index";
}

}  // namespace
}  // namespace terse
