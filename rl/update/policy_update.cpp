// Packs rollouts and computes the combined loss, micro-batch by micro-batch. Statistics are kept per sequence and added
// in order of sequence, so that they do not depend on how the update is split.
#include "rl/update/policy_update.h"

#include <algorithm>

#include "rl/update/importance.h"
#include "trainer/gradient_sum.h"
#include "trainer/loss.h"
#include "trainer/train.h"

namespace terse::rl {

namespace {

struct Trained {
  const Problem* problem;
  const Rollout* rollout;
};

// Prepends a zero for each prompt token to the values of the response tokens, as data::pack_values needs them.
std::vector<float> beside_prompt(const Trained& item, const std::vector<float>& values) {
  std::vector<float> out(item.problem->prompt.size(), 0.0f);
  out.insert(out.end(), values.begin(), values.end());
  return out;
}

struct MicroBatch {
  data::Batch batch;
  torch::Tensor rows;   // packed positions that carry a loss
  torch::Tensor stale;  // [rows] bool: sampled by older weights; undefined when none is
  PolicyLossInput input;
};

std::vector<float> staleness(const Rollout& rollout, int64_t version) {
  std::vector<float> stale;
  for (const int64_t v : rollout.versions) stale.push_back(v < version ? 1 : 0);
  stale.resize(rollout.tokens.size());  // tokens without a recorded version count as fresh
  return stale;
}

// Only sampled tokens carry a loss.
data::Sequence sampled_tokens(const Problem& problem, const Rollout& rollout) {
  data::Sequence sequence = data::prompt_and_response(problem.prompt, rollout.tokens);
  for (size_t i = 0; i < rollout.tokens.size(); ++i) {
    if (!rollout.is_sampled(i)) sequence.weights[problem.prompt.size() + i] = 0;
  }
  return sequence;
}

MicroBatch pack_rollouts(std::span<const Trained> items, int64_t version, torch::Device device) {
  std::vector<data::Sequence> sequences;
  std::vector<std::vector<float>> old_logprobs, advantages, ids, stale;
  bool any_stale = false;
  for (size_t i = 0; i < items.size(); ++i) {
    const Rollout& rollout = *items[i].rollout;
    sequences.push_back(sampled_tokens(*items[i].problem, rollout));
    old_logprobs.push_back(beside_prompt(items[i], rollout.logprobs));
    advantages.push_back(
        beside_prompt(items[i], std::vector<float>(rollout.tokens.size(), static_cast<float>(rollout.advantage))));
    ids.push_back(beside_prompt(items[i], std::vector<float>(rollout.tokens.size(), static_cast<float>(i))));
    stale.push_back(beside_prompt(items[i], staleness(rollout, version)));
    any_stale = any_stale || (!rollout.versions.empty() && rollout.oldest_version() < version);
  }
  MicroBatch micro;
  micro.batch = data::pack(sequences).to(device);
  micro.rows = micro.batch.weights.nonzero().squeeze(1);
  const auto picked = [&](const std::vector<std::vector<float>>& values) {
    return data::pack_values(values).to(device).index_select(0, micro.rows);
  };
  micro.input.old_logprob = picked(old_logprobs);
  micro.input.advantage = picked(advantages);
  micro.input.sequence = picked(ids).to(torch::kInt64);
  micro.input.mask = torch::ones_like(micro.input.old_logprob);
  micro.input.sequences = static_cast<int64_t>(items.size());
  if (any_stale) micro.stale = picked(stale).to(torch::kBool);
  return micro;
}

// Returns the rollouts that train, and adds all verified ones to `totals`. So the denominators are known before the
// first backward pass.
std::vector<Trained> select(std::span<const RolloutGroup> groups, PolicyTotals& totals) {
  std::vector<Trained> items;
  for (const RolloutGroup& group : groups) {
    for (const Rollout& rollout : group.rollouts) {
      if (rollout.status != VerifyStatus::kOk) continue;
      totals += {rollout.length(), 1};
      if (rollout.advantage != 0) items.push_back({&group.problem, &rollout});
    }
  }
  return items;
}

// The reported statistics of an update, one row per sequence. Rows are combined in order of sequence, whichever rank
// computed them.
struct SequenceStats {
  // Entropy, log-prob difference, its maximum, packed tokens; stale tokens, sum of their weights, number of those at
  // the cap; policy statistics.
  static constexpr int64_t kColumns = 4 + 3 + 6;

