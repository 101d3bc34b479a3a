// The engine that evaluates during the stage reads the newest weights before each evaluation.
#include "launch/run/stages/sft_stage.h"

#include <algorithm>
#include <memory>

#include "data/conversations/conversation_stream.h"
#include "rl/eval/evaluation.h"
#include "rl/tasks/trace_stream.h"
#include "trainer/train.h"

namespace terse::launch {

namespace {

constexpr int64_t kMostValidated = 1000;  // conversations of a validation loss
// Sequences of a batch of it. The ranks run all of them at once, whatever sft.micro_batch is, so they are few.
constexpr int64_t kValidationBatch = 16;

}  // namespace

StageResult fine_tune(trainer::Session& session, const rl::TokenizedTask* task,
                      const data::Conversations* conversations) {
  const configs::RunConfig& config = session.config();
  const configs::Sft& sft = config.sft;
  const uint64_t seed = static_cast<uint64_t>(config.run.seed);
  std::unique_ptr<data::BatchStream> stream;
  if (conversations != nullptr) {
    stream = std::make_unique<data::ConversationStream>(conversations->train, sft.batch_size, seed);
  } else {
    stream = std::make_unique<rl::TraceStream>(*task, sft.batch_size, seed);
  }
  std::optional<data::ConversationSample> validation;
  if (conversations != nullptr && conversations->val.size() > 0) {
    validation.emplace(conversations->val, std::min(sft.batch_size, kValidationBatch), kMostValidated, seed);
  }
  // With sft.eval_every 0 the stage itself never evaluates: the full evaluation after it covers the last step.
  const bool solves = task != nullptr && sft.eval_every > 0;
  std::optional<rl::Engine> engine;
  if (solves) engine.emplace(session.model(), rl::engine_options(config.engine, &session.signals()));
  StageResult result;
  const auto evaluate = [&](int64_t step) {
    trainer::Metrics metrics;
    if (validation) {
      result.val_loss = validation_loss(session, *validation);
      metrics = trainer::present({{"val_loss", result.val_loss}});
    }
    if (solves) {
      engine->refresh(step);
      metrics.merge(rl::evaluate(*engine, *task, rl::quick_evaluation(config, *task)).metrics());
    }
    return metrics;
  };
  const bool evaluates = validation || solves;
  result.progress = trainer::train(session, {"sft",
                                             sft.steps,
                                             {sft.micro_batch, sft.micro_tokens},
                                             sft.eval_every,
                                             sft.optimizer,
                                             stream.get(),
                                             evaluates ? std::function<trainer::Metrics(int64_t)>(evaluate) : nullptr});
  return result;
}

}  // namespace terse::launch
