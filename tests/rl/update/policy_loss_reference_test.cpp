// Compares every policy loss and its gradient with the formula of its paper
// (tests/support/references/reference_losses.h). The random updates have ratios below, between and above the clip
// bounds, and advantages of both signs.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "rl/update/policy_loss.h"
#include "tests/support/references/reference_losses.h"

namespace terse::rl {
namespace {

using support::ReferenceSequence;
using torch::Tensor;

struct Update {
  std::vector<ReferenceSequence> sequences;
  int64_t tokens = 0;
};

Update random_update(uint64_t seed, bool weighted) {
  std::mt19937_64 random(seed);
  // Rounded to fp32, so that terse computes with the same numbers in both precisions.
  const auto uniform = [&](double low, double high) -> double {
    return static_cast<float>(low + (high - low) * static_cast<double>(random() >> 11) * 0x1p-53);
  };
  Update update;
  for (int64_t i = 0; i < 12; ++i) {
    ReferenceSequence s;
    s.advantage = (i % 2 == 0 ? 1 : -1) * uniform(0.2, 2);
    // Half of the sequences have ratios close to 1, so that the ratios of whole sequences fall between the bounds, too.
    const double spread = i % 4 < 2 ? 0.7 : 0.1;
    for (int64_t t = 0; t < 1 + i % 5; ++t) {
      s.logprob.push_back(uniform(-4, -0.1));
      s.old_logprob.push_back(static_cast<float>(s.logprob.back() - uniform(-spread, spread)));
      if (weighted) s.weight.push_back(uniform(0.3, 2));
      ++update.tokens;
    }
    update.sequences.push_back(std::move(s));
  }
  return update;
}

// The update as terse computes it: in micro-batches, whose sums are divided by the count of the whole update.
struct Ours {
  double loss = 0;
  std::vector<double> gradient;
  PolicyStats stats;
};

Ours ours(const std::string& name, const Update& update, const PolicyLossOptions& options, size_t micro_batch,
          torch::ScalarType type) {
  const auto total = static_cast<int64_t>(update.sequences.size());
  const double count = policy_loss_count(name, {update.tokens, total}, options);
  Ours out;
  for (size_t begin = 0; begin < update.sequences.size(); begin += micro_batch) {
    const size_t end = std::min(update.sequences.size(), begin + micro_batch);
    std::vector<double> logprob, old_logprob, advantage, weight;
    std::vector<int64_t> ids;
    for (size_t i = begin; i < end; ++i) {
      const ReferenceSequence& s = update.sequences[i];
      logprob.insert(logprob.end(), s.logprob.begin(), s.logprob.end());
      old_logprob.insert(old_logprob.end(), s.old_logprob.begin(), s.old_logprob.end());
      weight.insert(weight.end(), s.weight.begin(), s.weight.end());
      advantage.insert(advantage.end(), s.logprob.size(), s.advantage);
      ids.insert(ids.end(), s.logprob.size(), static_cast<int64_t>(i - begin));
    }
    PolicyLossInput in;
    in.logprob = torch::tensor(logprob, type).requires_grad_(true);
    in.old_logprob = torch::tensor(old_logprob, type);
    in.advantage = torch::tensor(advantage, type);
    in.mask = torch::ones_like(in.old_logprob);
    in.sequence = torch::tensor(ids);
    in.sequences = static_cast<int64_t>(end - begin);
    if (!weight.empty()) in.weight = torch::tensor(weight, type);
    const PolicyLossResult result = policy_loss(name, in, options);
    (result.sum / count).backward();
    out.loss += result.sum.item<double>() / count;
    out.stats.add(result.stats);
    const Tensor gradient = in.logprob.grad().to(torch::kFloat64).contiguous();
    out.gradient.insert(out.gradient.end(), gradient.data_ptr<double>(),
                        gradient.data_ptr<double>() + gradient.numel());
  }
  return out;
}

// The difference of the loss relative to its terms, and the largest difference of the gradient relative to its largest
// entry.
std::pair<double, double> differences(const Ours& mine, const support::ReferenceLoss& expected) {
  double size = 0, difference = 0;
  size_t i = 0;
  for (const std::vector<double>& sequence : expected.gradient) {
    for (const double g : sequence) {
      size = std::max(size, std::abs(g));
      difference = std::max(difference, std::abs(g - mine.gradient.at(i++)));
    }
  }
  return {std::abs(mine.loss - expected.loss) / expected.magnitude, difference / size};
}

TEST(PolicyLossReference, LossAndGradientAreThoseOfThePapers) {
  for (const std::string& name : policy_loss_names()) {
    int64_t low = 0, high = 0;
    double worst_exact = 0, worst_fp32 = 0;
    for (uint64_t seed = 0; seed < 40; ++seed) {
      for (const PolicyLossOptions& options :
           {PolicyLossOptions{0.2, 0.28, 20}, PolicyLossOptions{0.05, 0.4, 7}, PolicyLossOptions{0.3, 0.01, 5}}) {
        const Update update = random_update(seed, seed % 2 == 1);
        const auto expected =
            support::reference_loss(name, update.sequences,
                                    {options.clip_low, options.clip_high, options.max_tokens,
                                     static_cast<double>(update.sequences.size()), static_cast<double>(update.tokens)});
        for (const size_t micro_batch : {size_t{12}, size_t{5}, size_t{1}}) {
          const Ours exact = ours(name, update, options, micro_batch, torch::kFloat64);
          const auto [loss, gradient] = differences(exact, expected);
          EXPECT_LT(loss, 1e-14) << name << " seed " << seed;
          EXPECT_LT(gradient, 1e-14) << name << " seed " << seed;
          worst_exact = std::max({worst_exact, loss, gradient});
          low += static_cast<int64_t>(exact.stats.clipped_low);
          high += static_cast<int64_t>(exact.stats.clipped_high);
        }
        const auto [loss, gradient] = differences(ours(name, update, options, 12, torch::kFloat32), expected);
        EXPECT_LT(loss, 1e-6) << name << " in fp32, seed " << seed;
        EXPECT_LT(gradient, 1e-6) << name << " in fp32, seed " << seed;
        worst_fp32 = std::max({worst_fp32, loss, gradient});
      }
    }
    if (name != "reinforce") {
      EXPECT_GT(low, 0) << name << ": no ratio fell below its bound";
      EXPECT_GT(high, 0) << name << ": no ratio rose above its bound";
    }
    RecordProperty(name, fmt::format("{:.1e} in fp64, {:.1e} in fp32", worst_exact, worst_fp32));
  }
}

}  // namespace
}  // namespace terse::rl
