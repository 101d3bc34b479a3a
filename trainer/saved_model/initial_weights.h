// The weights that a new run takes from a checkpoint (model.init). Nothing else is taken: the optimizer is fresh, and
// the run begins at step 0.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoints/store.h"
#include "trainer/model/transformer.h"

namespace terse::trainer {

struct InitialWeights {
  nlohmann::json origin;           // for the run's own checkpoints: which checkpoint it was
  std::vector<std::string> notes;  // for the log
};

// Loads the weights of `source`, a checkpoint folder or a run folder, into the model. Each rank reads what it owns; all
// ranks call it. `tokenizer` is the id of this run's. Throws ConfigError when the source is no checkpoint, or belongs
// to a model of another shape or with another tokenizer (the message lists every difference with both values), and
// DataError when it is damaged. max_seq_len, precision and init_std may differ, because the weights do not depend on
// them.
InitialWeights load_initial_weights(Transformer& model, const std::filesystem::path& source,
                                    const std::string& tokenizer, const checkpoints::Readers& readers);

}  // namespace terse::trainer
