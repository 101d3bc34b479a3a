// Builds files of tensors byte by byte, right or wrong, and reads the fixtures of tests/base/formats.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"
#include "tests/support/temporary_folder.h"

namespace terse::support {

inline std::filesystem::path format_fixture(const std::string& name) {
  return std::filesystem::path(TERSE_SOURCE_DIR "/tests/base/formats/fixtures") / name;
}

// The bytes of a number in a file.
template <typename T>
std::string little_endian(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

// A safetensors file: the length of the header, the header, the data.
inline std::string safetensors_text(const std::string& header, const std::string& data = "") {
  return little_endian(uint64_t{header.size()}) + header + data;
}

// A GGUF file. Counts are those of what was added, unless they are set.
struct GgufText {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::string entries;
  std::string tensors;
  uint64_t entry_count = 0;
  uint64_t tensor_count = 0;
  std::string data;
  uint64_t alignment = 32;

  static std::string text(std::string_view value) { return little_endian(uint64_t{value.size()}) + std::string(value); }
  // An entry with a value that is encoded already.
  GgufText& entry(std::string_view key, uint32_t type, const std::string& value) {
    entries += text(key) + little_endian(type) + value;
    ++entry_count;
    return *this;
  }
  // `dims` are in the order of the file.
  GgufText& tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset) {
    tensors += text(name) + little_endian(static_cast<uint32_t>(dims.size()));
    for (const uint64_t size : dims) tensors += little_endian(size);
    tensors += little_endian(type) + little_endian(offset);
    ++tensor_count;
    return *this;
  }
  GgufText& bytes(size_t count) {
    for (size_t i = 0; i < count; ++i) data += static_cast<char>(i % 251);
    return *this;
  }
  std::string file() const {
    std::string all = magic + little_endian(version) + little_endian(tensor_count) + little_endian(entry_count);
    all += entries + tensors;
    if (!data.empty()) all.resize((all.size() + alignment - 1) / alignment * alignment);
    return all + data;
  }
};

// The message of the DataError that `action` throws; what went wrong instead when it throws none.
template <typename Action>
std::string data_error(Action action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("no DataError, but: ") + error.what();
  }
  return "no error";
}

}  // namespace terse::support
