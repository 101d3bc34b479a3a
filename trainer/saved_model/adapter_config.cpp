// PEFT gains keys with every version, and most of them switch a variant of LoRA on. So whatever is not known here has
// to be off, or it is refused by name.
#include "trainer/saved_model/adapter_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "base/errors.h"
#include "trainer/saved_model/json_field.h"

namespace terse::trainer {

namespace {

using nlohmann::json;

constexpr int64_t kLargestRank = 4096;

// These keys do not change what an adapter computes, whatever their values are.
constexpr std::string_view kHarmless[] = {"auto_mapping", "base_model_name_or_path", "inference_mode", "megatron_core",
                                          "peft_version", "qalora_group_size",       "revision",       "task_type"};
// These keys are read or checked one by one.
constexpr std::string_view kRead[] = {"peft_type",      "r",    "lora_alpha",       "lora_dropout",
                                      "target_modules", "bias", "init_lora_weights"};

bool is_off(const json& value) {
  return value.is_null() || value == false || value == "" || ((value.is_object() || value.is_array()) && value.empty());
}

void refuse_unsupported(const json& config) {
  const auto among = [](const auto& keys, const std::string& key) {
    return std::find(std::begin(keys), std::end(keys), key) != std::end(keys);
  };
  for (const auto& [key, value] : config.items()) {
    if (among(kHarmless, key) || among(kRead, key) || is_off(value)) continue;
    fail_field(key, value, "null, false or nothing, because terse does not support it");
  }
  const json bias = config.value("bias", json("none"));
  if (bias != "none") fail_field("bias", bias, "\"none\", because terse trains no biases beside adapters");
  // The other ways to begin change the weights of the base model.
  const json init = config.value("init_lora_weights", json(true));
  if (!init.is_boolean() && init != "gaussian") fail_field("init_lora_weights", init, "true, false or \"gaussian\"");
}

double number(const json& config, const char* key) {
  const json& value = required_field(config, key);
  if (!value.is_number()) fail_field(key, value, "a number");
  return value.get<double>();
}

std::vector<std::string> targets_of(const json& config) {
  const std::vector<std::string> all = configs::Lora{}.targets;
  const json& value = required_field(config, "target_modules");
  if (value == "all-linear") return all;
  if (!value.is_array() || value.empty()) fail_field("target_modules", value, "a list of projections");
  std::set<std::string> named;
  for (const json& target : value) {
    if (!target.is_string() || std::find(all.begin(), all.end(), target.get<std::string>()) == all.end()) {
      fail_field("target_modules", target, fmt::format("some of {}", fmt::join(all, ", ")));
    }
    named.insert(target.get<std::string>());
  }
  std::vector<std::string> targets;
  std::copy_if(all.begin(), all.end(), std::back_inserter(targets),
               [&](const std::string& target) { return named.contains(target); });
  return targets;
}

}  // namespace

json to_adapter_config(const configs::Lora& lora, const std::string& base_model) {
  const bool whole = lora.alpha == std::floor(lora.alpha);
  return {{"peft_type", "LORA"},
          {"task_type", "CAUSAL_LM"},
          {"base_model_name_or_path", base_model.empty() ? json() : json(base_model)},
          {"r", lora.rank},
          {"lora_alpha", whole ? json(static_cast<int64_t>(lora.alpha)) : json(lora.alpha)},
          {"lora_dropout", lora.dropout},
          {"target_modules", lora.targets},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"use_rslora", false},
          {"use_dora", false},
          {"modules_to_save", json()},
          {"layers_to_transform", json()},
          {"rank_pattern", json::object()},
          {"alpha_pattern", json::object()},
          {"init_lora_weights", true},
          {"inference_mode", true}};
}

configs::Lora lora_from_adapter_config(const json& config) {
  if (!config.is_object()) throw DataError("it is no JSON object");
  const json& type = required_field(config, "peft_type");
  if (type != "LORA") fail_field("peft_type", type, "\"LORA\"");
  refuse_unsupported(config);
  configs::Lora lora;
  const json& rank = required_field(config, "r");
  lora.rank = rank.is_number_integer() ? rank.get<int64_t>() : 0;
  if (lora.rank < 1 || lora.rank > kLargestRank) {
    fail_field("r", rank, fmt::format("a whole number from 1 to {}", kLargestRank));
  }
  lora.alpha = number(config, "lora_alpha");
  if (!(lora.alpha > 0 && lora.alpha <= 1e6))
    fail_field("lora_alpha", config["lora_alpha"], "a number above 0, at most 1e6");
  lora.dropout = config.contains("lora_dropout") ? number(config, "lora_dropout") : 0;
  if (!(lora.dropout >= 0 && lora.dropout < 1))
    fail_field("lora_dropout", config["lora_dropout"], "a number from 0, below 1");
  lora.targets = targets_of(config);
  return lora;
}

}  // namespace terse::trainer
