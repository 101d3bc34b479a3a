// The engine that evaluates during the stage reads the newest weights before each evaluation.
#include "launch/run/stages/sft_stage.h"

#include "rl/eval/evaluation.h"
#include "rl/tasks/trace_stream.h"
#include "trainer/train.h"

namespace terse::launch {

trainer::StageProgress fine_tune(trainer::Session& session, const rl::TokenizedTask& task) {
  const configs::RunConfig& config = session.config();
  rl::TraceStream stream(task, config.sft.batch_size, static_cast<uint64_t>(config.run.seed));
  rl::Engine engine(session.model(), {config.engine.max_batch, &session.signals()});
  const auto evaluate_now = [&](int64_t step) {
    engine.refresh(step);
    return rl::evaluate(engine, task, rl::quick_evaluation(config, task)).metrics();
  };
  // With sft.eval_every 0 the stage itself never evaluates: the full evaluation after it covers the last step.
  const bool during = config.sft.eval_every > 0;
  return trainer::train(
      session, {"sft", config.sft.steps, config.sft.micro_batch, config.sft.eval_every, config.sft.optimizer, &stream,
                during ? std::function<trainer::Metrics(int64_t)>(evaluate_now) : nullptr});
}

}  // namespace terse::launch
