// Traces show the first problems of each difficulty.
#include "launch/run/stages/stage_evaluation.h"

#include "rl/rollout/trace_log.h"

namespace terse::launch {

rl::Evaluation evaluate_stage(trainer::Session& session, const rl::TokenizedTask& task,
                              const trainer::StageProgress& progress) try {
  rl::Engine engine(session.model(), {session.config().engine.max_batch, &session.signals()});
  session.world().enter("eval");
  const rl::TraceLog traces(session.metrics(), task);
  constexpr int64_t kTracedProblems = 4;  // problems of each difficulty
  const rl::Evaluation evaluation =
      rl::evaluate(engine, task, rl::full_evaluation(session.config(), task), [&](const rl::RolloutGroup& group) {
        if (group.problem.index < kTracedProblems) traces.evaluation(progress.stage, progress.step, group);
      });
  session.log(progress, evaluation.metrics());
  return evaluation;
} catch (const trainer::StopRequested&) {
  session.stop(progress, nullptr, 0);
}

}  // namespace terse::launch
