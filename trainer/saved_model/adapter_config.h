// The adapter_config.json of PEFT, which tells the rank, the scale and the targets of LoRA's adapters. Checkpoints of
// runs with LoRA hold one, too.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "configs/run_config.h"

namespace terse::trainer {

inline constexpr char kAdapterConfig[] = "adapter_config.json";

// `base_model` is the path or name of the model that the adapters belong to; empty: unknown.
nlohmann::json to_adapter_config(const configs::Lora& lora, const std::string& base_model);

// Throws DataError, which names the key, for a key that is missing, of another type or out of range, and for whatever
// asks for something that terse does not do: other methods than LoRA, DoRA, rank-stabilized scaling, biases, modules
// that are saved whole, ranks by layer. A key that this version does not know has to be off.
configs::Lora lora_from_adapter_config(const nlohmann::json& config);

}  // namespace terse::trainer
