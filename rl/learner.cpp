// Learner::step() and conclude() run one RL step as numbered phases. Each phase is implemented in the file that it
// calls.
//
// A stop request may arrive in the middle of a step. During rollouts nothing has changed yet, so the state after the
// previous step is saved, and the resumed run generates the rollouts again. During the gate or an evaluation, the step
// is saved with its record pending, and the resumed run repeats the gate or the evaluation.
#include "rl/learner.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <utility>

#include "base/clock.h"
#include "rl/compression/student.h"
#include "rl/eval/evaluation.h"
#include "rl/ledger_log.h"
#include "rl/rl_metrics.h"
#include "rl/rollout/trace_log.h"
#include "rl/rollout_source.h"
#include "rl/tasks/limits.h"
#include "rl/update/entropy_controller.h"
#include "rl/update/policy_update.h"
#include "trainer/skip_guard.h"

namespace terse::rl {

namespace {

// Draws `count` new problems and renders their traces in the form that the policy has mastered at their difficulty.
// They keep the policy from forgetting this form under length pressure. A problem gives no trace while the mastered
// level of its difficulty is the first one.
std::vector<data::Sequence> draw_demonstrations(const TokenizedTask& task, const CompressionController& controller,
                                                int64_t count, int64_t& cursor) {
  std::vector<data::Sequence> demonstrations;
  for (int64_t i = 0; i < count; ++i) {
    const Problem problem = task.problem(Split::kTrain, index_in(IndexSpace::kDemonstrations, cursor++));
    const int64_t level = controller.mastered_level(problem.difficulty_in_task());
    if (level == 0) continue;
    demonstrations.push_back(data::prompt_and_response(problem.prompt, controller.curriculum().trace(problem, level)));
  }
  return demonstrations;
}

// Returns the seconds since `mark`, and sets `mark` to now.
double lap(std::chrono::steady_clock::time_point& mark) {
  const double seconds = seconds_since(mark);
  mark = std::chrono::steady_clock::now();
  return seconds;
}

class Learner {
 public:
  Learner(trainer::Session& session, const TokenizedTask& task, RolloutSupply* supply)
      : session_(session),
        task_(task),
        config_(session.config()),
        rl_(config_.rl),
        adaptive_(rl_.penalty.kind == "adaptive"),
        model_(session.model()),
        optimizer_(model_.params(), rl_.optimizer),
        peak_(session.matmul_speed()),
        guard_(rl_.optimizer.max_nonfinite_steps),
        engine_(model_, engine_options(config_.engine, &session.signals())),
        controller_(task),
        student_(config_, task, model_, &session.signals()),
        entropy_(rl_.entropy_bonus),
        own_supply_(config_, task, engine_, session.world()),
        supply_(supply != nullptr ? *supply : own_supply_),
        source_(config_, task, supply_, controller_),
        traces_(session.metrics(), task),
        ledger_(session.metrics()) {}

  const trainer::StageProgress& progress() const { return progress_; }

  void resume() {
    const auto resumed = session_.resume("rl");
    if (!resumed) {
      progress_.extra = state();  // a stop during the first step saves it
      return;
    }
    trainer::read_saved([&] {
      progress_ = resumed->progress;
      if (progress_.pending) score_ = trainer::score_of(trainer::value_of(*progress_.pending, "accuracy"));
      optimizer_.restore(resumed->state);
      student_.restore(resumed->state, progress_.extra.at("apprentice"));
      controller_.restore(progress_.extra.at("controller"));
      entropy_.restore(progress_.extra.at("entropy"));
      guard_.restore(progress_.extra.at("skipped"));
      source_.restore(progress_.extra.at("problems"));
      demonstrated_ = progress_.extra.at("replayed");
    });
  }

  [[noreturn]] void stop() { session_.stop(progress_, saver(), score_); }

