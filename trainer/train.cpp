// The supervised loop: step() computes one update, and conclude() evaluates, logs and saves it.
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

// Some sequences of a batch, on the model's device, and their rows that carry a loss.
struct LossRows {
  LossRows(const Transformer& model, const data::Batch& all, SequenceRange part)
      : batch(data::slice(all, part.begin, part.end).to(model.device())),
        rows(batch.weights.nonzero().squeeze(1)),
        weights(batch.weights.index_select(0, rows)) {}

  // The weighted negative log-likelihood of each row.
  torch::Tensor losses(const ops::TokenLogProbs& probs) const { return -(probs.logprob * weights); }
  // The sum over the rows of each sequence.
  std::vector<double> sums(const torch::Tensor& values) const {
    return sequence_sums(values, batch.sequences_of(rows));
  }

  data::Batch batch;
  torch::Tensor rows, weights;
};

// Returns values of the sequences of all ranks, in the order of the batch. `mine` has one vector for each kind of
// value, with a value for each of this rank's sequences. So does the result for all sequences.
std::vector<std::vector<double>> gather(const Transformer& model, int64_t sequences,
                                        const std::vector<std::vector<double>>& mine) {
  std::vector<torch::Tensor> columns;
  for (const std::vector<double>& column : mine) columns.push_back(torch::tensor(column, torch::kFloat64));
  const torch::Tensor all = gather_shares(
      model.params().sharding(), std::vector<int64_t>(static_cast<size_t>(sequences), 1), torch::stack(columns, 1));
  std::vector<std::vector<double>> values;
  for (const torch::Tensor& column : all.t().contiguous().unbind())
    values.emplace_back(column.data_ptr<double>(), column.data_ptr<double>() + sequences);
  return values;
}

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// The weights and tokens of the batch of all ranks.
struct WholeBatch {
  WholeBatch(const Transformer& model, const BatchShare& batch) {
    const data::Batch& mine = batch.mine;
    const torch::Tensor own_lengths = mine.sequences.diff().to(torch::kFloat64);
    const double* length = own_lengths.data_ptr<double>();
    const torch::Tensor first_segments = torch::searchsorted(mine.segments, mine.sequences, /*out_int32=*/true);
    std::vector<std::vector<double>> all = gather(model, batch.sequences,
                                                  {sequence_sums(mine.weights, mine.sequences),
                                                   {length, length + mine.sequence_count()},
                                                   sequence_sums(mine.weights.ne(0), mine.sequences),
                                                   sequence_sums(mine.segments.diff().square(), first_segments)});
    loss = {0, sum(all[0]), {sum(all[1]), sum(all[2]), sum(all[3])}};
    lengths = std::move(all[1]);
  }

  MicroBatching micro_batches(PassLimit limit) const {
    std::vector<MicroBatching::Size> sizes;
    for (const double tokens : lengths) sizes.push_back({1, static_cast<int64_t>(tokens)});
    return {sizes, limit};
  }

  LossSum loss;                 // of which the sum is still 0
  std::vector<double> lengths;  // of the sequences, in tokens
};

// The steps of the loop and its state. When an evaluation is interrupted, its step is saved with a pending record. The
// resumed run then evaluates again before it continues.
class Supervised {
 public:
  Supervised(Session& session, const SupervisedStage& stage)
      : session_(session),
        stage_(stage),
        model_(session.model()),
        optimizer_(model_.params(), stage.optimizer),
        peak_(session.matmul_speed()),
        guard_(stage.optimizer.max_nonfinite_steps),
        progress_{stage.name, 0, 0, 0, {}} {}

  const StageProgress& progress() const { return progress_; }

  void resume() {
    const auto resumed = session_.resume(stage_.name);
    if (!resumed) return;
    progress_ = resumed->progress;
    read_saved([&] {
      optimizer_.restore(resumed->state);
      stage_.stream->restore(progress_.extra.at("stream"));
      guard_.restore(progress_.extra.at("skipped"));
    });
  }

  [[noreturn]] void stop() { session_.stop(progress_, saver(), score()); }

