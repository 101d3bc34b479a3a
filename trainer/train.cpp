// The supervised loop, one page; see train.h.
#include "trainer/train.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "data/pack.h"
#include "trainer/gradient_sum.h"
#include "trainer/optimizer.h"
#include "trainer/skip_guard.h"

namespace terse::trainer {

namespace {

// The weighted negative log-likelihood of the rows that carry a loss.
struct WeightedLoss {
  torch::Tensor sum;           // scalar with gradient
  std::vector<double> losses;  // of each sequence
};

WeightedLoss weighted_loss(Transformer& model, const data::Batch& batch, SequenceRange part) {
  const data::Batch mine = to_device(data::slice(batch, part.begin, part.end), model.device());
  const torch::Tensor rows = mine.weights.nonzero().squeeze(1);
  const torch::Tensor weights = mine.weights.index_select(0, rows);
  const torch::Tensor terms = -(model.logprobs(mine, rows).logprob * weights);
  return {terms.sum(), sequence_sums(terms, mine.segments_of(rows))};
}

double total_weight(const data::Batch& batch) {
  return batch.weights.sum(torch::kFloat64).item<double>();
}

// Of the losses of this rank's sequences.
LossSum total(const Transformer& model, const data::Batch& batch, const std::vector<double>& losses) {
  const torch::Tensor mine = torch::tensor(losses, torch::kFloat64).unsqueeze(1);
  const torch::Tensor all = gather_shares(model.params().sharding(), batch.segment_count(), mine).contiguous();
  const double* loss = all.data_ptr<double>();
  return {std::accumulate(loss, loss + all.numel(), 0.0), total_weight(batch)};
}

}  // namespace

LossSum accumulate_cross_entropy(Transformer& model, const data::Batch& batch, int64_t segments, double scale) {
  const double weight = total_weight(batch);
  if (weight == 0) return {};
  std::vector<double> losses;
  const int64_t limit = segments > 0 ? segments : batch.segment_count();
  sum_gradients(model.params(), batch.segment_count(), limit, [&](SequenceRange part) {
    const WeightedLoss micro = weighted_loss(model, batch, part);
    (micro.sum * (scale / weight)).backward();
    losses.insert(losses.end(), micro.losses.begin(), micro.losses.end());
  });
  return total(model, batch, losses);
}

LossSum cross_entropy(Transformer& model, const data::Batch& batch) {
  torch::NoGradGuard no_grad;
  const Sharding& sharding = model.params().sharding();
  const SequenceRange mine = share_of(batch.segment_count(), sharding.rank(), sharding.ranks());
  std::vector<double> losses;
  if (mine.count() > 0) {
    losses = weighted_loss(model, batch, mine).losses;
  } else {
    model.stand_in();
  }
  return total(model, batch, losses);
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
    session.world().enter(stage.name);
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
