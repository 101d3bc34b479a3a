// Evaluation and sampling from a run folder or a single checkpoint, for `terse eval` and `terse generate`.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "rl/tasks/tokenized_task.h"

namespace terse::rl {

// Receives what a user should know about the weights that are used: a damaged checkpoint was passed over, for example.
using Note = std::function<void(const std::string& text)>;

struct EvalRequest {
  std::filesystem::path target;         // checkpoint folder, wherever it lies, or run folder: its newest sound one
  std::string task = {};                // empty: the run's own
  int64_t samples = 0;                  // 0: the config's eval.samples
  int64_t problems_per_difficulty = 0;  // 0: the config's
  std::string device = "auto";
  Note note = {};
};
// Evaluates a checkpoint and returns the `eval` object of summary.json. Throws std::invalid_argument with advice when
// the target holds no checkpoint, or the run has no task; DataError when it is damaged or contradicts itself.
nlohmann::json evaluate_checkpoint(const EvalRequest& request);

// Evaluates the model of model.init on a task, and returns the same. Throws ConfigError when the model does not fit the
// config, and DataError when it is damaged.
nlohmann::json evaluate_model(const configs::RunConfig& config, const TokenizedTask& task, const Note& note = {});

struct GenerateRequest {
  std::filesystem::path target;  // as above, or a Hugging Face folder or a GGUF file
  std::string prompt;            // text in the run's tokenizer
  bool chat = false;             // the prompt is the message of a user, which the chat template turns into text
  int64_t samples = 1;
  int64_t max_new_tokens = 0;  // 0: as in the run's evaluations, or to the longest sequence without a task
  double temperature = 1.0;    // 0: greedy
  int64_t top_k = 0;
  double top_p = 1.0;
  double min_p = 0.0;
  std::vector<std::string> stop = {};  // strings that end a sample; its text ends before them
  int64_t seed = 1;
  std::string device = "auto";
  Note note = {};
};
// Receives one sample: its text without the token that ends it, its number of tokens with that one, and whether it
// ended by itself instead of at the token limit.
using EmitSample = std::function<void(int64_t sample, const std::string& text, int64_t tokens, bool finished)>;
// Generates responses to the prompt and calls `emit` for each sample, in order. Returns the token limit of a sample: at
// most the room that the prompt leaves in the longest sequence. Throws std::invalid_argument when the prompt is empty
// or does not fit into it, or when the target holds no usable checkpoint.
int64_t generate(const GenerateRequest& request, const EmitSample& emit);

}  // namespace terse::rl
