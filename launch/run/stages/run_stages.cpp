// Runs the stages in order and evaluates after each one, if the run has a task. The summary lists them all only after
// the last checkpoint is on disk.
#include "launch/run/stages/run_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/durable.h"
#include "launch/output.h"
#include "launch/run/memory_need.h"
#include "launch/run/stages/pretrain_stage.h"
#include "launch/run/stages/sft_stage.h"
#include "launch/run/stages/stage_evaluation.h"
#include "rl/async/rollout_pool.h"
#include "rl/async/rollout_rank.h"
#include "rl/async/split_world.h"
#include "rl/learner.h"
#include "rl/ledger_log.h"
#include "rl/rollout/trace_log.h"
#include "trainer/device.h"
#include "trainer/signal_poll.h"

namespace terse::launch {

namespace {

using trainer::Session;
using Clock = std::chrono::steady_clock;

// The first rank converts the corpus to a token store in the run folder. The other ranks then open that store.
rl::Vocabulary open_together(RunRequest& request, torch::Device device) {
  trainer::SignalPoll signals(request.interrupts, *request.world, device);
  const bool first = request.world->place().rank == 0;
  std::optional<rl::Vocabulary> vocabulary;
  for (const bool turn : {first, !first}) {
    signals.during([&](const std::function<void()>& look) {
      if (!turn) return;
      vocabulary = rl::open_vocabulary(request.config, request.dir, first, std::move(request.task),
                                       [&](int64_t, int64_t) { look(); });
    });
  }
  return std::move(*vocabulary);
}

// Says what the run will need before anything large is allocated: a system that runs out of memory kills a process
// without a word.
void tell_memory_need(const RunRequest& request, const rl::Vocabulary& vocabulary) {
  const MemoryNeed need = memory_need(request.config, vocabulary, request.world->place(), inspect_memory());
  if (!need.text.empty()) say("{}\n", need.text);
  for (const std::string& warning : need.warnings) warn("terse: warning: {}\n", warning);
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
  std::vector<std::string> files = {rl::LedgerLog::kFile};
  for (const std::string& stage : config.stages) files.push_back(rl::TraceLog::file(stage));
  return files;
}

// Sends the messages of a task to the log of the run, for as long as the session lives.
class TaskMessages {
 public:
  TaskMessages(const rl::TokenizedTask* task, Session& session) : task_(task) {
    if (task_ != nullptr) task_->text().report_to([&](const std::string& text) { session.metrics().warn(text); });
  }
  ~TaskMessages() {
    if (task_ != nullptr) task_->text().report_to({});
  }
  TaskMessages(const TaskMessages&) = delete;
  TaskMessages& operator=(const TaskMessages&) = delete;

 private:
  const rl::TokenizedTask* task_;
};

// Evaluates after a stage that has done its steps, and records its result.
void finish_stage(Session& session, const rl::TokenizedTask* task, const StageResult& result, Clock::time_point start) {
  const trainer::StageProgress& progress = result.progress;
  nlohmann::json entry = {{"stage", progress.stage}, {"steps", progress.step}, {"tokens", progress.tokens}};
  if (task != nullptr) entry["eval"] = evaluate_stage(session, *task, progress).to_json();
  if (progress.stage == "pretrain" || result.val_loss) entry["val_loss"] = trainer::or_null(result.val_loss);
  const double wall = std::chrono::duration<double>(Clock::now() - start).count();
  entry["wall_s"] = std::max(progress.seconds, wall);
  entry["train_s"] = progress.seconds;
  session.finish_stage(progress, std::move(entry));
}

}  // namespace

nlohmann::json run_stages(RunRequest request) try {
  const trainer::Place& place = request.world->place();
  const configs::RunConfig& config = request.config;
  trainer::set_threads(config.run.threads, (place.ranks + place.nodes - 1) / place.nodes);
  const torch::Device device = trainer::choose_device(config.run.device, place.local_rank);
  const rl::Vocabulary vocabulary = open_together(request, device);
  if (place.rank == 0 && device.is_cpu()) tell_memory_need(request, vocabulary);
  nlohmann::json summary;
  std::optional<trainer::SavedAndStopped> stopped;  // thrown after the ranks have left their groups in order
  std::optional<rl::SplitWorld> split;
  if (rl::splits(config)) split.emplace(config.parallel, *request.world, device);
  if (split && !split->learns()) {
    const auto reason =
        rl::generate_for_learners(*split, config, *vocabulary.task, vocabulary.tokenizer().vocab_size(), device);
    if (reason) stopped.emplace(*reason);
  } else {
    Session session(config, request.dir, *vocabulary.chat, split ? *split->part : *request.world, request.interrupts,
                    line_files(config));
    const TaskMessages messages(vocabulary.task.get(), session);
    if (vocabulary.corpus)
      for (const std::string& note : vocabulary.corpus->notes) session.metrics().say(note);
    if (vocabulary.conversations)
      for (const std::string& note : vocabulary.conversations->notes) session.metrics().say(note);
    std::optional<rl::RolloutPool> pool;
    if (split) {
      pool.emplace(*split, session, *vocabulary.task);
      session.metrics().say(fmt::format("from the rl stage on, {} {} and {} only {}", split->learners,
                                        split->learners == 1 ? "rank learns" : "ranks learn", split->samplers,
                                        split->samplers == 1 ? "generates" : "generate"));
    }
    try {
      for (size_t i = session.finished_stages().size(); i < config.stages.size(); ++i) {
        if (i > 0) write_summary(request, session.finished_stages());
        const auto start = Clock::now();
        const std::string& stage = config.stages[i];
        StageResult result;
        result.progress.stage = stage;
        if (stage == "pretrain") result = pretrain(session, *vocabulary.corpus);
        if (stage == "sft") {
          result = fine_tune(session, vocabulary.task.get(),
                             vocabulary.conversations ? &*vocabulary.conversations : nullptr);
        }
        if (stage == "rl") result.progress = rl::learn(session, *vocabulary.task, pool ? &*pool : nullptr);
        finish_stage(session, vocabulary.task.get(), result, start);
      }
      session.close();  // first, because a summary of all stages marks the run as complete
      summary = write_summary(request, session.finished_stages());
    } catch (const trainer::SavedAndStopped& reason) {
      stopped = reason;
    }
    if (pool) pool->end(stopped ? stopped->what() : "");
  }
  split.reset();
  if (stopped) throw *stopped;
  return summary;
} catch (const trainer::StopRequested&) {
  throw trainer::SavedAndStopped(
      "the run stopped on a signal while it read data and checkpoints; there was nothing new to save, and the same "
      "command starts it again");
}

}  // namespace terse::launch
