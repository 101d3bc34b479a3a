// Damages small valid files in every byte, and cuts them at every byte. A reader must refuse each, or understand it
// without reading a byte beyond it; under AddressSanitizer, such a byte ends the test.
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "base/formats/gguf/file.h"
#include "base/formats/gguf/writer.h"
#include "base/formats/safetensors/file.h"
#include "base/formats/safetensors/folder.h"
#include "base/formats/tensor_shape.h"
#include "tests/support/tensor_files.h"

namespace terse {
namespace {

using support::GgufText;
using support::little_endian;
using support::safetensors_text;

// Gives each damaged form of `file` to `read`, in memory of exactly its size. Returns how many `read` accepted.
template <typename Read>
size_t damage_everywhere(const std::string& file, Read read) {
  size_t accepted = 0;
  const auto attempt = [&](const std::string& damaged, size_t at) {
    const std::unique_ptr<char[]> memory(new char[damaged.size()]);
    std::copy(damaged.begin(), damaged.end(), memory.get());
    try {
      read(std::string_view(memory.get(), damaged.size()));
      ++accepted;
    } catch (const DataError& error) {
      EXPECT_LT(std::string(error.what()).size(), 2000u);
    } catch (const std::exception& error) {
      ADD_FAILURE() << "byte " << at << ": not a DataError: " << error.what();
    }
  };
  for (size_t at = 0; at < file.size(); ++at) {
    attempt(file.substr(0, at), at);
    std::set<char> values = {0, 1, 0x7F, static_cast<char>(0x80), static_cast<char>(0xFF), '"', '{', '[', ',', '9'};
    for (int bit = 0; bit < 8; ++bit) values.insert(static_cast<char>(file[at] ^ 1 << bit));
    values.erase(file[at]);
    for (const char value : values) {
      std::string damaged = file;
      damaged[at] = value;
      attempt(damaged, at);
    }
    attempt(file.substr(0, at) + file.substr(at + 1), at);
    attempt(file.substr(0, at) + file[at] + file.substr(at), at);
  }
  return accepted;
}

// Reads everything that a file says.
void use(const SafetensorsFile& file) {
  size_t bytes = 0;
  for (const SafetensorsTensor& tensor : file.tensors()) {
    ASSERT_EQ(file.find(tensor.name), &tensor);
    ASSERT_EQ(safetensors_bytes(tensor.dtype, tensor.shape), tensor.bytes.size());
    for (const char c : tensor.bytes) bytes += c != 0;
    if (tensor.dtype != SafetensorsDtype::kF32 && tensor.dtype != SafetensorsDtype::kBF16) continue;
    std::vector<float> values(static_cast<size_t>(element_count(tensor.shape).value()));
    file.read_rows(tensor, 0, row_count(tensor.shape), values);
  }
  EXPECT_LT(bytes, 1000u);
}

void use(const GgufValue& value) {
  const auto elements = value.elements();
  if (elements) {
    for (const GgufValue& element : *elements) use(element);
  }
  size_t sum = 0;
  for (const char c : value.bytes) sum += c != 0;
  EXPECT_LT(sum + static_cast<size_t>(value.boolean().value_or(false)), 1000u);
  EXPECT_FALSE(value.integer() && value.number());
}

void use(const GgufFile& file) {
  for (const GgufEntry& entry : file.metadata()) {
    ASSERT_EQ(file.find(entry.key), &entry.value);
    use(entry.value);
  }
  for (const GgufTensor& tensor : file.tensors()) {
    ASSERT_EQ(file.find_tensor(tensor.name), &tensor);
    ASSERT_EQ(ggml_bytes(tensor.type, tensor.shape), tensor.bytes.size());
    std::vector<float> values(static_cast<size_t>(element_count(tensor.shape).value()));
    file.read_rows(tensor, 0, row_count(tensor.shape), values);  // refuses types that are not converted
  }
}

TEST(DamagedFiles, SafetensorsAreRefusedOrUnderstood) {
  const std::string file = safetensors_text(
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"BF16","shape":[1,3],"data_offsets":[8,14]},"c":{"dtype":"U8","shape":[],"data_offsets":[14,15]}})",
      "0123456789abcde");
  const size_t accepted = damage_everywhere(file, [](std::string_view bytes) { use(SafetensorsFile(bytes, "f")); });
  EXPECT_GT(accepted, 15u * 8) << "damaged data is not noticed, and some names may change";
}

TEST(DamagedFiles, IndexesAreRefusedOrUnderstood) {
  const std::string file =
      R"({"metadata":{"total_size":24},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})";
  const size_t accepted = damage_everywhere(file, [](std::string_view text) {
    for (const auto& [tensor, shard] : parse_safetensors_index(text, "index")) {
      EXPECT_EQ(shard.find('/'), std::string::npos);
    }
  });
  EXPECT_GT(accepted, 10u);
}

std::string small_gguf() {
  GgufMetadata metadata;
  metadata.add_text("general.architecture", "llama");
  metadata.add_uint32("n", 7);
  metadata.add_float32("f", 0.5f);
  metadata.add_bool("b", true);
  metadata.add_texts("tokens", std::vector<std::string>{"a", "", "bc"});
  metadata.add_int32s("types", {1, 2});
  GgufText text;
  text.entries = metadata.bytes();
  text.entry_count = metadata.count();
  const std::string inner = little_endian(0u) + little_endian(uint64_t{2}) + "xy";
  text.entry("nested", 9, little_endian(9u) + little_endian(uint64_t{1}) + inner);
  text.tensor("w", {32, 2}, 8, 0).tensor("v", {3}, 0, 96).tensor("k", {256}, 14, 128).bytes(128 + 210 + 14);
  return text.file();
}

TEST(DamagedFiles, GgufFilesAreRefusedOrUnderstood) {
  const std::string file = small_gguf();
  use(GgufFile(file, "f"));
  const size_t accepted = damage_everywhere(file, [](std::string_view bytes) { use(GgufFile(bytes, "f")); });
  EXPECT_GT(accepted, 352u * 8) << "damaged data is not noticed";
}

TEST(DamagedFiles, FilesOfThePythonLibrariesToo) {
  const std::string gguf = support::read_file(support::format_fixture("python.gguf"));
  EXPECT_GT(damage_everywhere(gguf, [](std::string_view bytes) { use(GgufFile(bytes, "f")); }), 0u);
  const std::string tensors = support::read_file(support::format_fixture("python.safetensors"));
  EXPECT_GT(damage_everywhere(tensors, [](std::string_view bytes) { use(SafetensorsFile(bytes, "f")); }), 0u);
}

}  // namespace
}  // namespace terse
