// Two tables hold the numbers of a shape, their keys and their bounds; both directions use them. The bounds keep the
// sizes of all tensors far from overflow.
#include "trainer/saved_model/hf_config.h"

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "base/errors.h"

namespace terse::trainer {

namespace {

using nlohmann::json;

struct Size {
  const char* key;
  int64_t ModelSpec::*member;
  int64_t least, most;
};
constexpr Size kSizes[] = {
    {"vocab_size", &ModelSpec::vocab, 2, int64_t{1} << 30},
    {"hidden_size", &ModelSpec::hidden_size, 1, 1 << 17},
    {"intermediate_size", &ModelSpec::intermediate_size, 1, 1 << 20},
    {"num_hidden_layers", &ModelSpec::layers, 1, 1000},
    {"num_attention_heads", &ModelSpec::heads, 1, 4096},
    {"num_key_value_heads", &ModelSpec::kv_heads, 1, 4096},
    {"head_dim", &ModelSpec::head_dim, 2, 1 << 17},
    {"max_position_embeddings", &ModelSpec::max_seq_len, 1, 1 << 24},
};

struct Number {
  const char* key;
  double ModelSpec::*member;
  double most;  // the least is above 0
};
constexpr Number kNumbers[] = {
    {"rope_theta", &ModelSpec::rope_theta, 3e38},
    {"rms_norm_eps", &ModelSpec::norm_eps, 1},
    {"initializer_range", &ModelSpec::init_std, 10},
};

struct Family {
  const char* model_type;
  const char* architecture;
  bool qkv_bias, qk_norm;
};
constexpr Family kFamilies[] = {
    {"llama", "LlamaForCausalLM", false, false},
    {"qwen2", "Qwen2ForCausalLM", true, false},
    {"qwen3", "Qwen3ForCausalLM", false, true},
    {"terse", "TerseForCausalLM", true, true},
};

[[noreturn]] void fail(const char* key, const json& found, const std::string& expected) {
  constexpr size_t kShown = 100;
  std::string text = found.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kShown) text = text.substr(0, kShown) + "..";
  throw DataError(fmt::format("\"{}\" is {}; expected {}", key, text, expected));
}

const json& field(const json& config, const char* key) {
  const auto found = config.find(key);
  if (found == config.end()) throw DataError(fmt::format("it has no \"{}\"", key));
  return *found;
}

int64_t read(const json& config, const Size& size) {
  const json& value = field(config, size.key);
  const bool whole = value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX);
  if (whole && value.get<int64_t>() >= size.least && value.get<int64_t>() <= size.most) return value.get<int64_t>();
  fail(size.key, value, fmt::format("a whole number from {} to {}", size.least, size.most));
}

double read(const json& config, const Number& number) {
  const json& value = field(config, number.key);
  if (value.is_number()) {
    const double x = value.get<double>();
    // Kernels take these numbers in fp32.
    if (x > 0 && x <= number.most && std::isnormal(static_cast<float>(x))) return x;
  }
  fail(number.key, value, fmt::format("a number of fp32 above 0, at most {}", number.most));
}

std::string read_text(const json& config, const char* key) {
  const json& value = field(config, key);
  if (!value.is_string()) fail(key, value, "a text");
  return value.get<std::string>();
}

bool read_flag(const json& config, const char* key) {
  const json& value = field(config, key);
  if (!value.is_boolean()) fail(key, value, "true or false");
  return value.get<bool>();
}

// Refuses the key when it is there with another value.
void refuse_other(const json& config, const char* key, const json& only) {
  const auto found = config.find(key);
  if (found != config.end() && *found != only) fail(key, *found, only.dump() + ", or no such key");
}

const Family& read_family(const json& config) {
  const std::string type = read_text(config, "model_type");
  for (const Family& family : kFamilies) {
    if (type != family.model_type) continue;
    if (read_flag(config, "attention_bias") != family.qkv_bias) {
      fail("attention_bias", config["attention_bias"], fmt::format("{} for {}", family.qkv_bias, type));
    }
    if (config.contains("qk_norm") && read_flag(config, "qk_norm") != family.qk_norm) {
      fail("qk_norm", config["qk_norm"], fmt::format("{} for {}", family.qk_norm, type));
    }
    return family;
  }
  fail("model_type", config["model_type"], "llama, qwen2, qwen3 or terse");
}

void refuse_unsupported(const json& config) {
  if (const std::string act = read_text(config, "hidden_act"); act != "silu") {
    fail("hidden_act", config["hidden_act"], "\"silu\"");
  }
  refuse_other(config, "rope_scaling", nullptr);
  refuse_other(config, "mlp_bias", false);
  refuse_other(config, "use_sliding_window", false);
  // Qwen's files name the width of a window that is off.
  if (!config.contains("use_sliding_window")) refuse_other(config, "sliding_window", nullptr);
  const auto layers = config.find("layer_types");
  if (layers == config.end()) return;
  for (const json& layer : *layers) {
    if (layer != "full_attention") fail("layer_types", *layers, "a list of \"full_attention\"");
  }
}

}  // namespace

json to_hf_config(const ModelSpec& spec, int32_t bos, int32_t eos) {
  json config = {{"hidden_act", "silu"},
                 {"rope_scaling", nullptr},
                 {"tie_word_embeddings", spec.tie_embeddings},
                 {"torch_dtype", spec.bf16 ? "bfloat16" : "float32"},
                 {"attention_bias", spec.qkv_bias}};
  for (const Family& family : kFamilies) {
    if (family.qkv_bias != spec.qkv_bias || family.qk_norm != spec.qk_norm) continue;
    config["model_type"] = family.model_type;
    config["architectures"] = json::array({family.architecture});
  }
  if (spec.qkv_bias && spec.qk_norm) config["qk_norm"] = true;
  for (const Size& size : kSizes) config[size.key] = spec.*size.member;
  for (const Number& number : kNumbers) config[number.key] = spec.*number.member;
  if (bos >= 0) config["bos_token_id"] = bos;
  if (eos >= 0) config["eos_token_id"] = eos;
  return config;
}

ModelSpec spec_from_hf_config(const json& config) {
  if (!config.is_object()) throw DataError("it is not a JSON object");
  const Family& family = read_family(config);
  refuse_unsupported(config);
  ModelSpec spec;
  for (const Size& size : kSizes) spec.*size.member = read(config, size);
  for (const Number& number : kNumbers) spec.*number.member = read(config, number);
  spec.qkv_bias = family.qkv_bias;
  spec.qk_norm = family.qk_norm;
  spec.tie_embeddings = read_flag(config, "tie_word_embeddings");
  const std::string dtype = read_text(config, "torch_dtype");
  if (dtype != "float32" && dtype != "bfloat16") fail("torch_dtype", dtype, "float32 or bfloat16");
  spec.bf16 = dtype == "bfloat16";
  if (spec.heads % spec.kv_heads != 0) {
    fail("num_key_value_heads", spec.kv_heads, fmt::format("a divisor of num_attention_heads, {}", spec.heads));
  }
  if (spec.head_dim % 2 != 0) fail("head_dim", spec.head_dim, "an even number, for rotary positions");
  return spec;
}

}  // namespace terse::trainer
