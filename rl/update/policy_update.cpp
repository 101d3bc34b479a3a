// Packs rollouts and computes the combined loss, micro-batch by micro-batch. Statistics are kept per rollout and added
// in order of rollouts, so that they do not depend on how the update is split.
#include "rl/update/policy_update.h"

#include <algorithm>

#include "rl/update/importance.h"
#include "trainer/gradient_sum.h"
#include "trainer/loss.h"
#include "trainer/train.h"

namespace terse::rl {

namespace {

// Rollouts of a group that share one copy of their prompt: one sequence of the batch.
struct SharingRollouts {
  const Problem* problem = nullptr;
  std::vector<const Rollout*> rollouts;

  data::SharedPrompt packable() const {
    data::SharedPrompt shared{problem->prompt, {}};
    for (const Rollout* rollout : rollouts) {
      std::vector<float> weights;  // only sampled tokens carry a loss
      for (size_t i = 0; i < rollout->tokens.size(); ++i) weights.push_back(rollout->is_sampled(i) ? 1 : 0);
      shared.responses.push_back({rollout->tokens, std::move(weights)});
    }
    return shared;
  }

  // Returns the work of the rows that data::pack_shared() makes.
  trainer::TokenWork work() const {
    const double prefix = static_cast<double>(problem->prompt.size()) - 1;
    trainer::TokenWork work{prefix, 0, prefix * prefix};
    for (const Rollout* rollout : rollouts) {
      const double rows = static_cast<double>(rollout->tokens.size());
      work += {rows, 0, (prefix + rows) * (prefix + rows) - prefix * prefix};
    }
    return work;
  }
};

struct MicroBatch {
  data::Batch batch;
  torch::Tensor rows;      // packed positions that carry a loss
  torch::Tensor rollouts;  // int32 [R + 1], the index of the first row of each rollout, then the number of rows
  torch::Tensor stale;     // [rows] bool: sampled by older weights; undefined when none is
  PolicyLossInput input;
};

// Values of the sampled tokens of a micro-batch, one for each row.
struct RowValues {
  std::vector<float> old_logprobs, advantages;
  std::vector<int64_t> ids;
  std::vector<uint8_t> stale;
  std::vector<int32_t> starts = {0};

  void add(const Rollout& rollout, int64_t version) {
    const auto id = static_cast<int64_t>(starts.size()) - 1;
    for (size_t i = 0; i < rollout.tokens.size(); ++i) {
      if (!rollout.is_sampled(i)) continue;
      old_logprobs.push_back(rollout.logprobs[i]);
      advantages.push_back(static_cast<float>(rollout.advantage));
      ids.push_back(id);
      // Tokens without a recorded version count as fresh.
      stale.push_back(i < rollout.versions.size() && rollout.versions[i] < version ? 1 : 0);
    }
    starts.push_back(static_cast<int32_t>(ids.size()));
  }
};

MicroBatch pack_rollouts(std::span<const SharingRollouts> sequences, int64_t version, torch::Device device) {
  std::vector<data::SharedPrompt> prompts;
  RowValues values;
  for (const SharingRollouts& sequence : sequences) {
    prompts.push_back(sequence.packable());
    for (const Rollout* rollout : sequence.rollouts) values.add(*rollout, version);
  }
  MicroBatch micro;
  micro.batch = data::pack_shared(prompts).to(device);
  micro.rows = micro.batch.weights.nonzero().squeeze(1);
  micro.rollouts = torch::tensor(values.starts, torch::kInt32).to(device);
  micro.input.old_logprob = torch::tensor(values.old_logprobs, torch::kFloat32).to(device);
  micro.input.advantage = torch::tensor(values.advantages, torch::kFloat32).to(device);
  micro.input.sequence = torch::tensor(values.ids, torch::kInt64).to(device);
  micro.input.mask = torch::ones_like(micro.input.old_logprob);
  micro.input.sequences = static_cast<int64_t>(values.starts.size()) - 1;
  if (std::find(values.stale.begin(), values.stale.end(), 1) != values.stale.end())
    micro.stale = torch::tensor(values.stale, torch::kUInt8).to(device, torch::kBool);
  return micro;
}

// Returns the rollouts that train, and adds all verified ones to `totals`. So the denominators are known before the
// first backward pass.
std::vector<SharingRollouts> select(std::span<const RolloutGroup> groups, int64_t sharing, PolicyTotals& totals) {
  std::vector<SharingRollouts> sequences;
  for (const RolloutGroup& group : groups) {
    std::vector<const Rollout*> training;
    for (const Rollout& rollout : group.rollouts) {
      if (rollout.status != VerifyStatus::kOk) continue;
      totals += {rollout.length(), 1};
      if (rollout.advantage != 0 && rollout.length() > 0) training.push_back(&rollout);
    }
    // Equal parts give ranks and passes equal work.
    const int64_t count = std::ssize(training), parts = (count + sharing - 1) / sharing;
    for (int64_t part = 0; part < parts; ++part)
      sequences.push_back(
          {&group.problem, {training.begin() + count * part / parts, training.begin() + count * (part + 1) / parts}});
  }
  return sequences;
}

// The reported statistics of an update, one row per rollout. Rows are combined in order of rollouts, whichever rank
// computed them.
struct RolloutStats {
  // Entropy, log-prob difference, its maximum; stale tokens, sum of their weights, number of those at the cap; policy
  // statistics.
  static constexpr int64_t kColumns = 3 + 3 + 6;

