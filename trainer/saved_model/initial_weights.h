// The weights that a new run takes from model.init: a checkpoint, or a model of another program. Nothing else is taken:
// the optimizer is fresh, and the run begins at step 0. Adapters of a checkpoint are merged into its weights.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/store.h"
#include "trainer/model/transformer.h"

namespace terse::trainer {

struct InitialWeights {
  nlohmann::json origin;           // for the run's own checkpoints: which model it was
  std::vector<std::string> notes;  // for the log
};

// Returns the options of the model that the weights of `source` decide, and defaults for the others; nullopt when it is
// no model, or a checkpoint of an older build, which does not tell its shape. It reads no weights and checks no hash:
// load_initial_weights() does. Throws DataError when the description of the shape is damaged, and DiskError.
std::optional<configs::Model> shape_of(const std::filesystem::path& source);

// Loads the weights of `source` into the model: a checkpoint folder, a run folder, or model files. Each rank reads what
// it owns; all ranks call it, and throw alike. `tokenizer` is the id of this run's. Throws ConfigError when the source
// is no model, or a model of another shape or with another tokenizer (the message lists every difference with both
// values), and DataError when it is damaged. max_seq_len, precision and init_std may differ, because the weights do not
// depend on them.
InitialWeights load_initial_weights(Transformer& model, const std::filesystem::path& source,
                                    const std::string& tokenizer, const checkpoints::Readers& readers);

// Loads the adapters of lora.init, a folder of PEFT, into a model that has adapters. Each rank reads what it owns.
// Throws ConfigError when the folder is no adapter, or one of another rank, alpha or targets (the message lists every
// difference with both values), and DataError when it is damaged or asks for something that terse does not do.
InitialWeights load_initial_adapters(Transformer& model, const std::filesystem::path& source);

}  // namespace terse::trainer
