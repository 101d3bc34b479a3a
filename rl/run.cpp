// Runs the stages in order and evaluates after each one, if the run has a task. The summary lists them all only after
// the last checkpoint is on disk.
#include "rl/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/durable.h"
#include "base/file_system.h"
#include "data/corpus.h"
#include "data/pretrain_stream.h"
#include "rl/async/rollout_pool.h"
#include "rl/async/rollout_rank.h"
#include "rl/eval/evaluation.h"
#include "rl/learner.h"
#include "rl/ledger_log.h"
#include "rl/rollout/trace_log.h"
#include "rl/tasks/trace_stream.h"
#include "rl/tasks/vocabulary.h"
#include "trainer/device.h"
#include "trainer/signal_poll.h"
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
  const std::optional<double> bytes_per_token = validation.bytes_per_token(*vocabulary.tokenizer);
  std::optional<double> val_loss;
  const auto evaluate = [&](int64_t) {
    trainer::LossSum loss;
    for (int64_t i = 0; i < validation.size(); ++i) {
      session.signals().meet(false);
      const auto batch = trainer::BatchShare::own(
          session.model(), validation.sequences(i),
          [&](trainer::SequenceRange share) { return validation.batch(i, share.begin, share.end); });
      loss += trainer::cross_entropy(session.model(), batch);
    }
    val_loss = loss.mean();
    const auto bits_per_byte =
        val_loss && bytes_per_token ? std::optional(*val_loss / std::log(2.0) / *bytes_per_token) : std::nullopt;
    return trainer::present({{"val_loss", val_loss}, {"bits_per_byte", bits_per_byte}});
  };
  StageResult result;
  result.progress =
      trainer::train(session, {"pretrain", p.steps, p.micro_batch, p.eval_every, p.optimizer, &stream, evaluate});
  result.val_loss = val_loss;
  return result;
}

StageResult finetune(Session& session, const TokenizedTask& task) {
  const configs::RunConfig& config = session.config();
  TraceStream stream(task, config.sft.batch_size, static_cast<uint64_t>(config.run.seed));
  Engine engine(session.model(), {config.engine.max_batch, &session.signals()});
  const auto evaluate_now = [&](int64_t step) {
    engine.refresh(step);
    return evaluate(engine, task, quick_evaluation(config, task)).metrics();
  };
  // With sft.eval_every 0 the stage itself never evaluates: the full evaluation after it covers the last step.
  const bool during = config.sft.eval_every > 0;
  StageResult result;
  result.progress = trainer::train(
      session, {"sft", config.sft.steps, config.sft.micro_batch, config.sft.eval_every, config.sft.optimizer, &stream,
                during ? std::function<Metrics(int64_t)>(evaluate_now) : nullptr});
  return result;
}

// Runs the full evaluation after a stage and writes its metrics and traces. The stage's last step is on disk already,
// so a run that is stopped here repeats the evaluation.
Evaluation evaluate_stage(Session& session, const TokenizedTask& task, const StageProgress& progress) try {
  Engine engine(session.model(), {session.config().engine.max_batch, &session.signals()});
  session.world().enter("eval");
  const TraceLog traces(session.metrics(), task);
  constexpr int64_t kTracedProblems = 4;  // problems of each difficulty
  const Evaluation evaluation =
      evaluate(engine, task, full_evaluation(session.config(), task), [&](const RolloutGroup& group) {
        if (group.problem.index < kTracedProblems) traces.evaluation(progress.stage, progress.step, group);
      });
  session.log(progress, evaluation.metrics());
  return evaluation;
} catch (const trainer::StopRequested&) {
  session.stop(progress, nullptr, 0);
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
  if (stage == "pretrain") entry["val_loss"] = trainer::or_null(result.val_loss);
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  entry["wall_s"] = std::max(trained, wall);
  entry["train_s"] = trained;
  session.finish_stage(result.progress, std::move(entry));
}

// The first rank converts the corpus to a token store in the run folder. The other ranks then open that store.
Vocabulary open_together(const RunRequest& request, torch::Device device) {
  trainer::SignalPoll signals(request.interrupts, *request.world, device);
  const bool first = request.world->place().rank == 0;
  std::optional<Vocabulary> vocabulary;
  for (const bool turn : {first, !first}) {
    signals.during([&](const std::function<void()>& look) {
      if (turn) vocabulary = open_vocabulary(request.config, request.dir, first, [&](int64_t, int64_t) { look(); });
    });
  }
  return std::move(*vocabulary);
}

nlohmann::json write_summary(const RunRequest& request, const nlohmann::json& stages) {
  double wall = 0;
  for (const nlohmann::json& stage : stages) wall += stage.at("wall_s").get<double>();
  const nlohmann::json summary = {
      {"run", request.config.run.name}, {"commit", request.commit}, {"stages", stages}, {"wall_s", wall}};
  if (request.world->place().rank > 0) return summary;
  write_durably(request.dir / "summary.json", summary.dump(2) + "\n");
  return summary;
}

// The line files of a run beside metrics.jsonl.
std::vector<std::string> line_files(const configs::RunConfig& config) {
  std::vector<std::string> files = {LedgerLog::kFile};
  for (const std::string& stage : config.stages) files.push_back(TraceLog::file(stage));
  return files;
}

// Runs the stages on the ranks of `learners`. Returns the request that stopped them; empty when they are complete.
std::optional<trainer::SavedAndStopped> run_stages(const RunRequest& request, trainer::World& learners,
                                                   const Vocabulary& vocabulary, SplitWorld* split,
                                                   nlohmann::json& summary) {
  Session session(request.config, request.dir, *vocabulary.tokenizer, learners, request.interrupts,
                  line_files(request.config));
  if (vocabulary.corpus)
    for (const std::string& note : vocabulary.corpus->notes) session.metrics().say(note);
  std::optional<RolloutPool> pool;
  if (split != nullptr) {
    pool.emplace(*split, session, *vocabulary.task);
    session.metrics().say(fmt::format("from the rl stage on, {} {} and {} only {}", split->learners,
                                      split->learners == 1 ? "rank learns" : "ranks learn", split->samplers,
                                      split->samplers == 1 ? "generates" : "generate"));
  }
  const std::vector<std::string>& stages = request.config.stages;
  std::optional<trainer::SavedAndStopped> stopped;
  try {
    for (size_t i = session.finished_stages().size(); i < stages.size(); ++i) {
      if (i > 0) write_summary(request, session.finished_stages());
      run_stage(session, stages[i], vocabulary, pool ? &*pool : nullptr);
    }
    session.close();  // first, because a summary of all stages marks the run as complete
    summary = write_summary(request, session.finished_stages());
  } catch (const trainer::SavedAndStopped& reason) {
    stopped = reason;  // run() rethrows it after the ranks have left their groups in order
  }
  if (pool) pool->end(stopped ? stopped->what() : "");
  return stopped;
}

}  // namespace

nlohmann::json run(const RunRequest& request) try {
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
} catch (const trainer::StopRequested&) {
  throw trainer::SavedAndStopped(
      "the run stopped on a signal while it read data and checkpoints; there was nothing new to save, and the same "
      "command starts it again");
}

}  // namespace terse::rl
