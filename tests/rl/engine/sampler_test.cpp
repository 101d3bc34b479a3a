// Compares drawn tokens with the distribution that the transform defines, computed independently in double. Also tests
// that no two draws share a random number.
#include "rl/engine/sampler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rl/engine/engine.h"
#include "rl/rollout/rollout_worker.h"
#include "tests/support/references/chi_square.h"
#include "tests/support/tiny_model.h"

namespace terse::rl {
namespace {

using support::chi_square;
using support::chi_square_limit;
using trainer::LogitTransform;

constexpr int64_t kVocab = 12;

// No two are equal, and the probabilities span four orders of magnitude.
const std::vector<float> kLogits = {0.3f, -2.1f, 2.4f, 1.9f, -0.7f, 2.2f, -4.0f, 0.9f, 1.1f, -1.3f, 3.0f, -5.5f};

std::vector<double> normalised(std::vector<double> p) {
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= sum;
  return p;
}

// The softmax at the temperature, then three cuts, each on the result of the one before. They keep the k likeliest
// tokens (Fan et al. 2018, arXiv 1805.04833), the nucleus of mass p (Holtzman et al. 2020, arXiv 1904.09751), and the
// tokens with at least min_p times the largest probability (Nguyen et al. 2024, arXiv 2407.01082).
std::vector<double> expected_distribution(const LogitTransform& transform) {
  std::vector<double> p;
  for (const float logit : kLogits) p.push_back(std::exp(logit / transform.temperature));
  p = normalised(p);
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
  if (transform.top_k > 0)
    for (size_t i = static_cast<size_t>(transform.top_k); i < order.size(); ++i) p[order[i]] = 0;
  p = normalised(p);
  double mass = 0;
  for (const size_t i : order) {
    if (mass >= transform.top_p) p[i] = 0;
    mass += p[i];
  }
  p = normalised(p);
  for (double& value : p)
    if (value < transform.min_p * p[order[0]]) value = 0;
  return normalised(p);
}

struct Case {
  LogitTransform transform;
  size_t kept;  // tokens that can be drawn, counted by hand
};

const Case kCases[] = {
    {{}, 12},
    {{.temperature = 0.5}, 12},
    {{.temperature = 2.5}, 12},
    {{.top_k = 1}, 1},
    {{.top_k = 4}, 4},
    {{.temperature = 2, .top_k = 5}, 5},
    {{.top_p = 0.7}, 3},                      // .368 + .202 + .165
    {{.temperature = 0.5, .top_p = 0.7}, 2},  // .604 + .182
    {{.min_p = 0.1}, 6},                      // logits from 3 - ln 10 = 0.697 on
    {{.temperature = 3, .min_p = 0.5}, 5},    // logits from 3 - 3 ln 2 = 0.92 on, and so not 0.9
    {{.temperature = 1.2, .top_k = 6, .top_p = 0.9, .min_p = 0.3}, 4},
};

std::vector<Draw> draw(const LogitTransform& transform, const std::vector<DrawKey>& keys) {
  std::vector<float> rows;
  for (size_t i = 0; i < keys.size(); ++i) rows.insert(rows.end(), kLogits.begin(), kLogits.end());
  return sample_rows(rows.data(), static_cast<int64_t>(keys.size()), kVocab, transform, keys);
}

TEST(Sampler, DrawsFromTheDistributionThatTheTransformDefines) {
  constexpr int64_t kDraws = 30'000;
  std::vector<DrawKey> keys;
  for (int64_t i = 0; i < kDraws; ++i)
    keys.push_back({.seed = 9, .problem = i / 100, .sample = i / 10 % 10, .position = i % 10});
  for (const Case& each : kCases) {
    const LogitTransform& t = each.transform;
    const std::string name =
        fmt::format("temperature {}, top_k {}, top_p {}, min_p {}", t.temperature, t.top_k, t.top_p, t.min_p);
    const std::vector<double> p = expected_distribution(t);
    ASSERT_EQ(p.size() - static_cast<size_t>(std::count(p.begin(), p.end(), 0.0)), each.kept) << name;
    double entropy = 0;
    for (const double value : p) entropy -= value > 0 ? value * std::log(value) : 0;
    std::vector<double> counts(kVocab), expected;
    for (const double value : p) expected.push_back(value * kDraws);
    for (const Draw& d : draw(t, keys)) {
      const auto token = static_cast<size_t>(d.token);
      ASSERT_GT(p[token], 0) << name << ": token " << token << " is cut";
      ASSERT_NEAR(d.logprob, std::log(p[token]), 1e-5) << name;
      ASSERT_NEAR(d.entropy, entropy, 1e-5) << name;
      ++counts[token];
    }
    if (each.kept == 1) continue;
    EXPECT_LT(chi_square(counts, expected), chi_square_limit(static_cast<double>(each.kept) - 1)) << name;
  }
}

// Counts pairs of tokens. If the tokens are uniform and independent, all pairs are equally likely.
class Pairs {
 public:
  explicit Pairs(size_t tokens) : tokens_(tokens), counts_(tokens * tokens) {}
  void add(int64_t a, int64_t b) { ++counts_[static_cast<size_t>(a) * tokens_ + static_cast<size_t>(b)], ++total_; }
  void expect_independent(const std::string& what) const {
    const std::vector<double> expected(counts_.size(), total_ / static_cast<double>(counts_.size()));
    ASSERT_GT(expected.front(), 5) << what << ": too few pairs";
    EXPECT_LT(chi_square(counts_, expected), chi_square_limit(static_cast<double>(counts_.size() - 1))) << what;
  }