  void step() {
    auto mark = std::chrono::steady_clock::now();
    const double done = static_cast<double>(progress_.step) / static_cast<double>(rl_.steps);
    StepRecord record;

    session_.world().enter("rollout");
    // 1. Rollouts: generate, verify, shape rewards, compute advantages.
    supply_.publish(progress_.step);
    record.batch = source_.next(progress_.step);
    record.rollout_seconds = lap(mark);
    tell_of_full_cache();
    record.generates_ahead = rl_.max_staleness > 0;

    // 2. The controller moves its limits.
    if (adaptive_) controller_.observe(record.batch.sampled);
    const std::vector<data::Sequence> demonstrations =
        adaptive_ ? draw_demonstrations(task_, controller_, rl_.demonstrations, demonstrated_)
                  : std::vector<data::Sequence>{};

    session_.world().enter("update");
    // 3. Updates: policy loss, entropy bonus and demonstrations. rl.updates_per_batch updates share the groups.
    update(record, demonstrations);
    record.train_seconds = lap(mark);
    record.mfu = trainer::mfu(model_.spec(), record.trained, record.train_seconds, peak_);

    session_.world().enter("student");
    // 4. Student updates: the student learns a shorter form.
    if (adaptive_ && rl_.student.updates > 0) student_.train(controller_, done);
    record.student_seconds = lap(mark);

    // 5. Record the step.
    account(record);
  }

  void conclude() {
    // 6. Promotion gate: the policy takes the student's weights when the student passes.
    if (student_.gate_due()) run_gate();
    trainer::Metrics metrics = *progress_.pending;
    metrics.merge(engine_metrics());
    if (adaptive_) {
      metrics.merge(compression_metrics(controller_, metrics));
      metrics.merge(student_.metrics());
    }

    // 7. Evaluate, log, save.
    const bool last = progress_.step == rl_.steps;
    const bool evaluate_now = !last && rl_.eval_every > 0 && progress_.step % rl_.eval_every == 0;
    if (evaluate_now) {
      session_.world().enter("eval");
      engine_.refresh(progress_.step);
      metrics.merge(evaluate(engine_, task_, quick_evaluation(config_, task_)).metrics());
    }
    if (evaluate_now || last || progress_.step % config_.run.log_every == 0) session_.log(progress_, metrics);
    progress_.pending.reset();
    if (last) {
      session_.save_last_step(progress_, saver());
    } else {
      session_.maybe_save(progress_, saver(), score_);
    }
  }

 private:
  trainer::Session::SaveState saver() {
    return [this](checkpoints::StateDict& state) {
      optimizer_.save(state);
      student_.save(state);
    };
  }

  // Says once that the engine's cache has been full. This changes no token, but takes time.
  void tell_of_full_cache() {
    const Engine::Use use = engine_.use();
    if (use.preempted == 0 || std::exchange(told_of_full_cache_, true)) return;
    session_.metrics().say(
        fmt::format("the {:.2g} GiB for keys and values were full, so some responses waited and were computed again; "
                    "engine.kv_cache_gib sets how much there is",
                    static_cast<double>(use.bytes) / 0x1p30));
  }

  // Returns what the engine of this rank has done since the last record.
  trainer::Metrics engine_metrics() {
    const Engine::Use now = engine_.use(), before = std::exchange(engine_use_, now);
    const int64_t passes = now.passes - before.passes;
    if (passes == 0) return {};
    return trainer::present(
        {{"engine/passes", static_cast<double>(passes)},
         {"engine/draft_ratio", trainer::mean_of(static_cast<double>(now.accepted - before.accepted),
                                                 static_cast<double>(now.drafted - before.drafted))}});
  }

  // The keys are the names in checkpoints, so they stay as older builds wrote them.
  nlohmann::json state() {
    return {{"controller", controller_.state()}, {"apprentice", student_.state()},       {"entropy", entropy_.state()},
            {"skipped", guard_.state()},         {"problems", source_.ledger().state()}, {"replayed", demonstrated_}};
  }

