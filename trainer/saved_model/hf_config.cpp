// Two tables hold the numbers of a shape, their keys and their bounds; both directions use them. The bounds keep the
// sizes of all tensors far from overflow.
#include "trainer/saved_model/hf_config.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <string_view>

#include "base/errors.h"
#include "base/message_text.h"

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
constexpr double kLargestTheta = 3e38;
constexpr Number kNumbers[] = {
    {"rms_norm_eps", &ModelSpec::norm_eps, 1},
    {"initializer_range", &ModelSpec::init_std, 10},
};

struct Family {
  const char* model_type;
  const char* architecture;
  bool qkv_bias, qk_norm;
  // These hold where the file does not say.
  int64_t head_dim;  // 0: hidden_size / num_attention_heads
  int64_t kv_heads;  // 0: num_attention_heads
};
// The first family of a shape is the one that it is written as.
constexpr Family kFamilies[] = {
    {"llama", "LlamaForCausalLM", false, false, 0, 0},     {"qwen2", "Qwen2ForCausalLM", true, false, 0, 32},
    {"qwen3", "Qwen3ForCausalLM", false, true, 128, 32},   {"terse", "TerseForCausalLM", true, true, 0, 0},
    {"mistral", "MistralForCausalLM", false, false, 0, 8},
};

[[noreturn]] void fail(const std::string& key, const json& found, const std::string& expected) {
  constexpr size_t kShown = 100;
  const std::string text = found.dump(-1, ' ', false, json::error_handler_t::replace);
  throw DataError(fmt::format("\"{}\" is {}; expected {}", key, message_text(text, kShown), expected));
}

// Returns the value of a key; null when it is absent or null.
const json& optional_field(const json& config, const char* key) {
  static const json kNull;
  const auto found = config.find(key);
  return found == config.end() ? kNull : *found;
}

const json& field(const json& config, const char* key) {
  const auto found = config.find(key);
  if (found == config.end()) throw DataError(fmt::format("it has no \"{}\"", key));
  return *found;
}

int64_t read_size(const json& value, const std::string& key, int64_t least, int64_t most) {
  const bool whole = value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX);
  if (whole && value.get<int64_t>() >= least && value.get<int64_t>() <= most) return value.get<int64_t>();
  fail(key, value, fmt::format("a whole number from {} to {}", least, most));
}

double read_number(const json& value, const std::string& key, double most) {
  if (value.is_number()) {
    const double x = value.get<double>();
    // Kernels take these numbers in fp32.
    if (x > 0 && x <= most && std::isnormal(static_cast<float>(x))) return x;
  }
  fail(key, value, fmt::format("a number of fp32 above 0, at most {}", most));
}

std::string read_text(const json& value, const std::string& key) {
  if (!value.is_string()) fail(key, value, "a text");
  return value.get<std::string>();
}

bool read_flag(const json& value, const std::string& key) {
  if (!value.is_boolean()) fail(key, value, "true or false");
  return value.get<bool>();
}

// Returns a copy of the config in which every key that may be absent has the value of transformers' configuration
// classes. Keys that decide about the weights of real models have no default.
json with_defaults(const json& config, const Family& family) {
  json full = config;
  const auto absent = [&](const char* key, const json& value) {
    if (optional_field(full, key).is_null()) full[key] = value;
  };
  absent("hidden_act", "silu");
  absent("initializer_range", 0.02);
  absent("rms_norm_eps", 1e-6);
  absent("tie_word_embeddings", false);
  absent("attention_bias", family.qkv_bias);
  const int64_t hidden_size = read_size(field(full, "hidden_size"), "hidden_size", 1, 1 << 17);
  const int64_t heads = read_size(field(full, "num_attention_heads"), "num_attention_heads", 1, 4096);
  absent("num_key_value_heads", family.kv_heads > 0 ? family.kv_heads : heads);
  absent("head_dim", family.head_dim > 0 ? family.head_dim : hidden_size / heads);
  return full;
}

const Family& read_family(const json& config) {
  const std::string type = read_text(field(config, "model_type"), "model_type");
  for (const Family& family : kFamilies) {
    if (type == family.model_type) return family;
  }
  fail("model_type", config["model_type"], "llama, mistral, qwen2, qwen3 or terse");
}

// Refuses the key when it is there with another value.
void refuse_other(const json& config, const char* key, const json& only) {
  const auto found = config.find(key);
  if (found != config.end() && *found != only) fail(key, *found, only.dump() + ", or no such key");
}

void refuse_window(const json& config, const Family& family) {
  refuse_other(config, "use_sliding_window", false);
  // Qwen's files name the width of a window that is off. Mistral has a window unless its file says otherwise.
  const bool mistral = std::string_view(family.model_type) == "mistral";
  if (mistral && !config.contains("sliding_window")) {
    throw DataError("it has no \"sliding_window\", which means a window of 4096 tokens for mistral; expected null");
  }
  if (mistral || !config.contains("use_sliding_window")) refuse_other(config, "sliding_window", nullptr);
  for (const json& layer : optional_field(config, "layer_types")) {
    if (layer != "full_attention") fail("layer_types", config["layer_types"], "a list of \"full_attention\"");
  }
}