 private:
  size_t tokens_;
  std::vector<double> counts_;
  double total_ = 0;
};

TEST(Sampler, EveryCoordinateOfADrawGivesANumberOfItsOwn) {
  constexpr int64_t kDraws = 4000;
  const auto uniform = [](const std::vector<DrawKey>& keys) {
    std::vector<float> rows(keys.size() * 8, 0.0f);
    std::vector<int64_t> tokens;
    for (const Draw& d : sample_rows(rows.data(), static_cast<int64_t>(keys.size()), 8, {}, keys))
      tokens.push_back(d.token);
    return tokens;
  };
  std::vector<DrawKey> base;
  for (int64_t i = 0; i < kDraws; ++i)
    base.push_back({.seed = 3, .problem = i / 40, .sample = i % 5, .position = i / 5 % 8});
  const std::vector<int64_t> tokens = uniform(base);
  const auto against = [&](const char* what, void (*change)(DrawKey&)) {
    std::vector<DrawKey> keys = base;
    for (DrawKey& key : keys) change(key);
    const std::vector<int64_t> others = uniform(keys);
    Pairs pairs(8);
    for (size_t i = 0; i < tokens.size(); ++i) pairs.add(tokens[i], others[i]);
    pairs.expect_independent(what);
  };
  against("seed", [](DrawKey& key) { key.seed = 4; });
  against("a seed that differs in its upper half", [](DrawKey& key) { key.seed += uint64_t{1} << 40; });
  against("purpose", [](DrawKey& key) { key.stream = RandomStream::kEvalSample; });
  against("problem", [](DrawKey& key) { key.problem += 1; });
  against("a problem far away", [](DrawKey& key) { key.problem += int64_t{1} << 45; });
  against("sample", [](DrawKey& key) { key.sample += 1; });
  against("position", [](DrawKey& key) { key.position += 1; });
  EXPECT_EQ(uniform(base), tokens) << "the same coordinates give the same numbers";
}

// A model in which every token is equally likely, so that responses reveal the random numbers.
class UniformModel : public ::testing::Test {
 protected:
  UniformModel() {
    torch::NoGradGuard no_grad;
    model.params().master().zero_();
    model.params().publish();
    engine.refresh(0);
  }
  trainer::Transformer model{support::tiny_spec(), torch::kCPU, 1};
  Engine engine{model, {64}};
};

TEST_F(UniformModel, PositionsSamplesAndProblemsOfTheEngineShareNoNumber) {
  constexpr int64_t kProblems = 24, kSamples = 6, kTokens = 60;
  SamplingParams options;
  options.max_new_tokens = kTokens;
  options.n = kSamples;
  options.seed = 5;
  std::vector<GenerationRequest> requests;
  for (int64_t problem = 0; problem < kProblems; ++problem)
    requests.push_back({.prompt = {1, 2, 3}, .sampling = options, .key = problem});
  const std::vector<std::vector<Completion>> completions = engine.generate(requests);
  const auto at = [&](int64_t problem, int64_t sample, int64_t position) {
    const Completion& completion = completions.at(static_cast<size_t>(problem)).at(static_cast<size_t>(sample));
    return completion.tokens.at(static_cast<size_t>(position));
  };
  Pairs positions(16), samples(16), problems(16);
  for (int64_t p = 0; p < kProblems; ++p) {
    for (int64_t s = 0; s < kSamples; ++s) {
      for (int64_t t = 0; t < kTokens; ++t) {
        if (t + 1 < kTokens) positions.add(at(p, s, t), at(p, s, t + 1));
        if (s + 1 < kSamples) samples.add(at(p, s, t), at(p, s + 1, t));
        if (p + 1 < kProblems) problems.add(at(p, s, t), at(p + 1, s, t));
      }
    }
  }
  positions.expect_independent("neighbouring positions");
  samples.expect_independent("samples of a problem");
  problems.expect_independent("neighbouring problems");
}

TEST_F(UniformModel, ProblemsOfOneIndexAndAnotherDifficultyShareNoNumber) {
  const auto task = open_task(default_config().task, 1);
  std::vector<Problem> problems;
  for (int64_t index = 0; index < 40; ++index)
    for (const int64_t difficulty : {3, 4}) problems.push_back(task->problem(Split::kEval, index, difficulty));
  SamplingParams options;
  options.max_new_tokens = 50;
  const std::vector<RolloutGroup> groups = roll_out(engine, *task, problems, options);
  Pairs pairs(16);
  for (size_t g = 0; g + 1 < groups.size(); g += 2) {
    for (size_t t = 0; t < 50; ++t)
      pairs.add(groups[g].rollouts[0].tokens.at(t), groups[g + 1].rollouts[0].tokens.at(t));
  }
  pairs.expect_independent("difficulties of an index");
}

}  // namespace
}  // namespace terse::rl
