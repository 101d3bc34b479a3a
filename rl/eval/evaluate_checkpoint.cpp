// Opens a run folder or checkpoint for reading: config, vocabulary and weights, and nothing of the training state.
#include "rl/eval/evaluate_checkpoint.h"

#include <fmt/format.h>

#include <stdexcept>

#include "base/errors.h"
#include "checkpoints/store.h"
#include "configs/load.h"
#include "rl/eval/evaluation.h"
#include "rl/tasks/limits.h"
#include "rl/tasks/vocabulary.h"
#include "trainer/device.h"

namespace terse::rl {

namespace {

namespace fs = std::filesystem;

struct Opened {
  configs::RunConfig config;
  Vocabulary vocabulary;
  std::unique_ptr<trainer::Transformer> model;
};

bool is_checkpoint(const fs::path& folder) {
  return fs::exists(folder / "MANIFEST.json");
}

checkpoints::Store::Loaded load_weights(const fs::path& target) {
  if (is_checkpoint(target)) return checkpoints::load(target);
  if (fs::is_directory(target / "checkpoints")) {
    if (auto loaded = checkpoints::load_latest(target / "checkpoints")) return std::move(*loaded);
  }
  throw std::invalid_argument(
      fmt::format("{} holds no checkpoint. Expected a run folder (runs/NAME) after its first save, or one of its "
                  "checkpoints/step-N folders",
                  target.string()));
}

Opened open(const fs::path& target, const std::string& task, const std::string& device) {
  const fs::path run =
      is_checkpoint(target) ? fs::absolute(target).lexically_normal().parent_path().parent_path() : target;
  if (!fs::exists(target)) throw std::invalid_argument(fmt::format("{} does not exist", target.string()));
  if (!fs::exists(run / "config.yaml")) {
    throw std::invalid_argument(fmt::format(
        "{} holds no config.yaml, so it is not a run folder{}", run.string(),
        is_checkpoint(target) ? fmt::format(". The checkpoint {} needs the run folder around it (config.yaml and {}): "
                                            "pass it as RUN/checkpoints/{}, or copy the whole run folder",
                                            target.string(), kTokenizerFile, target.filename().string())
                              : ""));
  }
  Opened opened;
  opened.config = configs::load((run / "config.yaml").string(), {}, configs::InputFiles::kMayBeMissing).config;
  if (!task.empty()) opened.config.task.name = task;
  trainer::set_threads(opened.config.run.threads);
  const torch::Device where = trainer::choose_device(device);
  const checkpoints::Store::Loaded loaded = load_weights(target);
  opened.vocabulary = kept_vocabulary(opened.config, run);
  const data::Tokenizer& tokenizer = *opened.vocabulary.tokenizer;
  // Checkpoints of older builds do not record their tokenizer.
  const std::string trained = loaded.state.extra.value("tokenizer", tokenizer.id());
  if (trained != tokenizer.id()) {
    throw DataError(fmt::format("{} holds the tokenizer {}, but {} was trained with {}",
                                (run / kTokenizerFile).string(), tokenizer.id(), loaded.path.string(), trained));
  }
  opened.model =
      std::make_unique<trainer::Transformer>(trainer::resolve(opened.config.model, tokenizer.vocab_size()), where, 0);
  opened.model->restore(loaded.state);
  return opened;
}

}  // namespace

nlohmann::json evaluate_checkpoint(const EvalRequest& request) {
  const Opened opened = open(request.target, request.task, request.device);
  if (!opened.vocabulary.task)
    throw std::invalid_argument("this run has no stage that uses a task, so there is nothing to evaluate on");
  const TokenizedTask& task = *opened.vocabulary.task;
  EvalOptions options = full_evaluation(opened.config, task);
  if (request.samples > 0) options.samples = request.samples;
  if (request.problems_per_difficulty > 0) options.problems_per_difficulty = request.problems_per_difficulty;
  Engine engine(*opened.model, {opened.config.engine.max_batch});
  return evaluate(engine, task, options).to_json();
}

int64_t generate(const GenerateRequest& request, const EmitSample& emit) {
  const Opened opened = open(request.target, "", request.device);
  const data::Tokenizer& tokenizer = *opened.vocabulary.tokenizer;
  const std::vector<int32_t> prompt = tokenizer.encode(request.prompt);
  const int64_t room = opened.model->spec().context - static_cast<int64_t>(prompt.size());
  if (prompt.empty()) throw std::invalid_argument("the prompt is empty: give it as an argument or on standard input");
  if (room <= 0) {
    throw std::invalid_argument(
        fmt::format("the prompt has {} tokens, but the model's context of {} tokens must also hold the response",
                    prompt.size(), opened.model->spec().context));
  }
  SamplingParams sampling;
  sampling.transform = {request.temperature, request.top_k, request.top_p, request.min_p};
  const TokenizedTask* task = opened.vocabulary.task.get();
  const int64_t usual = task != nullptr ? response_limit(opened.config, *task) : room;
  sampling.max_new_tokens = std::min(room, request.max_new_tokens > 0 ? request.max_new_tokens : usual);
  sampling.stop_token_ids = {tokenizer.eos()};
  sampling.stop = request.stop;
  sampling.n = request.samples;
  sampling.seed = static_cast<uint64_t>(request.seed);
  Engine engine(*opened.model,
                {.max_batch = std::min(request.samples, opened.config.engine.max_batch), .tokenizer = &tokenizer});
  const std::vector<Completion> completions = engine.generate({{.prompt = prompt, .sampling = sampling}}).front();
  for (size_t i = 0; i < completions.size(); ++i) {
    std::string text = tokenizer.decode(completions[i].tokens);
    if (!completions[i].stop.empty()) text.resize(text.find(completions[i].stop));
    emit(static_cast<int64_t>(i), text, static_cast<int64_t>(completions[i].tokens.size()),
         completions[i].finish == FinishReason::kStop);
  }
  return sampling.max_new_tokens;
}

}  // namespace terse::rl