  void update(StepRecord& record, const std::vector<data::Sequence>& demonstrations) {
    const UpdateOptions options{rl_.loss,
                                {rl_.clip_low, rl_.clip_high, static_cast<double>(response_limit(config_, task_))},
                                rollout_sampling(config_, task_).transform,
                                entropy_.weight(),
                                {rl_.micro_batch, rl_.micro_tokens},
                                rl_.prompt_sharing,
                                rl_.demonstration_weight,
                                record.batch.version,
                                rl_.importance_cap};
    record.lr = trainer::learning_rate(rl_.optimizer, progress_.step, rl_.steps);
    const size_t groups = record.batch.groups.size(), updates = static_cast<size_t>(rl_.updates_per_batch);
    for (size_t u = 0; u < updates; ++u) {
      const size_t begin = groups * u / updates, end = groups * (u + 1) / updates;
      model_.params().zero_grad();
      const UpdateResult result = accumulate_update(model_, std::span(record.batch.groups).subspan(begin, end - begin),
                                                    demonstrations, options);
      const trainer::AdamW::Update applied = optimizer_.step(record.lr);
      guard_.check(applied.applied && std::isfinite(result.stats.loss), "rl", progress_.step);
      record.add(result, applied.grad_norm, u == 0);
    }
    if (const auto sampled = record.sampled_entropy()) entropy_.observe(*sampled);
  }

  void account(const StepRecord& record) {
    progress_.step += 1;
    session_.step_done();
    progress_.tokens += record.generated_tokens();
    progress_.seconds += record.seconds();
    progress_.pending = record.metrics(entropy_.weight());
    progress_.pending->merge(supply_.metrics());
    score_ = trainer::score_of(trainer::value_of(*progress_.pending, "accuracy"));
    ledger_.add(progress_.step, record.batch, source_.ledger());
    if (rl_.trace_every > 0 && progress_.step % rl_.trace_every == 0)
      traces_.training(progress_.step, record.batch.groups);
    if (progress_.step == rl_.steps) supply_.drop();
    progress_.extra = state();
  }

  void run_gate() {
    auto mark = std::chrono::steady_clock::now();
    session_.world().enter("student");
    if (student_.run_gate(controller_)) optimizer_.reset();
    const double seconds = lap(mark);
    progress_.seconds += seconds;
    StepRecord::add_gate_seconds(*progress_.pending, seconds, rl_.max_staleness > 0);
    progress_.extra = state();
  }

  trainer::Session& session_;
  const TokenizedTask& task_;
  const configs::RunConfig& config_;
  const configs::Rl& rl_;
  const bool adaptive_;
  trainer::Transformer& model_;
  trainer::AdamW optimizer_;
  const double peak_;  // floating-point operations per second
  trainer::SkipGuard guard_;
  Engine engine_;
  CompressionController controller_;
  Student student_;
  EntropyController entropy_;
  EngineSupply own_supply_;
  RolloutSupply& supply_;
  RolloutSource source_;
  TraceLog traces_;
  LedgerLog ledger_;
  trainer::StageProgress progress_{"rl", 0, 0, 0, {}};
  int64_t demonstrated_ = 0;  // problems drawn for demonstrations so far
  bool told_of_full_cache_ = false;
  Engine::Use engine_use_;                // at the last record
  double score_ = trainer::score_of({});  // of the last step, for the retention of checkpoints
};

}  // namespace

trainer::StageProgress learn(trainer::Session& session, const TokenizedTask& task, RolloutSupply* supply) {
  Learner learner(session, task, supply);
  learner.resume();
  const int64_t steps = session.config().rl.steps;
  session.metrics().begin_stage("rl", learner.progress().step, steps);
  try {
    while (learner.progress().step < steps || learner.progress().pending) {
      if (!learner.progress().pending) learner.step();
      learner.conclude();
    }
  } catch (const trainer::StopRequested&) {
    learner.stop();
  }
  return learner.progress();
}

}  // namespace terse::rl