  static torch::Tensor rows(const MicroBatch& micro, const trainer::ops::TokenLogProbs& probs,
                            const torch::Tensor& policy_stats, double cap) {
    // The difference of a stale token is 0, because correct_stale() has replaced the sampler's log-prob by the
    // learner's.
    const torch::Tensor difference = (probs.logprob.detach() - micro.input.old_logprob).abs();
    const torch::Tensor sequences = micro.batch.sequences_of(micro.rows);
    const auto column = [](const std::vector<double>& values) { return torch::tensor(values, torch::kFloat64); };
    const torch::Tensor most = torch::zeros({micro.input.sequences}, difference.options().dtype(torch::kFloat64))
                                   .scatter_reduce(0, micro.input.sequence, difference.to(torch::kFloat64), "amax");
    return torch::cat({torch::stack({column(trainer::sequence_sums(probs.entropy, sequences)),
                                     column(trainer::sequence_sums(difference, sequences)), most.cpu(),
                                     micro.batch.sequences.diff().to(torch::kCPU, torch::kFloat64)},
                                    1),
                       stale_columns(micro, sequences, cap), policy_stats.cpu()},
                      1);
  }

  static torch::Tensor stale_columns(const MicroBatch& micro, const torch::Tensor& sequences, double cap) {
    if (!micro.stale.defined()) return torch::zeros({micro.input.sequences, 3}, torch::kFloat64);
    const torch::Tensor stale = micro.stale.to(torch::kFloat32);
    const torch::Tensor capped = (micro.input.weight >= cap).logical_and(micro.stale).to(torch::kFloat32);
    std::vector<torch::Tensor> columns;
    for (const torch::Tensor& values : {stale, micro.input.weight * stale, capped})
      columns.push_back(torch::tensor(trainer::sequence_sums(values, sequences), torch::kFloat64));
    return torch::stack(columns, 1);
  }

  static void add(const torch::Tensor& rows, UpdateResult& result) {
    const auto row = rows.accessor<double, 2>();
    double entropy = 0, difference = 0, largest = 0, weights = 0, capped = 0;
    for (int64_t s = 0; s < rows.size(0); ++s) {
      entropy += row[s][0];
      difference += row[s][1];
      largest = std::max(largest, row[s][2]);
      result.work += {row[s][3], 0, row[s][3] * row[s][3]};
      result.stale_tokens += row[s][4];
      weights += row[s][5];
      capped += row[s][6];
    }
    result.stats.add(rows.slice(1, 7));
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
  const std::vector<Trained> items = select(groups, totals);
  const double count = policy_loss_count(options.loss, totals, options.policy);
  const int64_t sequences = static_cast<int64_t>(items.size());
  const int64_t limit = options.micro_batch > 0 ? options.micro_batch : sequences;
  std::vector<torch::Tensor> rows = {torch::empty({0, SequenceStats::kColumns}, torch::kFloat64)};
  trainer::sum_gradients(model.params(), sequences, limit, [&](trainer::SequenceRange part) {
    MicroBatch micro =
        pack_rollouts(std::span(items).subspan(static_cast<size_t>(part.begin), static_cast<size_t>(part.count())),
                      options.version, model.device());
    const auto probs = model.logprobs(micro.batch, micro.rows, options.transform);
    micro.input.logprob = probs.logprob;
    if (micro.stale.defined()) correct_stale(micro.input, micro.stale, options.importance_cap);
    const PolicyLossResult loss = policy_loss(options.loss, micro.input, options.policy);
    // The entropy bonus is a mean over all verified tokens, whatever the policy loss divides by.
    const torch::Tensor bonus = probs.entropy.sum() * (options.entropy_weight / static_cast<double>(totals.tokens));
    trainer::backward(trainer::with_auxiliary(loss.sum / count - bonus, probs.auxiliary_loss, 1 / count));
    rows.push_back(SequenceStats::rows(micro, probs, loss.stats, options.importance_cap));
  });
  SequenceStats::add(trainer::gather_shares(model.params().sharding(), sequences, torch::cat(rows)), result);
  if (totals.sequences > 0) result.policy_loss = result.stats.loss / count;
  if (!demonstrations.empty() && options.demonstration_weight > 0) {
    const auto batch =
        trainer::BatchShare::own(model, static_cast<int64_t>(demonstrations.size()), [&](trainer::SequenceRange share) {
          return data::pack({demonstrations.begin() + share.begin, demonstrations.begin() + share.end});
        });
    const trainer::LossSum loss =
        trainer::accumulate_cross_entropy(model, batch, options.micro_batch, options.demonstration_weight);
    result.demonstration_loss = loss.mean();
    result.work += loss.work;
  }
  return result;
}

}  // namespace terse::rl
