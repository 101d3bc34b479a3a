// Traces show the first problems of each difficulty.
#include "launch/run/stages/stage_evaluation.h"

#include <fmt/format.h>

#include "launch/text.h"
#include "rl/rollout/trace_log.h"

namespace terse::launch {

namespace {

// One line for people, for example "evaluation: accuracy 0.993, 4.5 tokens (2,100 responses)".
std::string text_of(const rl::Evaluation& evaluation) {
  const std::optional<double> accuracy = evaluation.all.accuracy(), tokens = evaluation.all.mean_tokens();
  if (!accuracy) return "evaluation: no response could be verified";
  return fmt::format("evaluation: accuracy {:.3f}, {:.1f} tokens ({} responses)", *accuracy, *tokens,
                     with_thousands(evaluation.all.n));
}

}  // namespace

rl::Evaluation evaluate_stage(trainer::Session& session, const rl::TokenizedTask& task,
                              const trainer::StageProgress& progress) try {
  rl::Engine engine(session.model(), rl::engine_options(session.config().engine, &session.signals()));
  session.world().enter("eval");
  const rl::TraceLog traces(session.metrics(), task);
  constexpr int64_t kTracedProblems = 4;  // problems of each difficulty
  session.metrics().say(
      fmt::format("evaluating {}", progress.stage == "eval" ? "the model" : "after " + progress.stage));
  const rl::Evaluation evaluation =
      rl::evaluate(engine, task, rl::full_evaluation(session.config(), task), [&](const rl::RolloutGroup& group) {
        if (group.problem.index < kTracedProblems) traces.evaluation(progress.stage, progress.step, group);
      });
  session.metrics().say(text_of(evaluation));
  session.log(progress, evaluation.metrics());
  return evaluation;
} catch (const trainer::StopRequested&) {
  session.stop(progress, nullptr, 0);
}

}  // namespace terse::launch
