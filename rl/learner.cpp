// One RL step is a page of numbered phases; what each phase does lies in the file it calls.
#include "rl/learner.h"

#include <chrono>
#include <cmath>

#include "rl/apprentice.h"
#include "rl/entropy_controller.h"
#include "rl/eval/evaluation.h"
#include "rl/ledger_log.h"
#include "rl/limits.h"
#include "rl/policy_update.h"
#include "rl/rl_metrics.h"
#include "rl/rollout_source.h"
#include "rl/trace_log.h"
#include "trainer/skip_guard.h"

namespace terse::rl {

namespace {

constexpr int64_t kFirstReplay = int64_t{1} << 40;  // replayed problems start beyond those of SFT and of rollouts

// Traces of the rungs that the controller stands on, of problems never used before: they keep the mastered form alive
// while pressure is put on it. None where it stands at the top.
std::vector<data::Sequence> draw_replay(const Task& task, const CompressionController& controller, int64_t count,
                                        int64_t& cursor) {
  std::vector<data::Sequence> replay;
  for (int64_t i = 0; i < count; ++i) {
    const Problem problem = task.problem(Split::kTrain, kFirstReplay + cursor++);
    const int64_t rung = controller.rung(problem.difficulty);
    if (rung == 0) continue;
    replay.push_back(data::prompt_and_response(problem.prompt, controller.ladder().trace(problem, rung)));
  }
  return replay;
}

double seconds_since(std::chrono::steady_clock::time_point& mark) {
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - mark).count();
  mark = now;
  return seconds;
}

}  // namespace

trainer::StageProgress learn(trainer::Session& session, const Task& task, RolloutSupply* supply) {
  const configs::RunConfig& config = session.config();
  const configs::Rl& rl = config.rl;
  trainer::Transformer& model = session.model();
  trainer::AdamW optimizer(model.params(), rl.optimizer);
  trainer::SkipGuard guard(rl.optimizer.max_nonfinite_steps);
  Engine engine(model, config.engine.max_batch);
  CompressionController controller(task);
  Apprentice apprentice(config, task, model);
  EntropyController entropy(rl.entropy_bonus);
  EngineSupply own_supply(config, task, engine, session.world());
  if (supply == nullptr) supply = &own_supply;
  RolloutSource source(config, task, *supply, controller);
  TraceLog traces(session.leads() ? session.dir() / "traces" : std::filesystem::path(), task);
  LedgerLog ledger(session.leads() ? session.dir() : std::filesystem::path());
  const bool adaptive = rl.penalty.kind == "adaptive";
  trainer::StageProgress progress{"rl", 0, 0, 0, {}};
  int64_t replayed = 0;
  const auto save_state = [&](checkpoints::StateDict& state) {
    optimizer.save(state);
    apprentice.save(state);
    ledger.sync();
  };
  if (auto resumed = session.resume("rl")) {
    progress = resumed->progress;
    optimizer.restore(resumed->state);
    apprentice.restore(resumed->state, progress.extra.at("apprentice"));
    controller.restore(progress.extra.at("controller"));
    entropy.restore(progress.extra.at("entropy"));
    guard.restore(progress.extra.at("skipped"));
    source.restore(progress.extra.at("problems"));
    ledger.rewind(progress.extra.at("ledger"));
    replayed = progress.extra.at("replayed");
  } else {
    ledger.rewind(0);
  }

  session.metrics().begin_stage("rl", progress.step, rl.steps);
  while (progress.step < rl.steps) {
    auto mark = std::chrono::steady_clock::now();
    const double done = static_cast<double>(progress.step) / static_cast<double>(rl.steps);
    StepRecord record;

    session.world().enter("rollout");
    // 1. Rollouts with the present weights, verified, priced, with advantages.
    supply->publish(progress.step);
    record.batch = source.next(progress.step);
    record.rollout_seconds = seconds_since(mark);
    record.generates_ahead = rl.max_staleness > 0;

    // 2. The controller moves its limits.
    if (adaptive) controller.observe(record.batch.sampled);
    const std::vector<data::Sequence> replay =
        adaptive ? draw_replay(task, controller, rl.replay, replayed) : std::vector<data::Sequence>{};

    session.world().enter("update");
    // 3. Updates: policy loss, entropy bonus and replay; the groups are shared out over updates_per_batch of them.
    const UpdateOptions options{
        rl.loss,
        {rl.clip_low, rl.clip_high, static_cast<double>(response_limit(config.engine.max_new_tokens, task))},
        rollout_sampling(config, task).transform,
        entropy.weight(),
        rl.micro_batch,
        rl.replay_weight,
        record.batch.version,
        rl.importance_cap};
    record.lr = trainer::learning_rate(rl.optimizer, progress.step, rl.steps);
    const size_t groups = record.batch.groups.size(), updates = static_cast<size_t>(rl.updates_per_batch);
    for (size_t u = 0; u < updates; ++u) {
      const size_t begin = groups * u / updates, end = groups * (u + 1) / updates;
      model.params().zero_grad();
      const UpdateResult update =
          accumulate_update(model, std::span(record.batch.groups).subspan(begin, end - begin), replay, options);
      const trainer::AdamW::Update applied = optimizer.step(record.lr);
      guard.check(applied.applied && std::isfinite(update.policy_loss), "rl", progress.step);
      record.add(update, applied.grad_norm, u == 0);
    }
    entropy.observe(record.sampled_entropy());
    record.train_seconds = seconds_since(mark);

    session.world().enter("practice");
    // 4. The apprentice practises a shorter form; once it has mastered it, the policy takes its weights.
    if (adaptive && rl.practice.updates > 0 && apprentice.step(controller, done)) optimizer.reset();
    record.practice_seconds = seconds_since(mark);

    // 5. Account.
    progress.step += 1;
    session.step_done();
    progress.tokens += record.generated_tokens();
    progress.seconds += record.seconds();
    trainer::Metrics metrics = record.metrics(adaptive ? &controller : nullptr, entropy.weight());
    if (adaptive) metrics.merge(apprentice.metrics());
    metrics.merge(supply->metrics());
    ledger.add(progress.step, record.batch, source.ledger());
    if (rl.trace_every > 0 && progress.step % rl.trace_every == 0) traces.training(progress.step, record.batch.groups);

    // 6. Evaluate, log, save.
    const bool last = progress.step == rl.steps;
    const bool evaluate_now = !last && rl.eval_every > 0 && progress.step % rl.eval_every == 0;
    if (evaluate_now) {
      session.world().enter("eval");
      engine.refresh(progress.step);
      metrics.merge(evaluate(engine, task, quick_evaluation(config)).metrics());
    }
    if (evaluate_now || last || progress.step % config.run.log_every == 0) session.log(progress, metrics);
    if (last) supply->drop();
    progress.extra = {{"controller", controller.state()},    {"apprentice", apprentice.state()},
                      {"entropy", entropy.state()},          {"skipped", guard.state()},
                      {"problems", source.ledger().state()}, {"replayed", replayed},
                      {"ledger", ledger.position()}};
    if (!last) session.maybe_save(progress, save_state, metrics.at("accuracy"));
  }
  ledger.sync();
  return progress;
}

}  // namespace terse::rl
