// The shape of a model comes back from its config.json to the last bit, and a config.json of anything else is refused.
#include "trainer/saved_model/hf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/errors.h"
#include "tests/support/tiny_model.h"

namespace terse::trainer {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

void expect_equal(const ModelSpec& a, const ModelSpec& b) {
  EXPECT_EQ(a.vocab, b.vocab);
  EXPECT_EQ(a.layers, b.layers);
  EXPECT_EQ(a.hidden_size, b.hidden_size);
  EXPECT_EQ(a.heads, b.heads);
  EXPECT_EQ(a.kv_heads, b.kv_heads);
  EXPECT_EQ(a.head_dim, b.head_dim);
  EXPECT_EQ(a.intermediate_size, b.intermediate_size);
  EXPECT_EQ(a.max_seq_len, b.max_seq_len);
  EXPECT_EQ(a.rope_theta, b.rope_theta);
  EXPECT_EQ(a.rope_scaling.type, b.rope_scaling.type);
  EXPECT_EQ(a.rope_scaling.factor, b.rope_scaling.factor);
  EXPECT_EQ(a.rope_scaling.low_freq_factor, b.rope_scaling.low_freq_factor);
  EXPECT_EQ(a.rope_scaling.high_freq_factor, b.rope_scaling.high_freq_factor);
  EXPECT_EQ(a.rope_scaling.original_max_seq_len, b.rope_scaling.original_max_seq_len);
  EXPECT_EQ(a.norm_eps, b.norm_eps);
  EXPECT_EQ(a.qk_norm, b.qk_norm);
  EXPECT_EQ(a.qkv_bias, b.qkv_bias);
  EXPECT_EQ(a.tie_embeddings, b.tie_embeddings);
  EXPECT_EQ(a.init_std, b.init_std);
  EXPECT_EQ(a.bf16, b.bf16);
}

ModelSpec spec_with(bool qk_norm, bool qkv_bias, bool tied = true) {
  ModelSpec spec = support::tiny_spec({.qk_norm = qk_norm, .qkv_bias = qkv_bias, .tied = tied});
  spec.rope_theta = 10000.0 * (1.0 / 3);
  spec.norm_eps = 1e-6 / 7;
  spec.init_std = 0.1 + 0.2;
  return spec;
}

TEST(HfConfig, ComesBackToTheLastBit) {
  for (int bits = 0; bits < 16; ++bits) {
    ModelSpec spec = spec_with(bits & 1, bits & 2, bits & 4);
    spec.bf16 = bits & 8;
    expect_equal(spec_from_hf_config(json::parse(to_hf_config(spec, 1, {2}).dump(2))), spec);
    spec.rope_scaling = {"llama3", 32.1, 1.0 / 3, 4.7, 4097};
    expect_equal(spec_from_hf_config(json::parse(to_hf_config(spec, 1, {2, 3}).dump(2))), spec);
  }
  const ModelSpec defaults = resolve(configs::Model{}, 258);
  expect_equal(spec_from_hf_config(json::parse(to_hf_config(defaults).dump())), defaults);
}

TEST(HfConfig, HasTheKeysAndNamesOfHuggingFace) {
  const json config = to_hf_config(spec_with(false, false), 5, {6});
  EXPECT_EQ(config.at("model_type"), "llama");
  EXPECT_EQ(config.at("architectures"), json::array({"LlamaForCausalLM"}));
  EXPECT_EQ(config.at("vocab_size"), 16);
  EXPECT_EQ(config.at("hidden_size"), 48);
  EXPECT_EQ(config.at("intermediate_size"), 80);
  EXPECT_EQ(config.at("num_hidden_layers"), 2);
  EXPECT_EQ(config.at("num_attention_heads"), 4);
  EXPECT_EQ(config.at("num_key_value_heads"), 2);
  EXPECT_EQ(config.at("head_dim"), 16);
  EXPECT_EQ(config.at("max_position_embeddings"), 160);
  EXPECT_EQ(config.at("hidden_act"), "silu");
  EXPECT_EQ(config.at("torch_dtype"), "float32");
  EXPECT_EQ(config.at("attention_bias"), false);
  EXPECT_EQ(config.at("tie_word_embeddings"), true);
  EXPECT_EQ(config.at("bos_token_id"), 5);
  EXPECT_EQ(config.at("eos_token_id"), 6);
  EXPECT_EQ(to_hf_config(spec_with(false, false), 5, {6, 7}).at("eos_token_id"), json::array({6, 7}));
  EXPECT_FALSE(to_hf_config(spec_with(false, false)).contains("bos_token_id"));
  EXPECT_FALSE(to_hf_config(spec_with(false, false)).contains("eos_token_id"));
  EXPECT_EQ(to_hf_config(spec_with(false, true)).at("model_type"), "qwen2");
  EXPECT_EQ(to_hf_config(spec_with(true, false)).at("model_type"), "qwen3");
  EXPECT_EQ(to_hf_config(spec_with(true, true)).at("model_type"), "terse");
  EXPECT_EQ(to_hf_config(spec_with(true, true)).at("qk_norm"), true);
}

TEST(HfConfig, WholeNumbersMayStandForNumbers) {
  json config = to_hf_config(spec_with(false, false));
  config["rope_theta"] = 10000;
  EXPECT_EQ(spec_from_hf_config(config).rope_theta, 10000.0);
}

json llama3(double factor, double low, double high, int64_t original) {
  return {{"rope_type", "llama3"},
          {"factor", factor},
          {"low_freq_factor", low},
          {"high_freq_factor", high},
          {"original_max_position_embeddings", original}};
}

// A config.json of the given family with nothing but what no default can give.
json bare(const std::string& model_type) {
  return {{"model_type", model_type},  {"vocab_size", 300},
          {"hidden_size", 2560},       {"intermediate_size", 9728},
          {"num_hidden_layers", 2},    {"num_attention_heads", 32},
          {"sliding_window", nullptr}, {"max_position_embeddings", 4096}};
}

// The values are those of transformers' configuration classes.
TEST(HfConfig, AbsentKeysHaveTheValuesOfTheirFamily) {
  const ModelSpec llama = spec_from_hf_config(bare("llama"));
  EXPECT_EQ(llama.kv_heads, 32);
  EXPECT_EQ(llama.head_dim, 80);
  EXPECT_EQ(llama.norm_eps, 1e-6);
  EXPECT_EQ(llama.rope_theta, 10000.0);
  EXPECT_EQ(llama.init_std, 0.02);
  EXPECT_FALSE(llama.tie_embeddings);
  EXPECT_FALSE(llama.qkv_bias || llama.qk_norm || llama.bf16);
  EXPECT_EQ(spec_from_hf_config(bare("mistral")).kv_heads, 8);
  EXPECT_EQ(spec_from_hf_config(bare("qwen2")).kv_heads, 32);
  EXPECT_TRUE(spec_from_hf_config(bare("qwen2")).qkv_bias);
  EXPECT_EQ(spec_from_hf_config(bare("qwen3")).head_dim, 128);
  EXPECT_TRUE(spec_from_hf_config(bare("qwen3")).qk_norm);
}

TEST(HfConfig, ReadsTheKeysOfBothVersionsOfTransformers) {
  json old = bare("llama"), now = bare("llama");
  old["rope_theta"] = 500000;
  old["rope_scaling"] = llama3(8, 1, 4, 8192);
  old["torch_dtype"] = "bfloat16";
  now["rope_parameters"] = llama3(8, 1, 4, 8192);
  now["rope_parameters"]["rope_theta"] = 500000;
  now["dtype"] = "bfloat16";
  for (const json& config : {old, now}) {
    const ModelSpec spec = spec_from_hf_config(config);
    EXPECT_EQ(spec.rope_theta, 500000.0);
    EXPECT_EQ(spec.rope_scaling.type, "llama3");
    EXPECT_EQ(spec.rope_scaling.factor, 8.0);
    EXPECT_EQ(spec.rope_scaling.low_freq_factor, 1.0);
    EXPECT_EQ(spec.rope_scaling.high_freq_factor, 4.0);
    EXPECT_EQ(spec.rope_scaling.original_max_seq_len, 8192);
    EXPECT_TRUE(spec.bf16);
  }
  now["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 300.5}};
  EXPECT_EQ(spec_from_hf_config(now).rope_theta, 300.5);
  EXPECT_EQ(spec_from_hf_config(now).rope_scaling.type, "none");
}

// The key that the message names, and the edit of a good config that leads to it.
using Misfits = std::vector<std::pair<std::string, std::function<void(json&)>>>;
const Misfits kMisfits = {
    {"\"vocab_size\" is 1;", [](json& c) { c["vocab_size"] = 1; }},
    {"\"vocab_size\" is 4611686018427387904;", [](json& c) { c["vocab_size"] = int64_t{1} << 62; }},
    {"\"vocab_size\" is 18446744073709551615;", [](json& c) { c["vocab_size"] = UINT64_MAX; }},
    {"\"hidden_size\" is -48;", [](json& c) { c["hidden_size"] = -48; }},
    {"\"hidden_size\" is 48.0;", [](json& c) { c["hidden_size"] = 48.0; }},
    {"\"num_hidden_layers\" is 1000000;", [](json& c) { c["num_hidden_layers"] = 1000000; }},
    {"\"num_key_value_heads\" is 3; expected a divisor", [](json& c) { c["num_key_value_heads"] = 3; }},
    {"\"head_dim\" is 15; expected an even number", [](json& c) { c["head_dim"] = 15; }},
    {"\"rms_norm_eps\" is 1e-50;", [](json& c) { c["rms_norm_eps"] = 1e-50; }},
    {"\"initializer_range\" is \"0.02\";", [](json& c) { c["initializer_range"] = "0.02"; }},
    {"\"torch_dtype\" is \"int8\";", [](json& c) { c["torch_dtype"] = "int8"; }},
    {"\"dtype\" is \"float64\";", [](json& c) { c["dtype"] = "float64"; }},
    {"\"quantization_config\" is {\"bits\":4}", [](json& c) { c["quantization_config"]["bits"] = 4; }},
    {"it has no \"sliding_window\", which means a window", [](json& c) { c["model_type"] = "mistral"; }},
    {"\"sliding_window\" is 4096;",
     [](json& c) {
       c["model_type"] = "mistral";
       c["sliding_window"] = 4096;
     }},
    {"\"tie_word_embeddings\" is 1;", [](json& c) { c["tie_word_embeddings"] = 1; }},
    {"\"hidden_act\" is \"gelu\";", [](json& c) { c["hidden_act"] = "gelu"; }},
    {"\"mlp_bias\" is true;", [](json& c) { c["mlp_bias"] = true; }},
    {"\"use_sliding_window\" is true;", [](json& c) { c["use_sliding_window"] = true; }},
    {"\"sliding_window\" is 4096;", [](json& c) { c["sliding_window"] = 4096; }},
    {"\"layer_types\" is ",
     [](json& c) {
       c["layer_types"] = {"full_attention", "sliding_attention"};
     }},
    {"\"model_type\" is \"gpt2\";", [](json& c) { c["model_type"] = "gpt2"; }},
    {"\"attention_bias\" is true; expected false for llama", [](json& c) { c["attention_bias"] = true; }},
    {"\"attention_bias\" is false; expected true for qwen2", [](json& c) { c["model_type"] = "qwen2"; }},
    {"\"qk_norm\" is true; expected false for llama", [](json& c) { c["qk_norm"] = true; }},
};
const Misfits kRopeMisfits = {
    {"\"rope_theta\" is 0;", [](json& c) { c["rope_theta"] = 0; }},
    {"\"rope_theta\" is 1e+300;", [](json& c) { c["rope_theta"] = 1e300; }},
    {"\"rope_scaling\" is {\"factor\":2.0,\"type\":\"linear\"}; expected \"default\" or \"llama3\"",
     [](json& c) {
       c["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
     }},
    {"\"rope_parameters\" is {\"rope_type\":\"yarn\"};", [](json& c) { c["rope_parameters"]["rope_type"] = "yarn"; }},
    {"\"rope_parameters.rope_theta\" is 0;",
     [](json& c) {
       c["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 0}};
     }},
    {"\"rope_scaling.factor\" is null;", [](json& c) { c["rope_scaling"]["rope_type"] = "llama3"; }},
    {"\"rope_scaling.original_max_position_embeddings\" is 0;",
     [](json& c) { c["rope_scaling"] = llama3(8, 1, 4, 0); }},
    {"\"rope_scaling.low_freq_factor\" is 4.0; expected less than",
     [](json& c) { c["rope_scaling"] = llama3(8, 4, 4, 8192); }},
    {"\"rope_scaling\" is 5; expected an object or null", [](json& c) { c["rope_scaling"] = 5; }},
    {"\"rope_scaling\" is {\"factor\":8.0}",
     [](json& c) {
       c["rope_scaling"] = {{"factor", 8.0}};
     }},
};

TEST(HfConfig, RefusesWhatItCannotBe) {
  for (const Misfits& misfits : {kMisfits, kRopeMisfits}) {
    for (const auto& [message, edit] : misfits) {
      json config = to_hf_config(spec_with(false, false));
      edit(config);
      try {
        spec_from_hf_config(config);
        ADD_FAILURE() << "expected: " << message;
      } catch (const DataError& error) {
        EXPECT_THAT(error.what(), HasSubstr(message));
      }
    }
  }
  json off = to_hf_config(spec_with(false, false));
  off["use_sliding_window"] = false;
  off["sliding_window"] = 4096;
  off["layer_types"] = {"full_attention", "full_attention"};
  EXPECT_NO_THROW(spec_from_hf_config(off));
}

TEST(HfConfig, NamesEachKeyThatIsMissingOrOfAnotherType) {
  const json whole = to_hf_config(spec_with(false, false));
  for (const auto& [key, value] : whole.items()) {
    if (key == "architectures") continue;  // not read
    json config = whole;
    config.erase(key);
    if (bare("llama").contains(key)) {
      try {
        spec_from_hf_config(config);
        ADD_FAILURE() << key << " is missing";
      } catch (const DataError& error) {
        EXPECT_THAT(error.what(), HasSubstr("it has no \"" + key + "\""));
      }
      config[key] = nullptr;
      EXPECT_THROW(spec_from_hf_config(config), DataError) << key;
    } else {
      EXPECT_NO_THROW(spec_from_hf_config(config)) << key;
    }
    for (const json& other : {json("x"), json::array(), json::object(), json(-1)}) {
      config[key] = other;
      EXPECT_THROW(spec_from_hf_config(config), DataError) << key << " " << other;
    }
  }
  for (const json& other : {json(nullptr), json("x"), json::array(), json(5)})
    EXPECT_THROW(spec_from_hf_config(other), DataError);
}

}  // namespace
}  // namespace terse::trainer
