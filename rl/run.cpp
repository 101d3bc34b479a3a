// Stages in order, each evaluated where it trained on a task, and the summary of them all.
#include "rl/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "checkpoints/io.h"
#include "data/corpus.h"
#include "data/durable.h"
#include "data/pretrain_stream.h"
#include "rl/eval/evaluation.h"
#include "rl/learner.h"
#include "rl/rollout_pool.h"
#include "rl/rollout_rank.h"
#include "rl/trace_log.h"
#include "rl/trace_stream.h"
#include "rl/vocabulary.h"
#include "trainer/device.h"
#include "trainer/train.h"

namespace terse::rl {

namespace {

using trainer::Metrics;
using trainer::Session;
using trainer::StageProgress;

struct StageResult {
  StageProgress progress;
  std::optional<double> val_loss;
};

StageResult pretrain(Session& session, const Vocabulary& vocabulary) {
  const configs::RunConfig& config = session.config();
  const configs::Pretrain& p = config.pretrain;
  const int64_t context = p.context > 0 ? p.context : config.model.context;
  const uint64_t seed = static_cast<uint64_t>(config.run.seed);
  const data::Corpus& corpus = *vocabulary.corpus;
  data::PretrainStream stream(corpus.train, {.context = context, .batch_size = p.batch_size, .seed = seed});
  const data::ValidationSet validation(corpus.val, context, p.batch_size, p.eval_batches, seed);
  double last_loss = 0;
  const auto evaluate = [&](int64_t) {
    trainer::LossSum loss;
    for (int64_t i = 0; i < validation.size(); ++i) {
      const auto batch = trainer::BatchShare::own(
          session.model(), validation.sequences(i),
          [&](trainer::SequenceRange share) { return validation.batch(i, share.begin, share.end); });
      loss += trainer::cross_entropy(session.model(), batch);
    }
    last_loss = loss.mean();
    return Metrics{{"val_loss", last_loss}, {"bits_per_byte", last_loss / std::log(2.0) / corpus.bytes_per_token}};
  };
  StageResult result;
  result.progress =
      trainer::train(session, {"pretrain", p.steps, p.micro_batch, p.eval_every, p.optimizer, &stream, evaluate});
  result.val_loss = last_loss;
  return result;
}

StageResult finetune(Session& session, const Task& task) {
  const configs::RunConfig& config = session.config();
  TraceStream stream(task, config.sft.batch_size, static_cast<uint64_t>(config.run.seed));
  Engine engine(session.model(), config.engine.max_batch);
  const auto evaluate_now = [&](int64_t step) {
    engine.refresh(step);
    return evaluate(engine, task, quick_evaluation(config)).metrics();
  };
  // The evaluation after the stage covers the last step.
  const bool during = config.sft.eval_every > 0;
  StageResult result;
  result.progress = trainer::train(
      session, {"sft", config.sft.steps, config.sft.micro_batch, config.sft.eval_every, config.sft.optimizer, &stream,
                during ? std::function<Metrics(int64_t)>(evaluate_now) : nullptr});
  return result;
}

// The full evaluation after a stage, in metrics, traces and summary.
Evaluation evaluate_stage(Session& session, const Task& task, const StageProgress& progress) {
  Engine engine(session.model(), session.config().engine.max_batch);
  session.world().enter("eval");
  const TraceLog traces(session.leads() ? session.dir() / "traces" : std::filesystem::path(), task);
  constexpr int64_t kTracedProblems = 4;  // of each difficulty
  const Evaluation evaluation =
      evaluate(engine, task, full_evaluation(session.config()), [&](const RolloutGroup& group) {
        if (group.problem.index < kTracedProblems) traces.evaluation(progress.stage, progress.step, group);
      });
  session.log(progress, evaluation.metrics());
  return evaluation;
}

void run_stage(Session& session, const std::string& stage, const Vocabulary& vocabulary, RolloutSupply* supply) {
  const auto start = std::chrono::steady_clock::now();
  StageResult result;
  result.progress.stage = stage;
  if (stage == "pretrain") result = pretrain(session, vocabulary);
  if (stage == "sft") result = finetune(session, *vocabulary.task);
  if (stage == "rl") result.progress = learn(session, *vocabulary.task, supply);
  nlohmann::json entry = {{"stage", stage}, {"steps", result.progress.step}, {"tokens", result.progress.tokens}};
  const double trained = result.progress.seconds;
  if (vocabulary.task) {
    const Evaluation evaluation = evaluate_stage(session, *vocabulary.task, result.progress);
    entry["eval"] = evaluation.to_json();
  }
  if (result.val_loss) entry["val_loss"] = *result.val_loss;
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  entry["wall_s"] = std::max(trained, wall);
  entry["train_s"] = trained;
  session.finish_stage(result.progress, std::move(entry));
}

// A corpus is made into a token store in the run folder by the first rank; the others find it there.
Vocabulary open_together(const RunRequest& request, torch::Device device) {
  const trainer::Place& place = request.world->place();
  if (place.ranks == 1) return open_vocabulary(request.config, request.dir);
  std::optional<Vocabulary> made;
  if (place.rank == 0) made = open_vocabulary(request.config, request.dir);
  trainer::barrier(request.world->group(device), "data is ready");
  return made ? std::move(*made) : open_vocabulary(request.config, request.dir);
}

nlohmann::json write_summary(const RunRequest& request, const nlohmann::json& stages) {
  double wall = 0;
  for (const nlohmann::json& stage : stages) wall += stage.at("wall_s").get<double>();
  const nlohmann::json summary = {
      {"run", request.config.run.name}, {"commit", request.commit}, {"stages", stages}, {"wall_s", wall}};
  if (request.world->place().rank > 0) return summary;
  data::write_durably(request.dir / "summary.json", summary.dump(2) + "\n");
  return summary;
}

// The stages on the ranks of `learners`. Returns what stopped them, nothing when they are complete.
std::optional<trainer::SavedAndStopped> run_stages(const RunRequest& request, trainer::World& learners,
                                                   const Vocabulary& vocabulary, SplitWorld* split,
                                                   nlohmann::json& summary) {
  Session session(request.config, request.dir, vocabulary.tokenizer->vocab_size(), learners, request.interrupts);
  std::optional<RolloutPool> pool;
  if (split != nullptr) {
    pool.emplace(*split, session, *vocabulary.task);
    session.metrics().say(
        fmt::format("{} ranks learn, {} only generate, from the rl stage on", split->learners, split->samplers));
  }
  const std::vector<std::string>& stages = request.config.stages;
  std::optional<trainer::SavedAndStopped> stopped;
  try {
    for (size_t i = session.finished_stages().size(); i < stages.size(); ++i) {
      if (i > 0) write_summary(request, session.finished_stages());
      run_stage(session, stages[i], vocabulary, pool ? &*pool : nullptr);
    }
    session.close();  // a summary of all stages says that nothing is left to do, so the last checkpoint comes first
    summary = write_summary(request, session.finished_stages());
  } catch (const trainer::SavedAndStopped& reason) {
    stopped = reason;  // an orderly end: ranks leave their groups before the news travels on
  }
  if (pool) pool->end(stopped ? stopped->what() : "");
  return stopped;
}

}  // namespace

nlohmann::json run(const RunRequest& request) {
  trainer::World& world = *request.world;
  const trainer::Place& place = world.place();
  const configs::RunConfig& config = request.config;
  trainer::set_threads(config.run.threads, (place.ranks + place.nodes - 1) / place.nodes);
  const torch::Device device = trainer::choose_device(config.run.device, place.local_rank);
  const Vocabulary vocabulary = open_together(request, device);
  nlohmann::json summary;
  std::optional<trainer::SavedAndStopped> stopped;
  const bool generates = std::find(config.stages.begin(), config.stages.end(), "rl") != config.stages.end();
  if (config.parallel.layout != "split" || !generates) {
    stopped = run_stages(request, world, vocabulary, nullptr, summary);
  } else {
    SplitWorld split(config.parallel, world, device);
    if (split.learns()) {
      stopped = run_stages(request, *split.part, vocabulary, &split, summary);
    } else {
      const auto reason =
          generate_for_learners(split, config, *vocabulary.task, vocabulary.tokenizer->vocab_size(), device);
      if (reason) stopped.emplace(*reason);
    }
  }
  if (stopped) throw *stopped;
  return summary;
}

}  // namespace terse::rl
