// Reads hostile files config.json through what opens model.init.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/hostile/hostile_files.h"
#include "tests/hostile/model_folder.h"

namespace terse::support {
namespace {

using nlohmann::json;

struct Change {
  const char* key;
  const char* value;  // as it stands in the file
  std::vector<std::string> words;
};

// Shapes that are wrong although each of their numbers is one.
const std::vector<Change> kChanges = {
    {"model_type", "\"gpt2\"", {"\"model_type\" is \"gpt2\"; expected llama"}},
    {"vocab_size", "1073741824", {"tensor model.embed_tokens.weight has shape [32, 24]", "[1073741824, 24]"}},
    {"vocab_size", "1073741825", {"\"vocab_size\" is 1073741825; expected a whole number from 2 to 1073741824"}},
    {"hidden_size", "131072", {"tensor model.embed_tokens.weight has shape", "[32, 131072]"}},
    {"hidden_size", "131073", {"\"hidden_size\" is 131073"}},
    {"intermediate_size", "1048576", {"tensor model.layers.0.mlp.gate_proj.weight has shape"}},
    {"intermediate_size", "1048577", {"\"intermediate_size\" is 1048577"}},
    {"num_hidden_layers", "1000", {"no tensor \"model.layers.2."}},
    {"num_hidden_layers", "1001", {"\"num_hidden_layers\" is 1001; expected a whole number from 1 to 1000"}},
    {"num_hidden_layers", "1", {"tensor \"model.layers.1."}},
    {"num_attention_heads", "4096", {"tensor model.layers.0.self_attn.q_proj.weight has shape"}},
    {"num_attention_heads", "4097", {"\"num_attention_heads\" is 4097"}},
    {"num_key_value_heads", "3", {"\"num_key_value_heads\" is 3; expected a divisor of num_attention_heads, 4"}},
    {"num_key_value_heads", "8", {"\"num_key_value_heads\" is 8; expected a divisor of num_attention_heads, 4"}},
    {"head_dim", "7", {"\"head_dim\" is 7; expected an even number"}},
    {"head_dim", "131072", {"tensor model.layers.0.self_attn.q_proj.weight has shape"}},
    {"head_dim", "131074", {"\"head_dim\" is 131074"}},
    {"max_position_embeddings", "16777217", {"\"max_position_embeddings\" is 16777217"}},
    {"rms_norm_eps", "-1e-6", {"\"rms_norm_eps\" is -1e-06; expected a number of fp32 above 0"}},
    {"rms_norm_eps", "1e-46", {"\"rms_norm_eps\" is 1e-46"}},
    {"rms_norm_eps", "2", {"\"rms_norm_eps\" is 2"}},
    {"initializer_range", "11", {"\"initializer_range\" is 11"}},
    {"hidden_act", "\"gelu\"", {"\"hidden_act\" is \"gelu\"; expected \"silu\""}},
    {"attention_bias", "true", {"\"attention_bias\" is true; expected false for llama"}},
    {"mlp_bias", "true", {"\"mlp_bias\" is true"}},
    {"qk_norm", "true", {"\"qk_norm\" is true; expected false for llama"}},
    {"tie_word_embeddings", "false", {"no tensor \"lm_head.weight\""}},
    {"quantization_config", "{\"bits\":4}", {"\"quantization_config\" is {\"bits\":4}"}},
    {"sliding_window", "4096", {"\"sliding_window\" is 4096"}},
    {"use_sliding_window", "true", {"\"use_sliding_window\" is true"}},
    {"layer_types", "[\"full_attention\",\"sliding_attention\"]", {"\"layer_types\" is ", "\"full_attention\""}},
    {"layer_types", "7", {"\"layer_types\" is 7"}},
    {"dtype", "\"int8\"", {"\"dtype\" is \"int8\"; expected float32, float16 or bfloat16"}},
    {"rope_parameters",
     "{\"rope_type\":\"yarn\",\"factor\":4}",
     {"\"rope_parameters\" is ", "\"llama3\" as its rope_type"}},
    {"rope_parameters", "{\"rope_type\":\"linear\",\"factor\":4}", {"\"rope_parameters\" is "}},
    {"rope_parameters", "{\"rope_type\":[\"llama3\"]}", {"\"rope_parameters\" is "}},
    {"rope_parameters", "{\"rope_type\":\"llama3\"}", {"\"rope_parameters.factor\" is null"}},
    {"rope_parameters", "{\"rope_theta\":0}", {"\"rope_parameters.rope_theta\" is 0"}},
    {"rope_parameters", "{\"rope_theta\":-5}", {"\"rope_parameters.rope_theta\" is -5"}},
    {"rope_parameters",
     "{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":4,"
     "\"original_max_position_embeddings\":8192}",
     {"\"rope_parameters.low_freq_factor\" is 4", "less than high_freq_factor"}},
};

std::string with(const std::string& sound, const Change& change) {
  json config = json::parse(sound);
  config[change.key] = json::parse(change.value);
  return config.dump();
}

std::string repeated(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

// Large files whose documents take as much memory as can be: elements and members of few bytes.
std::vector<HostileFile> large_files(const std::string& sound) {
  const std::string start = sound.substr(0, sound.rfind('}'));
  std::string members;
  for (int i = 0; i < 100000; ++i) members += fmt::format(",\"{:x}\":0", i);
  return {
      {"many lists", start + ",\"hidden_act\":[" + repeated("[],", 300000) + "[]]}", {"\"hidden_act\" is [[],[]"}},
      {"many objects", start + ",\"hidden_act\":[" + repeated("{\"\":0},", 150000) + "0]}", {"\"hidden_act\" is [{"}},
      {"many numbers", start + ",\"mlp_bias\":[" + repeated("0,", 500000) + "0]}", {"\"mlp_bias\" is [0,0"}},
      {"many members", start + members + ",\"head_dim\":7}", {"\"head_dim\" is 7"}},
      {"too large", start + repeated(" ", 17u << 20) + "}", {"expected at most 16"}},
  };
}

TEST(HostileConfigJson, IsRefusedWithAClearError) {
  const ModelFolder folder;
  const std::string sound = folder.sound("config.json");
  HostileFiles files(folder.path() / "config.json", {64, 4u << 20}, [&] { read_weights(folder.path()); });
  for (const Change& change : kChanges) files.refuse({change.key, with(sound, change), change.words});
  for (const HostileFile& file : large_files(sound)) files.refuse(file);
  for (const HostileFile& file : hostile_json(sound)) files.refuse_or_read(file);
  std::vector<size_t> places;
  for (size_t at = 0; at + 2 < sound.size(); at += 23) places.push_back(at);
  for (const HostileFile& file : truncated(sound, places)) files.refuse(file);
  for (const HostileFile& file : damaged(sound, 1, 300)) files.refuse_or_read(file);
  files.finish("config.json");
}

}  // namespace
}  // namespace terse::support
