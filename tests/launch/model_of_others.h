// A model of another program: the tiny Llama of tests/trainer/saved_model with a tokenizer and a chat template.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace terse::launch::testing {

inline constexpr const char* kTemplateOfOthers =
    "{% for m in messages %}<u>{{ m.content }}<e>{% endfor %}{% if add_generation_prompt %}<a>{% endif %}";

// The tiny Llama of tests/trainer/saved_model, which knows 32 ids, with a tokenizer of 18 tokens.
inline void make_model_of_others(const std::filesystem::path& folder) {
  const std::filesystem::path fixture =
      std::filesystem::path(TERSE_SOURCE_DIR) / "tests/trainer/saved_model/fixtures/llama";
  std::filesystem::create_directories(folder);
  const auto write = [&](const char* name, const std::string& text) { std::ofstream(folder / name) << text; };
  for (const char* name : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(fixture / name, folder / name);
  nlohmann::json vocab, added;
  for (const char* token : {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+", "#", "\xC4\xA0", "\xC4\x8A", "x"}) {
    const size_t id = vocab.size();
    vocab[token] = id;
  }
  for (const char* token : {"<u>", "<a>", "<e>"})
    added.push_back(
        {{"id", vocab.size() + added.size()}, {"content", token}, {"special", true}, {"normalized", false}});
  const nlohmann::json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  const nlohmann::json document = {{"added_tokens", added},
                                   {"pre_tokenizer", bytes},
                                   {"decoder", bytes},
                                   {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", nlohmann::json::array()}}}};
  write("tokenizer.json", document.dump());
  write("tokenizer_config.json", R"({"eos_token": "<e>"})");
  write("generation_config.json", R"({"eos_token_id": 17})");
  write("chat_template.jinja", kTemplateOfOthers);
}

}  // namespace terse::launch::testing
