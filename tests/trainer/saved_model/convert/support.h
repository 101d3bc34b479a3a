// Fixtures with a tokenizer and a chat template to convert, and the tensors of what comes out.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "base/formats/gguf/file.h"
#include "base/formats/safetensors/folder.h"
#include "tests/support/temporary_folder.h"
#include "trainer/saved_model/convert/convert.h"

namespace terse::trainer::converting {

namespace fs = std::filesystem;
using nlohmann::json;

inline const fs::path kFixtures = fs::path(TERSE_SOURCE_DIR) / "tests/trainer/saved_model/fixtures";
inline const char* const kModels[] = {"llama", "mistral", "qwen2", "qwen3"};
inline const std::string kTemplate = "{% for m in messages %}{{ m.content }}<eos>{% endfor %}";

// 30 tokens, so that the models, which know 32, have two ids that no text has. Two tokens end a response.
inline std::string tiny_tokenizer() {
  json vocab = json::object();
  for (int i = 0; i < 26; ++i) vocab[std::string(1, static_cast<char>('a' + i))] = i;
  vocab["ab"] = 26;
  vocab["abc"] = 27;
  const json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const auto special = [](int id, const char* content) {
    return json{{"id", id}, {"content", content}, {"special", true}, {"normalized", false}};
  };
  return json{{"version", "1.0"},
              {"added_tokens", {special(28, "<bos>"), special(29, "<eos>")}},
              {"pre_tokenizer", bytes},
              {"decoder", bytes},
              {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"a b", "ab c"}}}}}
      .dump();
}

class Convert : public ::testing::Test {
 protected:
  // A copy of a fixture with a tokenizer and a chat template.
  fs::path model(const std::string& name) const {
    const fs::path path = folder_ / ("given-" + name);
    if (fs::exists(path)) return path;
    fs::create_directory(path);
    for (const fs::directory_entry& entry : fs::directory_iterator(kFixtures / name)) {
      const std::string file = entry.path().filename();
      if (file != "expected.json" && file != "model.gguf") fs::copy(entry.path(), path / file);
    }
    std::ofstream(path / "tokenizer.json") << tiny_tokenizer();
    std::ofstream(path / "tokenizer_config.json") << R"({"bos_token": "<bos>", "eos_token": "<eos>"})";
    std::ofstream(path / "generation_config.json") << R"({"eos_token_id": [29, 27], "top_p": 0.8})";
    std::ofstream(path / "chat_template.jinja") << kTemplate;
    return path;
  }
  Converted convert(const fs::path& from, const std::string& to, ModelFormat format,
                    std::optional<GgmlType> dtype = {}) const {
    return convert_model({.from = from, .to = folder_ / to, .format = format, .dtype = dtype});
  }
  Converted to_hf(const fs::path& from, const std::string& to, std::optional<GgmlType> dtype = {}) const {
    return convert(from, to, ModelFormat::kHf, dtype);
  }
  Converted to_gguf(const fs::path& from, const std::string& to, std::optional<GgmlType> dtype = {}) const {
    return convert(from, to, ModelFormat::kGguf, dtype);
  }
  Converted to_checkpoint(const fs::path& from, const std::string& to) const {
    return convert(from, to, ModelFormat::kCheckpoint);
  }
  std::string complaint(const std::function<void()>& action) const {
    try {
      action();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "no complaint";
  }
  support::TemporaryFolder folder_;
};

// The types and bytes of all tensors of a folder.
inline std::map<std::string, std::pair<std::string, std::string>> tensors_of(const fs::path& folder) {
  std::map<std::string, std::pair<std::string, std::string>> result;
  const SafetensorsFolder tensors(folder);
  for (const auto& [file, tensor] : tensors.tensors())
    result[tensor->name] = {std::string(safetensors_name(tensor->dtype)), std::string(tensor->bytes)};
  return result;
}

inline std::map<std::string, std::pair<std::string, std::string>> tensors_of_gguf(const fs::path& path) {
  std::map<std::string, std::pair<std::string, std::string>> result;
  const GgufFile file(path);
  for (const GgufTensor& tensor : file.tensors())
    result[std::string(tensor.name)] = {std::string(ggml_name(tensor.type)), std::string(tensor.bytes)};
  return result;
}

inline json json_of(const fs::path& file) {
  return json::parse(support::read_file(file));
}

}  // namespace terse::trainer::converting
