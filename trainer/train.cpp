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

// Of sequences `part` of `batch`.
WeightedLoss weighted_loss(Transformer& model, const data::Batch& batch, SequenceRange part) {
  const data::Batch mine = data::slice(batch, part.begin, part.end).to(model.device());
  const torch::Tensor rows = mine.weights.nonzero().squeeze(1);
  const torch::Tensor weights = mine.weights.index_select(0, rows);
  const torch::Tensor terms = -(model.logprobs(mine, rows).logprob * weights);
  return {terms.sum(), sequence_sums(terms, mine.sequences_of(rows))};
}

// Values of each of this rank's sequences, summed over those of all ranks in the order of the batch.
std::vector<double> totals(const Transformer& model, int64_t sequences,
                           const std::vector<std::vector<double>>& values) {
  std::vector<torch::Tensor> columns;
  for (const std::vector<double>& column : values) columns.push_back(torch::tensor(column, torch::kFloat64));
  const torch::Tensor all = gather_shares(model.params().sharding(), sequences, torch::stack(columns, 1));
  std::vector<double> sums;
  for (const torch::Tensor& column : all.t().contiguous().unbind()) {
    const double* value = column.data_ptr<double>();
    sums.push_back(std::accumulate(value, value + sequences, 0.0));
  }
  return sums;
}

// Of the whole batch, without a loss yet.
LossSum weights_and_tokens(const Transformer& model, const BatchShare& batch) {
  const data::Batch& mine = batch.mine;
  const torch::Tensor lengths = mine.sequences.diff().to(torch::kFloat64);
  const double* length = lengths.data_ptr<double>();
  const std::vector<double> sums = totals(
      model, batch.sequences, {sequence_sums(mine.weights, mine.sequences), {length, length + mine.sequence_count()}});
  return {0, sums[0], static_cast<int64_t>(sums[1])};
}

}  // namespace

BatchShare BatchShare::own(const Transformer& model, int64_t sequences,
                           const std::function<data::Batch(SequenceRange)>& read) {
  return {read(own_share(model.params().sharding(), sequences)), sequences};
}

LossSum accumulate_cross_entropy(Transformer& model, const BatchShare& batch, int64_t micro_batch, double scale) {
  LossSum whole = weights_and_tokens(model, batch);
  if (whole.count == 0) return whole;
  std::vector<double> losses;
  const int64_t first = own_share(model.params().sharding(), batch.sequences).begin;
  const int64_t limit = micro_batch > 0 ? micro_batch : batch.sequences;
  sum_gradients(model.params(), batch.sequences, limit, [&](SequenceRange part) {
    const WeightedLoss micro = weighted_loss(model, batch.mine, {part.begin - first, part.end - first});
    (micro.sum * (scale / whole.count)).backward();
    losses.insert(losses.end(), micro.losses.begin(), micro.losses.end());
  });
  whole.sum = totals(model, batch.sequences, {losses}).front();
  return whole;
}

LossSum cross_entropy(Transformer& model, const BatchShare& batch) {
  torch::NoGradGuard no_grad;
  LossSum whole = weights_and_tokens(model, batch);
  std::vector<double> losses;
  if (batch.mine.sequence_count() > 0) {
    losses = weighted_loss(model, batch.mine, {0, batch.mine.sequence_count()}).losses;
  } else {
    model.stand_in();
  }
  whole.sum = totals(model, batch.sequences, {losses}).front();
  return whole;
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
    // 1. Data: this rank's share.
    const int64_t sequences = stage.stream->batch_size();
    const BatchShare batch = BatchShare::own(
        model, sequences, [&](SequenceRange share) { return stage.stream->next(share.begin, share.end); });

    // 2. Loss and gradient, micro-batch by micro-batch.
    model.params().zero_grad();
    const LossSum loss = accumulate_cross_entropy(model, batch, stage.micro_batch);

    // 3. Update.
    const double lr = learning_rate(stage.optimizer, progress.step, stage.steps);
    const AdamW::Update update = optimizer.step(lr);
    guard.check(update.applied && std::isfinite(loss.sum), stage.name, progress.step);

    // 4. Account.
    progress.step += 1;
    session.step_done();
    progress.tokens += loss.tokens;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    progress.seconds += seconds;
    Metrics metrics = present({{"loss", loss.mean()},
                               {"lr", lr},
                               {"grad_norm", update.grad_norm},
                               {"step_time", seconds},
                               {"tokens_per_s", static_cast<double>(loss.tokens) / seconds}});

    // 5. Evaluate, log, save.
    const bool last = progress.step == stage.steps;
    const bool evaluate = stage.evaluate && (last || (stage.eval_every > 0 && progress.step % stage.eval_every == 0));
    if (evaluate) metrics.merge(stage.evaluate(progress.step));
    if (evaluate || progress.step % session.config().run.log_every == 0) session.log(progress, metrics);
    progress.extra = {{"stream", stage.stream->state()}, {"skipped", guard.state()}};
    if (!last)
      session.maybe_save(
          progress, [&](checkpoints::StateDict& state) { optimizer.save(state); }, -score_of(loss.mean()));
  }
  return progress;
}

}  // namespace terse::trainer
