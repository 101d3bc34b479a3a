// Opens a checkpoint for reading: config, vocabulary and weights, and nothing of the training state. A checkpoint tells
// all of this itself, so a run folder only says which checkpoint is its newest.
#include "rl/eval/evaluate_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/errors.h"
#include "configs/load.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "rl/eval/evaluation.h"
#include "rl/tasks/limits.h"
#include "rl/tasks/task.h"
#include "rl/tasks/vocabulary.h"
#include "trainer/device.h"
#include "trainer/model/transformer.h"
#include "trainer/saved_model/initial_weights.h"
#include "trainer/saved_model/model_files.h"
#include "trainer/saved_model/model_vocabulary.h"
#include "trainer/saved_model/saved_model.h"

namespace terse::rl {

namespace {

namespace fs = std::filesystem;

struct Opened {
  configs::RunConfig config;
  Vocabulary vocabulary;
  trainer::ModelSpec spec;
  std::unique_ptr<trainer::Transformer> model = nullptr;
};

// The run folder around a checkpoint, if it is in one.
fs::path run_of(const checkpoints::Store::Loaded& loaded) {
  return fs::absolute(loaded.path).lexically_normal().parent_path().parent_path();
}

// Opens a checkpoint by what it tells of itself.
Opened open_alone(const checkpoints::Store::Loaded& loaded, const std::string& task, TaskUse use) {
  const auto file = [&](const char* name) { return (loaded.path / name).string(); };
  Opened opened;
  opened.config = configs::load_saved(loaded.state.files.at(trainer::kRunConfigFile), file(trainer::kRunConfigFile),
                                      default_config());
  if (!task.empty()) opened.config.task.name = task;
  auto tokenizer =
      data::parse_tokenizer(loaded.state.files.at(trainer::kVocabularyFile), file(trainer::kVocabularyFile));
  opened.spec = trainer::saved_spec(loaded);
  // A model may have more ids than its tokenizer, if its config says so.
  const int64_t expected = std::max(opened.config.model.vocab_size, tokenizer->vocab_size());
  if (opened.spec.vocab != expected) {
    throw DataError(fmt::format("{}: \"vocab_size\" is {}, but the tokenizer beside it has {} tokens",
                                file(trainer::kShapeFile), opened.spec.vocab, tokenizer->vocab_size()));
  }
  const auto found = loaded.state.files.find(trainer::kChatTemplateFile);
  auto chat = std::make_shared<const data::ChatFormat>(std::move(tokenizer),
                                                       found != loaded.state.files.end() ? found->second : "",
                                                       file(trainer::kChatTemplateFile), opened.config.chat);
  opened.vocabulary = saved_vocabulary(opened.config, std::move(chat), run_of(loaded), use);
  return opened;
}

// Opens a checkpoint of an older build, which has no such files, by the run folder around it.
Opened open_in_run(const checkpoints::Store::Loaded& loaded, const std::string& task, const std::string& missing,
                   TaskUse use) {
  const fs::path run = run_of(loaded);
  if (!fs::exists(run / "config.yaml")) {
    throw std::invalid_argument(fmt::format(
        "the checkpoint {} has no {}, because an older build of terse saved it. So it needs the run folder around it "
        "({} has no config.yaml): pass it as RUN/checkpoints/{}, or copy the whole run folder",
        loaded.path.string(), missing, run.string(), loaded.path.filename().string()));
  }
  Opened opened;
  opened.config =
      configs::load((run / "config.yaml").string(), {}, configs::InputFiles::kMayBeMissing, default_config()).config;
  if (!task.empty()) opened.config.task.name = task;
  opened.vocabulary = kept_vocabulary(opened.config, run, use);
  opened.spec = trainer::resolve(opened.config.model, opened.vocabulary.tokenizer().vocab_size());
  trainer::require_weights(opened.spec, loaded);
  return opened;
}

// Opens a model of another program. Such a model belongs to no run, so it has no task.
Opened open_model(const fs::path& target, const torch::Device& device) {
  const std::unique_ptr<trainer::ModelFiles> files = trainer::open_model_files(target);
  trainer::ModelVocabulary vocabulary = trainer::load_model_vocabulary(target);
  if (!vocabulary.tokenizer) {
    throw std::invalid_argument(fmt::format("{} has no tokenizer that terse reads", target.string()));
  }
  Opened opened;
  opened.spec = files->spec();
  opened.vocabulary.chat = std::make_shared<const data::ChatFormat>(
      std::move(vocabulary.tokenizer), vocabulary.chat_template, vocabulary.template_name, opened.config.chat);
  trainer::set_threads(opened.config.run.threads);
  opened.spec.bf16 = false;
  opened.model =
      std::make_unique<trainer::Transformer>(opened.spec, device, 0, trainer::Sharding{}, trainer::Purpose::kInference);
  opened.model->fill([&](const trainer::ParamInfo& info, int64_t begin, int64_t end, float* out) {
    files->read(info, begin, end, out);
  });
  return opened;
}

Opened open(const fs::path& target, const std::string& task, const std::string& device, TaskUse use, const Note& note) {
  if (!fs::exists(target)) throw std::invalid_argument(fmt::format("{} does not exist", target.string()));
  const torch::Device where = trainer::choose_device(device);
  if (!checkpoints::is_checkpoint(target) && trainer::is_model_files(target)) {
    if (use == TaskUse::kOptional) return open_model(target, where);
    throw std::invalid_argument(
        fmt::format("{} is a model of another program, which tells no task to evaluate it on", target.string()));
  }
  const auto loaded = trainer::load_target(target, trainer::weights_only);
  if (!loaded) {
    throw std::invalid_argument(
        fmt::format("{} holds no checkpoint. Expected a run folder (runs/NAME) after its first save, a checkpoint "
                    "folder (step-N), a Hugging Face folder, or a GGUF file",
                    target.string()));
  }
  for (const std::string& defect : loaded->rejected) {
    if (note) note(fmt::format("damaged checkpoint {}; using {} instead", defect, loaded->path.filename().string()));
  }
  std::string missing;
  for (const char* name : {trainer::kShapeFile, trainer::kVocabularyFile, trainer::kRunConfigFile})
    if (!loaded->state.files.contains(name)) missing += fmt::format("{}{}", missing.empty() ? "" : ", ", name);
  Opened opened = missing.empty() ? open_alone(*loaded, task, use) : open_in_run(*loaded, task, missing, use);
  const std::string id = opened.vocabulary.tokenizer().id(), trained = trainer::saved_tokenizer(*loaded);
  if (!trained.empty() && trained != id) {
    throw DataError(fmt::format("{} was trained with the tokenizer {}, but the {} that belongs to it holds {}",
                                loaded->path.string(), trained, kTokenizerFile, id));
  }
  trainer::set_threads(opened.config.run.threads);
  opened.model =
      std::make_unique<trainer::Transformer>(opened.spec, where, 0, trainer::Sharding{}, trainer::Purpose::kInference);
  opened.model->restore(loaded->state);
  return opened;
}

}  // namespace

namespace {

std::vector<int32_t> prompt_of(const GenerateRequest& request, const data::ChatFormat& chat) {
  if (request.prompt.empty()) {
    throw std::invalid_argument("the prompt is empty: give it as an argument or on standard input");
  }
  if (!request.chat) {
    std::vector<int32_t> ids = chat.tokenizer().encode(request.prompt);
    if (chat.tokenizer().adds_bos()) ids.insert(ids.begin(), chat.tokenizer().bos());
    return ids;
  }
  if (!chat.has_template()) {
    throw std::invalid_argument(
        fmt::format("--chat needs a chat template, but {} has none; leave --chat out", request.target.string()));
  }
  return chat.encode_prompt({{"user", {{"role", "user"}, {"content", request.prompt}}}});
}

// A response is what stands before the token that ends it.
std::vector<int32_t> without_end(std::vector<int32_t> tokens, const std::vector<int32_t>& ends) {
  if (!tokens.empty() && std::find(ends.begin(), ends.end(), tokens.back()) != ends.end()) tokens.pop_back();
  return tokens;
}

}  // namespace

nlohmann::json evaluate_checkpoint(const EvalRequest& request) {
  const Opened opened = open(request.target, request.task, request.device, TaskUse::kRequired, request.note);
  if (!opened.vocabulary.task)
    throw std::invalid_argument("this run has no stage that uses a task, so there is nothing to evaluate on");
  const TokenizedTask& task = *opened.vocabulary.task;
  EvalOptions options = full_evaluation(opened.config, task);
  if (request.samples > 0) options.samples = request.samples;
  if (request.problems_per_difficulty > 0) options.problems_per_difficulty = request.problems_per_difficulty;
  Engine engine(*opened.model, engine_options(opened.config.engine));
  return evaluate(engine, task, options).to_json();
}

nlohmann::json evaluate_model(const configs::RunConfig& config, const TokenizedTask& task, const Note& note) {
  trainer::set_threads(config.run.threads);
  trainer::Transformer model(trainer::resolve(config.model, task.tokenizer().vocab_size()),
                             trainer::choose_device(config.run.device), 0, trainer::Sharding{},
                             trainer::Purpose::kInference);
  const trainer::InitialWeights weights =
      trainer::load_initial_weights(model, config.model.init, task.tokenizer().id(), {});
  for (const std::string& text : weights.notes)
    if (note) note(text);
  Engine engine(model, engine_options(config.engine));
  return evaluate(engine, task, full_evaluation(config, task)).to_json();
}

int64_t generate(const GenerateRequest& request, const EmitSample& emit) {
  const Opened opened = open(request.target, "", request.device, TaskUse::kOptional, request.note);
  const data::ChatFormat& chat = *opened.vocabulary.chat;
  const data::Tokenizer& tokenizer = chat.tokenizer();
  const std::vector<int32_t> prompt = prompt_of(request, chat);
  const int64_t room = opened.model->spec().max_seq_len - static_cast<int64_t>(prompt.size());
  if (room <= 0) {
    throw std::invalid_argument(fmt::format(
        "the prompt has {} tokens, but the model's longest sequence of {} tokens must also hold the response",
        prompt.size(), opened.model->spec().max_seq_len));
  }
  SamplingParams sampling;
  sampling.transform = {request.temperature, request.top_k, request.top_p, request.min_p};
  const TokenizedTask* task = opened.vocabulary.task.get();
  const int64_t usual = task != nullptr ? response_limit(opened.config, *task) : room;
  sampling.max_new_tokens = std::min(room, request.max_new_tokens > 0 ? request.max_new_tokens : usual);
  sampling.stop_token_ids = tokenizer.eos_ids();
  sampling.stop = request.stop;
  sampling.n = request.samples;
  sampling.seed = static_cast<uint64_t>(request.seed);
  Engine engine(*opened.model,
                {.max_batch = std::min(request.samples, opened.config.engine.max_batch), .tokenizer = &tokenizer});
  const std::vector<Completion> completions = engine.generate({{.prompt = prompt, .sampling = sampling}}).front();
  for (size_t i = 0; i < completions.size(); ++i) {
    std::string text = tokenizer.decode_known(without_end(completions[i].tokens, sampling.stop_token_ids));
    if (!completions[i].stop.empty()) text.resize(text.find(completions[i].stop));
    emit(static_cast<int64_t>(i), text, static_cast<int64_t>(completions[i].tokens.size()),
         completions[i].finish == FinishReason::kStop);
  }
  return sampling.max_new_tokens;
}

}  // namespace terse::rl
