// The losses differ only in their ratio (per token or per sequence), their term, its aggregation and the denominator.
// The table kForms has one line per loss.
#include "rl/update/policy_loss.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

namespace terse::rl {
namespace {

using torch::Tensor;

enum class Aggregate { kSequenceMean, kTokenSum };
enum class Denominator { kSequences, kTokens, kSequencesTimesMax };

// The inputs of one evaluation, with masked entries set to 0. All but token_count are [N], and all but `sequence` have
// one dtype.
struct Tokens {
  Tensor logprob, log_ratio, advantage, mask;
  Tensor sequence;
  Tensor token_count;  // [S] trained tokens of each sequence, at least 1
};

struct Term {
  Tensor loss;       // [N]
  Tensor low, high;  // [N] bool: where a bound acted; undefined when the form does not clip
};

void require(bool ok, const std::string& message) {
  if (!ok) throw std::invalid_argument("policy loss: " + message);
}

void check(const PolicyLossInput& in) {
  require(in.logprob.defined() && in.logprob.dim() == 1, "logprob must be a vector of tokens");
  const int64_t tokens = in.logprob.numel();
  const auto same = [&](const Tensor& tensor, const char* name) {
    require(tensor.defined(), fmt::format("{} is missing", name));
    require(tensor.dim() == 1 && tensor.numel() == tokens,
            fmt::format("{} has {} entries in {} dimensions; expected shape [{}] like logprob", name, tensor.numel(),
                        tensor.dim(), tokens));
    require(tensor.device() == in.logprob.device(),
            fmt::format("{} is on {}, but logprob is on {}", name, tensor.device().str(), in.logprob.device().str()));
  };
  same(in.old_logprob, "old_logprob");
  same(in.advantage, "advantage");
  same(in.mask, "mask");
  same(in.sequence, "sequence");
  if (in.weight.defined()) same(in.weight, "weight");
  require(in.sequence.scalar_type() == torch::kInt64, "sequence must be int64");
  require(in.sequences > 0 || tokens == 0,
          fmt::format("got {} sequences for {} tokens; expected at least one sequence", in.sequences, tokens));
}

Tensor per_sequence_sum(const Tensor& values, const Tensor& sequence, int64_t sequences) {
  return torch::zeros({sequences}, values.options()).index_add(0, sequence, values);
}

Tokens prepare(const PolicyLossInput& in) {
  Tokens t;
  const auto dtype = in.logprob.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const Tensor on = in.mask != 0;
  // Uses where() instead of a product: NaN times 0 is NaN, in the value and in the gradient.
  const auto clean = [&](const Tensor& tensor) { return torch::where(on, tensor.to(dtype), 0.0); };
  t.mask = on.to(dtype);
  t.logprob = clean(in.logprob);
  t.log_ratio = t.logprob - clean(in.old_logprob.detach());
  t.advantage = clean(in.advantage.detach());
  t.sequence = in.sequence;
  t.token_count = per_sequence_sum(t.mask, in.sequence, in.sequences).clamp_min(1);
  return t;
}

Tensor token_log_ratio(const Tokens& t) {
  return t.log_ratio;
}

// Each token gets the geometric mean of the ratios of its sequence. Its gradient reaches all tokens of the sequence.
Tensor sequence_log_ratio(const Tokens& t) {
  const Tensor sums = per_sequence_sum(t.log_ratio, t.sequence, t.token_count.size(0));
  return (sums / t.token_count).index_select(0, t.sequence);
}

// The pessimistic clipped objective of PPO. A bound acts where it removes the gradient: the upper one at positive
// advantages, the lower one at negative ones.
Term clipped(const Tokens& t, const Tensor& ratio, const PolicyLossOptions& options) {
  const double low = 1 - options.clip_low, high = 1 + options.clip_high;
  Term term;
  term.loss = -torch::minimum(ratio * t.advantage, ratio.clamp(low, high) * t.advantage);
  term.low = (ratio < low).logical_and(t.advantage < 0);
  term.high = (ratio > high).logical_and(t.advantage > 0);
  return term;
}

// The clipped ratio is only a weight, so that every token keeps a gradient.
Term clipped_weight(const Tokens& t, const Tensor& ratio, const PolicyLossOptions& options) {
  const double low = 1 - options.clip_low, high = 1 + options.clip_high;
  const Tensor fixed = ratio.detach();
  return {-(fixed.clamp(low, high) * t.advantage * t.logprob), fixed<low, fixed> high};
}

Term on_policy(const Tokens& t, const Tensor&, const PolicyLossOptions&) {
  return {-(t.advantage * t.logprob), {}, {}};
}

struct Form {
  std::string_view name;
  Tensor (*log_ratio)(const Tokens&);
  Term (*term)(const Tokens&, const Tensor& ratio, const PolicyLossOptions&);
  Aggregate aggregate;
  Denominator denominator;
};

constexpr Form kForms[] = {
    {"grpo", token_log_ratio, clipped, Aggregate::kSequenceMean, Denominator::kSequences},
    {"dapo", token_log_ratio, clipped, Aggregate::kTokenSum, Denominator::kTokens},
    {"dr_grpo", token_log_ratio, clipped, Aggregate::kTokenSum, Denominator::kSequencesTimesMax},
    {"gspo", sequence_log_ratio, clipped, Aggregate::kSequenceMean, Denominator::kSequences},
    {"cispo", token_log_ratio, clipped_weight, Aggregate::kTokenSum, Denominator::kTokens},
    {"reinforce", token_log_ratio, on_policy, Aggregate::kTokenSum, Denominator::kSequences},
};

const Form& find_form(std::string_view name) {
  for (const Form& form : kForms) {
    if (form.name == name) return form;
  }
  throw std::invalid_argument(
      fmt::format("unknown policy loss '{}'; known: {}", name, fmt::join(policy_loss_names(), ", ")));
}

// Sums per sequence in double, so that the sums do not depend on the other sequences of the micro-batch.
Tensor statistics(const Tokens& t, const Tensor& log_ratio, const Tensor& ratio, const Term& term, const Tensor& loss) {
  const torch::NoGradGuard no_grad;
  const Tensor on = t.mask != 0;
  const int64_t sequences = t.token_count.size(0);
  const auto sums = [&](const Tensor& values) {
    return per_sequence_sum(values.detach().to(torch::kFloat64), t.sequence, sequences);
  };
  const auto count = [&](const Tensor& where) {
    return where.defined() ? sums(where.logical_and(on)) : sums(torch::zeros_like(t.mask));
  };
  const Tensor excess = torch::where(on, ratio - 1, 0.0);
  const Tensor deviation = torch::zeros({sequences}, t.mask.options().dtype(torch::kFloat64))
                               .scatter_reduce(0, t.sequence, excess.abs().to(torch::kFloat64), "amax");
  const Tensor kl = (excess - log_ratio) * t.mask;
  return torch::stack({sums(loss), sums(t.mask), count(term.low), count(term.high), sums(kl), deviation}, 1);
}

}  // namespace

void PolicyStats::add(const Tensor& stats) {
  const Tensor host = stats.to(torch::kCPU);
  const auto value = host.accessor<double, 2>();
  for (int64_t s = 0; s < host.size(0); ++s) {
    loss += value[s][0];
    tokens += value[s][1];
    clipped_low += value[s][2];
    clipped_high += value[s][3];
    kl_sum += value[s][4];
    max_deviation = std::max(max_deviation, value[s][5]);
  }
}

void PolicyStats::add(const PolicyStats& other) {
  loss += other.loss;
  tokens += other.tokens;
  clipped_low += other.clipped_low;
  clipped_high += other.clipped_high;
  kl_sum += other.kl_sum;
  max_deviation = std::max(max_deviation, other.max_deviation);
}

std::vector<std::string> policy_loss_names() {
  std::vector<std::string> names;
  for (const Form& form : kForms) names.emplace_back(form.name);
  return names;
}

double policy_loss_count(std::string_view name, const PolicyTotals& totals, const PolicyLossOptions& options) {
  const Form& form = find_form(name);
  const double sequences = static_cast<double>(std::max<int64_t>(totals.sequences, 1));
  switch (form.denominator) {
    case Denominator::kSequences:
      return sequences;
    case Denominator::kTokens:
      return static_cast<double>(std::max<int64_t>(totals.tokens, 1));
    case Denominator::kSequencesTimesMax:
      break;
  }
  require(options.max_tokens > 0, fmt::format("{} needs max_tokens above 0, got {}", name, options.max_tokens));
  return sequences * options.max_tokens;
}

PolicyLossResult policy_loss(std::string_view name, const PolicyLossInput& input, const PolicyLossOptions& options) {
  const Form& form = find_form(name);
  check(input);
  require(options.clip_low >= 0 && options.clip_low <= 1 && options.clip_high >= 0,
          fmt::format("clip_low is {} and clip_high is {}; expected clip_low from 0 to 1 and clip_high of 0 or more",
                      options.clip_low, options.clip_high));
  const Tokens t = prepare(input);
  const Tensor log_ratio = form.log_ratio(t);
  const Tensor ratio = log_ratio.exp();
  const Term term = form.term(t, ratio, options);

  Tensor scale = t.mask;
  if (form.aggregate == Aggregate::kSequenceMean) scale = scale / t.token_count.index_select(0, t.sequence);
  if (input.weight.defined()) scale = scale * torch::where(t.mask != 0, input.weight.detach().to(t.mask), 0.0);
  const Tensor loss = term.loss * scale;
  return {loss.sum(), statistics(t, log_ratio, ratio, term, loss)};
}

}  // namespace terse::rl