void refuse_unsupported(const json& config, const Family& family) {
  if (const json& act = config["hidden_act"]; act != "silu") fail("hidden_act", act, "\"silu\"");
  if (const json& bias = config["attention_bias"]; bias != family.qkv_bias) {
    fail("attention_bias", bias, fmt::format("{} for {}", family.qkv_bias, family.model_type));
  }
  if (const json& norm = optional_field(config, "qk_norm"); !norm.is_null() && norm != family.qk_norm) {
    fail("qk_norm", norm, fmt::format("{} for {}", family.qk_norm, family.model_type));
  }
  refuse_other(config, "mlp_bias", false);
  refuse_other(config, "quantization_config", nullptr);
  refuse_window(config, family);
}

configs::RopeScaling read_llama3(const json& scaling, const std::string& section) {
  const auto number = [&](const char* key, double most) {
    return read_number(optional_field(scaling, key), section + "." + key, most);
  };
  configs::RopeScaling result;
  result.type = "llama3";
  result.factor = number("factor", 1e6);
  result.low_freq_factor = number("low_freq_factor", 1e6);
  result.high_freq_factor = number("high_freq_factor", 1e6);
  const char* const original = "original_max_position_embeddings";
  result.original_max_seq_len =
      read_size(optional_field(scaling, original), section + "." + original, 1, int64_t{1} << 24);
  if (result.low_freq_factor >= result.high_freq_factor) {
    fail(section + ".low_freq_factor", result.low_freq_factor,
         fmt::format("less than high_freq_factor, {}", result.high_freq_factor));
  }
  return result;
}

// transformers 4 has rope_theta and rope_scaling, transformers 5 has both in rope_parameters.
void read_rope(const json& config, ModelSpec& spec) {
  const bool new_names = !optional_field(config, "rope_parameters").is_null();
  const std::string section = new_names ? "rope_parameters" : "rope_scaling";
  const json& scaling = optional_field(config, section.c_str());
  const json& theta = optional_field(new_names ? scaling : config, "rope_theta");
  spec.rope_theta = 10000;
  if (!theta.is_null())
    spec.rope_theta = read_number(theta, new_names ? section + ".rope_theta" : "rope_theta", kLargestTheta);
  if (scaling.is_null()) return;
  if (!scaling.is_object()) fail(section, scaling, "an object or null");
  const char* const key = scaling.contains("rope_type") ? "rope_type" : "type";
  const json& type = optional_field(scaling, key);
  if (type == "default") return;
  if (type != "llama3") fail(section, scaling, "\"default\" or \"llama3\" as its rope_type");
  spec.rope_scaling = read_llama3(scaling, section);
}

bool read_bf16(const json& config) {
  const char* const key = config.contains("dtype") ? "dtype" : "torch_dtype";
  const json& dtype = optional_field(config, key);
  if (dtype.is_null() || dtype == "float32" || dtype == "float16") return false;
  if (dtype == "bfloat16") return true;
  fail(key, dtype, "float32, float16 or bfloat16");
}

}  // namespace

json to_hf_config(const ModelSpec& spec, int32_t bos, const std::vector<int32_t>& eos) {
  json config = {{"hidden_act", "silu"},
                 {"rope_scaling", nullptr},
                 {"rope_theta", spec.rope_theta},
                 {"tie_word_embeddings", spec.tie_embeddings},
                 {"torch_dtype", spec.bf16 ? "bfloat16" : "float32"},
                 {"attention_bias", spec.qkv_bias}};
  for (const Family& family : kFamilies) {
    if (family.qkv_bias != spec.qkv_bias || family.qk_norm != spec.qk_norm) continue;
    config["model_type"] = family.model_type;
    config["architectures"] = json::array({family.architecture});
    break;
  }
  if (spec.qkv_bias && spec.qk_norm) config["qk_norm"] = true;
  if (const configs::RopeScaling& scaling = spec.rope_scaling; scaling.type == "llama3") {
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", scaling.factor},
                              {"low_freq_factor", scaling.low_freq_factor},
                              {"high_freq_factor", scaling.high_freq_factor},
                              {"original_max_position_embeddings", scaling.original_max_seq_len}};
  }
  for (const Size& size : kSizes) config[size.key] = spec.*size.member;
  for (const Number& number : kNumbers) config[number.key] = spec.*number.member;
  if (bos >= 0) config["bos_token_id"] = bos;
  if (eos.size() == 1) config["eos_token_id"] = eos.front();
  if (eos.size() > 1) config["eos_token_id"] = eos;
  return config;
}

ModelSpec spec_from_hf_config(const json& given) {
  if (!given.is_object()) throw DataError("it is not a JSON object");
  const Family& family = read_family(given);
  const json config = with_defaults(given, family);
  refuse_unsupported(config, family);
  ModelSpec spec;
  for (const Size& size : kSizes)
    spec.*size.member = read_size(field(config, size.key), size.key, size.least, size.most);
  for (const Number& number : kNumbers)
    spec.*number.member = read_number(field(config, number.key), number.key, number.most);
  read_rope(config, spec);
  spec.qkv_bias = family.qkv_bias;
  spec.qk_norm = family.qk_norm;
  spec.tie_embeddings = read_flag(config["tie_word_embeddings"], "tie_word_embeddings");
  spec.bf16 = read_bf16(config);
  if (spec.heads % spec.kv_heads != 0) {
    fail("num_key_value_heads", spec.kv_heads, fmt::format("a divisor of num_attention_heads, {}", spec.heads));
  }
  if (spec.head_dim % 2 != 0) fail("head_dim", spec.head_dim, "an even number, for rotary positions");
  return spec;
}

}  // namespace terse::trainer