  void step() {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    session_.world().enter(stage_.name);
    // 1. Data: this rank's share.
    const int64_t sequences = stage_.stream->batch_size();
    const BatchShare batch = BatchShare::own(
        model_, sequences, [&](SequenceRange share) { return stage_.stream->next(share.begin, share.end); });

    // 2. Loss and gradient, micro-batch by micro-batch.
    model_.params().zero_grad();
    const DropoutKey dropout{static_cast<uint64_t>(session_.config().run.seed),
                             static_cast<uint64_t>(session_.global_step())};
    const LossSum loss = accumulate_cross_entropy(model_, batch, stage_.limit, 1, {.dropout = dropout});

    // 3. Update.
    const double lr = learning_rate(stage_.optimizer, progress_.step, stage_.steps);
    const AdamW::Update update = optimizer_.step(lr);
    guard_.check(update.applied && std::isfinite(loss.sum), stage_.name, progress_.step);

    // 4. Account.
    progress_.step += 1;
    session_.step_done();
    progress_.tokens += static_cast<int64_t>(loss.work.tokens);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    progress_.seconds += seconds;
    progress_.extra = {{"stream", stage_.stream->state()}, {"skipped", guard_.state()}};
    progress_.pending = present({{"loss", loss.mean()},
                                 {"lr", lr},
                                 {"grad_norm", update.grad_norm},
                                 {"step_time", seconds},
                                 {"tokens_per_s", loss.work.tokens / seconds},
                                 {"mfu", mfu(model_.spec(), loss.work, seconds, peak_)}});
  }

  // 5. Evaluate, log, save. The last step is saved before its evaluation, which may take long.
  void conclude() {
    loss_ = value_of(*progress_.pending, "loss");
    const int64_t done = progress_.step;
    const bool last = done == stage_.steps;
    const bool evaluate = stage_.evaluate && (last || (stage_.eval_every > 0 && done % stage_.eval_every == 0));
    if (last && evaluate) session_.save_last_step(progress_, saver());
    Metrics metrics = *progress_.pending;
    if (evaluate) metrics.merge(stage_.evaluate(done));
    if (evaluate || last || done % session_.config().run.log_every == 0) session_.log(progress_, metrics);
    progress_.pending.reset();
    if (!last) session_.maybe_save(progress_, saver(), score());
    if (last && !evaluate) session_.save_last_step(progress_, saver());
  }

 private:
  Session::SaveState saver() {
    return [this](checkpoints::StateDict& state) { optimizer_.save(state); };
  }
  double score() const { return -score_of(loss_); }

  Session& session_;
  const SupervisedStage& stage_;
  Transformer& model_;
  AdamW optimizer_;
  const double peak_;  // floating-point operations per second
  SkipGuard guard_;
  StageProgress progress_;
  std::optional<double> loss_;  // of the last step
};

}  // namespace

BatchShare BatchShare::own(const Transformer& model, int64_t sequences,
                           const std::function<data::Batch(SequenceRange)>& read) {
  const SequenceRange share = own_share(model.params().sharding(), sequences);
  BatchShare batch{read(share), sequences};
  batch.mine.first_sequence = share.begin;
  return batch;
}

LossSum accumulate_cross_entropy(Transformer& model, const BatchShare& batch, PassLimit limit, double scale,
                                 const ForwardMode& mode) {
  const WholeBatch all(model, batch);
  LossSum whole = all.loss;
  if (whole.count == 0) return whole;
  std::vector<double> losses;
  const int64_t first = own_share(model.params().sharding(), batch.sequences).begin;
  sum_gradients(model.params(), all.micro_batches(limit), [&](SequenceRange part) {
    const LossRows micro(model, batch.mine, {part.begin - first, part.end - first});
    const Transformer::LogProbs probs = model.logprobs(micro.batch, micro.rows, {}, mode);
    const torch::Tensor loss = micro.losses(probs);
    const std::vector<double> sums = micro.sums(loss);
    backward(with_auxiliary(loss.sum() * (scale / whole.count), probs.auxiliary_loss, scale / whole.count));
    losses.insert(losses.end(), sums.begin(), sums.end());
  });
  whole.sum = sum(gather(model, batch.sequences, {losses}).front());
  return whole;
}

LossSum cross_entropy(Transformer& model, const BatchShare& batch) {
  torch::NoGradGuard no_grad;
  LossSum whole = WholeBatch(model, batch).loss;
  std::vector<double> losses;
  if (batch.mine.sequence_count() > 0) {
    const LossRows all(model, batch.mine, {0, batch.mine.sequence_count()});
    losses = all.sums(all.losses(model.logprobs(all.batch, all.rows)));
  } else {
    model.dummy_forward();
  }
  whole.sum = sum(gather(model, batch.sequences, {losses}).front());
  return whole;
}

StageProgress train(Session& session, const SupervisedStage& stage) {
  Supervised loop(session, stage);
  loop.resume();
  session.metrics().begin_stage(stage.name, loop.progress().step, stage.steps);
  try {
    while (loop.progress().step < stage.steps || loop.progress().pending) {
      if (!loop.progress().pending) loop.step();
      loop.conclude();
    }
  } catch (const StopRequested&) {
    loop.stop();
  }
  return loop.progress();
}

}  // namespace terse::trainer
