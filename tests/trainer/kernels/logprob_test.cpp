// Checks the output head: log-probabilities, entropies and gradients against double precision, masked tokens, NaN, and
// row invariance.
#include "tests/trainer/kernels/support.h"

namespace terse::trainer::kernels {
namespace {

const int64_t kVocabs[] = {1, 2, 15, 16, 17, 29, 100, 257, 1000};

struct Row {
  double lse, entropy;
  std::vector<double> p;
};

Row softmax_of(const float* logits, double scale, int64_t vocab) {
  double top = -INFINITY, sum = 0;
  for (int64_t i = 0; i < vocab; ++i) top = std::max(top, scale * logits[i]);
  for (int64_t i = 0; i < vocab; ++i) sum += std::exp(scale * logits[i] - top);
  Row row{top + std::log(sum), 0, {}};
  for (int64_t i = 0; i < vocab; ++i) {
    const double log_p = scale * logits[i] - row.lse;
    row.p.push_back(std::exp(log_p));
    if (row.p.back() > 0) row.entropy -= row.p.back() * log_p;
  }
  return row;
}

struct Outputs {
  Floats logprob, lse, entropy;
};

Outputs logprobs(const Table& table, const Floats& logits, const std::vector<int64_t>& targets, float scale,
                 int64_t vocab) {
  const int64_t rows = static_cast<int64_t>(targets.size());
  Outputs out{Floats(rows), Floats(rows), Floats(rows)};
  table.logprob({.logits = logits.data(),
                 .targets = targets.data(),
                 .scale = scale,
                 .rows = rows,
                 .vocab = vocab,
                 .logprob = out.logprob.data(),
                 .lse = out.lse.data(),
                 .entropy = out.entropy.data()});
  return out;
}

TEST(KernelsLogProb, MatchesDoublePrecision) {
  for (const int64_t vocab : kVocabs)
    for (const float scale : {1.0f, 0.7f, 2.5f}) {
      SCOPED_TRACE(testing::Message() << "V " << vocab << ", scale " << scale);
      const int64_t rows = 40;
      const Floats logits = random_floats(rows * vocab, 1, 5);
      const std::vector<int64_t> targets = random_ints(rows, vocab, 2);
      Outputs out;
      run_everywhere([&](const Table& table) {
        out = logprobs(table, logits, targets, scale, vocab);
        Floats all = out.logprob;
        all.insert(all.end(), out.lse.begin(), out.lse.end());
        all.insert(all.end(), out.entropy.begin(), out.entropy.end());
        return all;
      });
      std::vector<double> logprob, lse, entropy;
      for (int64_t r = 0; r < rows; ++r) {
        const Row row = softmax_of(logits.data() + r * vocab, scale, vocab);
        logprob.push_back(static_cast<double>(scale) * logits[r * vocab + targets[r]] - row.lse);
        lse.push_back(row.lse);
        entropy.push_back(row.entropy);
      }
      EXPECT_TRUE(close(out.logprob, logprob, 1e-6));
      EXPECT_TRUE(close(out.lse, lse, 1e-6));
      EXPECT_TRUE(close(out.entropy, entropy, 2e-6));
    }
}

// The token must be the one at which the exact cumulative distribution passes the number, except within rounding.
TEST(KernelsSampleTokens, InvertTheCumulativeDistribution) {
  for (const int64_t vocab : kVocabs) {
    SCOPED_TRACE(vocab);
    const int64_t rows = 60;
    Floats logits = random_floats(rows * vocab, 1, 4), uniforms = random_floats(rows, 1);
    for (float& u : uniforms) u = std::abs(u) - std::floor(std::abs(u));
    uniforms[0] = 0;
    uniforms[1] = std::nextafter(1.0f, 0.0f);
    if (vocab > 2) logits[0] = -INFINITY;  // the first row cannot draw its first token
    std::vector<int64_t> tokens(rows);
    Outputs out{Floats(rows), Floats(rows), Floats(rows)};
    run_everywhere([&](const Table& table) {
      table.sample_tokens({.logits = logits.data(),
                           .uniforms = uniforms.data(),
                           .scale = 0.7f,
                           .rows = rows,
                           .vocab = vocab,
                           .tokens = tokens.data(),
                           .logprob = out.logprob.data(),
                           .lse = out.lse.data(),
                           .entropy = out.entropy.data()});
      Floats all(tokens.begin(), tokens.end());
      all.insert(all.end(), out.logprob.begin(), out.logprob.end());
      return all;
    });
    const Outputs learner = logprobs(cpu(), logits, tokens, 0.7f, vocab);
    EXPECT_TRUE(same_bits(out.logprob.data(), learner.logprob.data(), rows)) << "as the learner computes it";
    EXPECT_TRUE(same_bits(out.lse.data(), learner.lse.data(), rows));
    EXPECT_TRUE(same_bits(out.entropy.data(), learner.entropy.data(), rows));
    for (int64_t r = 0; r < rows; ++r) {
      const Row row = softmax_of(logits.data() + r * vocab, 0.7f, vocab);
      double below = 0;
      for (int64_t i = 0; i < tokens[r]; ++i) below += row.p[i];
      EXPECT_GT(row.p[tokens[r]], 0) << "row " << r;
      EXPECT_LE(below, uniforms[r] + 1e-5) << "row " << r;
      EXPECT_GE(below + row.p[tokens[r]], uniforms[r] - 1e-5) << "row " << r;
    }
  }
}

TEST(KernelsLogProb, ARowDoesNotDependOnItsBatch) {
  for (const int64_t vocab : kVocabs) {
    const int64_t rows = 150;
    Floats logits = random_floats(rows * vocab, 1, 3);
    const std::vector<int64_t> targets = random_ints(rows, vocab, 2);
    const Outputs all = logprobs(cpu(), logits, targets, 1, vocab);
    for (const int64_t row : {0, 74, 75, 149}) {
      const Floats one(logits.begin() + row * vocab, logits.begin() + (row + 1) * vocab);
      const Outputs alone = logprobs(cpu(), one, {targets[row]}, 1, vocab);
      EXPECT_TRUE(same_bits(alone.logprob.data(), &all.logprob[row], 1)) << "row " << row << ", V " << vocab;
      EXPECT_TRUE(same_bits(alone.lse.data(), &all.lse[row], 1));
      EXPECT_TRUE(same_bits(alone.entropy.data(), &all.entropy[row], 1));
    }
  }
}

TEST(KernelsLogProb, MaskedTokensHaveNoProbabilityAndNoGradient) {
  const int64_t vocab = 21;
  Floats logits = random_floats(vocab, 1), open;
  for (int64_t i = 0; i < vocab; ++i) {
    if (i % 3 == 0) {
      logits[i] = -INFINITY;
    } else {
      open.push_back(logits[i]);
    }
  }
  const Row expected = softmax_of(open.data(), 1, static_cast<int64_t>(open.size()));
  const Outputs out = logprobs(cpu(), logits, {4}, 1, vocab);
  EXPECT_NEAR(out.logprob[0], logits[4] - expected.lse, 1e-6);
  EXPECT_NEAR(out.entropy[0], expected.entropy, 1e-6);
  EXPECT_EQ(logprobs(cpu(), logits, {3}, 1, vocab).logprob[0], -INFINITY);
  const Floats one = {1.0f};
  Floats grad(vocab);
  cpu().logprob_backward({.logits = logits.data(),
                          .targets = std::vector<int64_t>{4}.data(),
                          .rows = 1,
                          .vocab = vocab,
                          .lse = out.lse.data(),
                          .entropy = out.entropy.data(),
                          .d_logprob = one.data(),
                          .d_entropy = one.data(),
                          .dlogits = grad.data()});
  for (int64_t i = 0; i < vocab; ++i) EXPECT_TRUE(i % 3 == 0 ? grad[i] == 0 : std::isfinite(grad[i])) << i;
}

TEST(KernelsLogProb, OneOpenTokenIsCertain) {
  Floats logits(40, -INFINITY);
  logits[33] = 2.5f;
  const Outputs out = logprobs(cpu(), logits, {33}, 1, 40);
  EXPECT_EQ(out.logprob[0], 0.0f);
  EXPECT_EQ(out.entropy[0], 0.0f);
}

TEST(KernelsLogProb, HugeLogitsDoNotOverflow) {
  const Floats logits = {3e38f, -3e38f, 3e38f, 0};
  const Outputs out = logprobs(cpu(), logits, {0}, 1, 4);
  EXPECT_NEAR(out.logprob[0], -std::log(2.0), 1e-6);
  EXPECT_NEAR(out.entropy[0], std::log(2.0), 1e-6);
}

TEST(KernelsLogProb, NanOrNothingToDrawGivesNan) {
  for (const int64_t bad : {0, 5, 16, 18}) {
    Floats logits(19, 1.0f);
    logits[bad] = NAN;
    const Outputs out = logprobs(cpu(), logits, {2}, 1, 19);
    EXPECT_TRUE(std::isnan(out.logprob[0]) && std::isnan(out.lse[0]) && std::isnan(out.entropy[0])) << bad;
  }
  const Outputs out = logprobs(cpu(), Floats(19, -INFINITY), {2}, 1, 19);
  EXPECT_TRUE(std::isnan(out.logprob[0]) && std::isnan(out.lse[0]) && std::isnan(out.entropy[0]));
}

TEST(KernelsLogProb, GradientMatchesDoublePrecision) {
  for (const int64_t vocab : kVocabs)
    for (const bool with_entropy : {false, true}) {
      SCOPED_TRACE(testing::Message() << "V " << vocab << ", entropy " << with_entropy);
      const int64_t rows = 31;
      const float scale = 0.8f;
      const Floats logits = random_floats(rows * vocab, 1, 3), d_logprob = random_floats(rows, 2),
                   d_entropy = random_floats(rows, 3);
      const std::vector<int64_t> targets = random_ints(rows, vocab, 4);
      const Outputs out = logprobs(cpu(), logits, targets, scale, vocab);
      const Floats grad = run_everywhere([&](const Table& table) {
        Floats in_place = logits;
        table.logprob_backward({.logits = in_place.data(),
                                .targets = targets.data(),
                                .scale = scale,
                                .rows = rows,
                                .vocab = vocab,
                                .lse = out.lse.data(),
                                .entropy = out.entropy.data(),
                                .d_logprob = d_logprob.data(),
                                .d_entropy = with_entropy ? d_entropy.data() : nullptr,
                                .dlogits = in_place.data()});
        return in_place;
      });
      std::vector<double> expected;
      for (int64_t r = 0; r < rows; ++r) {
        const Row row = softmax_of(logits.data() + r * vocab, scale, vocab);
        for (int64_t i = 0; i < vocab; ++i) {
          const double h = with_entropy ? d_entropy[r] : 0;
          const double by_logprob = d_logprob[r] * ((i == targets[r] ? 1 : 0) - row.p[i]);
          expected.push_back(scale * (by_logprob - h * row.p[i] * (std::log(row.p[i]) + row.entropy)));
        }
      }
      EXPECT_TRUE(close(grad, expected, 3e-6));
    }
}

// Compares the formula itself with finite differences of a forward pass in double precision.
TEST(KernelsLogProb, GradientIsTheSlopeOfTheForwardPass) {
  const int64_t vocab = 6;
  const Floats logits = {0.3f, -1.2f, 0.9f, 2.0f, -0.4f, 0.1f}, g_logprob = {1.7f}, g_entropy = {-0.6f};
  const std::vector<int64_t> targets = {2};
  const double scale = 1.5;
  const Outputs out = logprobs(cpu(), logits, targets, 1.5f, vocab);
  Floats grad(vocab);
  cpu().logprob_backward({.logits = logits.data(),
                          .targets = targets.data(),
                          .scale = 1.5f,
                          .rows = 1,
                          .vocab = vocab,
                          .lse = out.lse.data(),
                          .entropy = out.entropy.data(),
                          .d_logprob = g_logprob.data(),
                          .d_entropy = g_entropy.data(),
                          .dlogits = grad.data()});
  const auto objective = [&](int64_t at, double step) {
    std::vector<double> z;
    double sum = 0, entropy = 0;
    for (int64_t i = 0; i < vocab; ++i) z.push_back(scale * (logits[i] + (i == at ? step : 0)));
    for (const double v : z) sum += std::exp(v);
    for (const double v : z) entropy -= std::exp(v) / sum * (v - std::log(sum));
    return g_logprob[0] * (z[2] - std::log(sum)) + g_entropy[0] * entropy;
  };
  for (int64_t i = 0; i < vocab; ++i)
    EXPECT_NEAR(grad[i], (objective(i, 1e-5) - objective(i, -1e-5)) / 2e-5, 2e-6) << i;
}

}  // namespace
}  // namespace terse::trainer::kernels