  static torch::Tensor rows(const MicroBatch& micro, const trainer::ops::TokenLogProbs& probs,
                            const torch::Tensor& policy_stats, double cap) {
    // The difference of a stale token is 0, because correct_stale() has replaced the sampler's log-prob by the
    // learner's.
    const torch::Tensor difference = (probs.logprob.detach() - micro.input.old_logprob).abs();
    const auto column = [](const std::vector<double>& values) { return torch::tensor(values, torch::kFloat64); };
    const torch::Tensor most = torch::zeros({micro.input.sequences}, difference.options().dtype(torch::kFloat64))
                                   .scatter_reduce(0, micro.input.sequence, difference.to(torch::kFloat64), "amax");
    return torch::cat({torch::stack({column(trainer::sequence_sums(probs.entropy, micro.rollouts)),
                                     column(trainer::sequence_sums(difference, micro.rollouts)), most.cpu()},
                                    1),
                       stale_columns(micro, cap), policy_stats.cpu()},
                      1);
  }

  static torch::Tensor stale_columns(const MicroBatch& micro, double cap) {
    if (!micro.stale.defined()) return torch::zeros({micro.input.sequences, 3}, torch::kFloat64);
    const torch::Tensor stale = micro.stale.to(torch::kFloat32);
    const torch::Tensor capped = (micro.input.weight >= cap).logical_and(micro.stale).to(torch::kFloat32);
    std::vector<torch::Tensor> columns;
    for (const torch::Tensor& values : {stale, micro.input.weight * stale, capped})
      columns.push_back(torch::tensor(trainer::sequence_sums(values, micro.rollouts), torch::kFloat64));
    return torch::stack(columns, 1);
  }

  static void add(const torch::Tensor& rows, UpdateResult& result) {
    const auto row = rows.accessor<double, 2>();
    double entropy = 0, difference = 0, largest = 0, weights = 0, capped = 0;
    for (int64_t s = 0; s < rows.size(0); ++s) {
      entropy += row[s][0];
      difference += row[s][1];
      largest = std::max(largest, row[s][2]);
      result.stale_tokens += row[s][3];
      weights += row[s][4];
      capped += row[s][5];
    }
    result.stats.add(rows.slice(1, 6));
    result.work.head_rows += result.stats.tokens;
    const double trained = result.stats.tokens, fresh = trained - result.stale_tokens;
    result.entropy = trainer::mean_of(entropy, trained);
    result.logp_diff_mean = trainer::mean_of(difference, fresh);
    if (fresh > 0) result.logp_diff_max = largest;
    result.importance_mean = trainer::mean_of(weights, result.stale_tokens);
    result.importance_capped = trainer::mean_of(capped, result.stale_tokens);
  }
};

}  // namespace

UpdateResult accumulate_update(trainer::Transformer& model, std::span<const RolloutGroup> groups,
                               const std::vector<data::Sequence>& demonstrations, const UpdateOptions& options) {
  UpdateResult result;
  PolicyTotals totals;
  const std::vector<SharingRollouts> sequences = select(groups, options.prompt_sharing, totals);
  const double count = policy_loss_count(options.loss, totals, options.policy);
  std::vector<trainer::MicroBatching::Size> sizes;
  std::vector<int64_t> rollouts;  // of each sequence
  for (const SharingRollouts& sequence : sequences) {
    const trainer::TokenWork work = sequence.work();
    rollouts.push_back(std::ssize(sequence.rollouts));
    sizes.push_back({rollouts.back(), static_cast<int64_t>(work.tokens)});
    result.work += work;
  }
  std::vector<torch::Tensor> rows = {torch::empty({0, RolloutStats::kColumns}, torch::kFloat64)};
  trainer::sum_gradients(model.params(), {sizes, options.limit}, [&](trainer::SequenceRange part) {
    MicroBatch micro =
        pack_rollouts(std::span(sequences).subspan(static_cast<size_t>(part.begin), static_cast<size_t>(part.count())),
                      options.version, model.device());
    const auto probs = model.logprobs(micro.batch, micro.rows, options.transform);
    micro.input.logprob = probs.logprob;
    if (micro.stale.defined()) correct_stale(micro.input, micro.stale, options.importance_cap);
    const PolicyLossResult loss = policy_loss(options.loss, micro.input, options.policy);
    // The entropy bonus is a mean over all verified tokens, whatever the policy loss divides by.
    const torch::Tensor bonus = probs.entropy.sum() * (options.entropy_weight / static_cast<double>(totals.tokens));
    trainer::backward(trainer::with_auxiliary(loss.sum / count - bonus, probs.auxiliary_loss, 1 / count));
    rows.push_back(RolloutStats::rows(micro, probs, loss.stats, options.importance_cap));
  });
  RolloutStats::add(trainer::gather_shares(model.params().sharding(), rollouts, torch::cat(rows)), result);
  if (totals.sequences > 0) result.policy_loss = result.stats.loss / count;
  if (!demonstrations.empty() && options.demonstration_weight > 0) {
    const auto batch =
        trainer::BatchShare::own(model, static_cast<int64_t>(demonstrations.size()), [&](trainer::SequenceRange share) {
          return data::pack({demonstrations.begin() + share.begin, demonstrations.begin() + share.end});
        });
    const trainer::LossSum loss =
        trainer::accumulate_cross_entropy(model, batch, options.limit, options.demonstration_weight);
    result.demonstration_loss = loss.mean();
    result.work += loss.work;
  }
  return result;
}

}  // namespace terse::rl
