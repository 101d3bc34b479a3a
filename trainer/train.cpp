// The supervised loop, one page; see train.h.
#include "trainer/train.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <stdexcept>

#include "data/pack.h"
#include "trainer/gradient_tree.h"
#include "trainer/optimizer.h"
#include "trainer/skip_guard.h"

namespace terse::trainer {

namespace {

// The weighted negative log-likelihood of the rows that carry a loss.
struct WeightedLoss {
  torch::Tensor sum;           // scalar with gradient
  std::vector<double> losses;  // of each sequence
};

WeightedLoss weighted_loss(const Transformer& model, const data::Batch& batch) {
  const torch::Tensor rows = batch.weights.nonzero().squeeze(1);
  const torch::Tensor weights = batch.weights.index_select(0, rows);
  const torch::Tensor terms = -(model.logprobs(batch, rows).logprob * weights);
  return {terms.sum(), sequence_sums(terms, batch.segments_of(rows))};
}

double total_weight(const data::Batch& batch) {
  return batch.weights.sum(torch::kFloat64).item<double>();
}

}  // namespace

LossSum accumulate_cross_entropy(Transformer& model, const data::Batch& batch, int64_t segments, double scale) {
  LossSum loss{0, total_weight(batch)};
  if (loss.count == 0) return loss;
  const SequenceRange all{0, batch.segment_count()};
  sum_gradients(model.params(), all, segments > 0 ? segments : all.count(), [&](SequenceRange part) {
    const data::Batch micro_batch = to_device(data::slice(batch, part.begin, part.end), model.device());
    const WeightedLoss micro = weighted_loss(model, micro_batch);
    (micro.sum * (scale / loss.count)).backward();
    model.params().collect_grad();
    for (const double sum : micro.losses) loss.sum += sum;
  });
  return loss;
}

LossSum cross_entropy(const Transformer& model, const data::Batch& batch) {
  torch::NoGradGuard no_grad;
  LossSum loss{0, total_weight(batch)};
  for (const double sum : weighted_loss(model, to_device(batch, model.device())).losses) loss.sum += sum;
  return loss;
}

StageProgress train(Session& session, const SupervisedStage& stage) {
  using Clock = std::chrono::steady_clock;
  Transformer& model = session.model();
  AdamW optimizer(model.params(), stage.optimizer);
  SkipGuard guard(stage.optimizer.max_nonfinite_steps);
  StageProgress progress{stage.name, 0, 0, 0, {}};
  if (auto resumed = session.resume(stage.name)) {
    progress = resumed->progress;
    optimizer.restore(resumed->state);
    stage.stream->restore(progress.extra.at("stream"));
    guard.restore(progress.extra.at("skipped"));
  }

  session.metrics().begin_stage(stage.name, progress.step, stage.steps);
  while (progress.step < stage.steps) {
    const auto start = Clock::now();
    // 1. Data.
    const data::Batch batch = stage.stream->next();

    // 2. Loss and gradient, micro-batch by micro-batch.
    model.params().zero_grad();
    const LossSum loss = accumulate_cross_entropy(model, batch, stage.micro_batch);

    // 3. Update.
    const double lr = learning_rate(stage.optimizer, progress.step, stage.steps);
    const AdamW::Update update = optimizer.step(lr);
    guard.check(update.applied && std::isfinite(loss.mean()), stage.name, progress.step);

    // 4. Account.
    progress.step += 1;
    session.step_done();
    progress.tokens += batch.token_count();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    progress.seconds += seconds;
    Metrics metrics = {{"loss", loss.mean()},
                       {"lr", lr},
                       {"grad_norm", update.grad_norm},
                       {"step_time", seconds},
                       {"tokens_per_s", static_cast<double>(batch.token_count()) / seconds}};

    // 5. Evaluate, log, save.
    const bool last = progress.step == stage.steps;
    const bool evaluate = stage.evaluate && (last || (stage.eval_every > 0 && progress.step % stage.eval_every == 0));
    if (evaluate) metrics.merge(stage.evaluate(progress.step));
    if (evaluate || progress.step % session.config().run.log_every == 0) session.log(progress, metrics);
    progress.extra = {{"stream", stage.stream->state()}, {"skipped", guard.state()}};
    if (!last)
      session.maybe_save(
          progress, [&](checkpoints::StateDict& state) { optimizer.save(state); }, -loss.mean());
  }
  return progress;
}

}  // namespace terse::trainer
