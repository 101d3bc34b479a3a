// A second implementation of the policy losses, from their papers: plain loops in double, with derivatives by hand.
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace terse::support {

struct ReferenceSequence {
  double advantage = 0;
  std::vector<double> logprob, old_logprob;  // of each token, under the policy and the sampler
  std::vector<double> weight;                // importance weight of each token, without gradient; empty: 1
};

struct ReferenceLoss {
  double loss = 0;
  double magnitude = 0;                       // sum of the terms' absolute values; rounding errors are relative to it
  std::vector<std::vector<double>> gradient;  // with respect to each logprob
};

struct ReferenceOptions {
  double clip_low = 0, clip_high = 0, max_tokens = 0;
  double sequences = 0, tokens = 0;  // of the whole update: N and T
};

// -min(r A, clip(r, 1 - low, 1 + high) A) and its derivative with respect to r: Schulman et al., "Proximal policy
// optimization algorithms", arXiv 1707.06347, eq. 7.
struct Surrogate {
  double value, slope;
};
inline Surrogate clipped_surrogate(double ratio, double advantage, const ReferenceOptions& o) {
  const double bounded = std::min(std::max(ratio, 1 - o.clip_low), 1 + o.clip_high);
  if (ratio * advantage <= bounded * advantage) return {-ratio * advantage, -advantage};
  return {-bounded * advantage, 0};
}

inline ReferenceLoss reference_loss(const std::string& name, const std::vector<ReferenceSequence>& sequences,
                                    const ReferenceOptions& o) {
  ReferenceLoss out;
  for (const ReferenceSequence& s : sequences) {
    const size_t n = s.logprob.size();
    const double length = static_cast<double>(n), a = s.advantage;
    std::vector<double> ratio(n), gradient(n);
    double log_ratio_sum = 0;
    for (size_t t = 0; t < n; ++t) {
      ratio[t] = std::exp(s.logprob[t] - s.old_logprob[t]);
      log_ratio_sum += s.logprob[t] - s.old_logprob[t];
    }
    const auto weight = [&](size_t t) { return s.weight.empty() ? 1.0 : s.weight[t]; };
    // Every loss is a sum of one term per token, times a common factor.
    double factor = 0;
    if (name == "grpo") factor = 1 / (o.sequences * length);           // arXiv 2402.03300, eq. 3 (without its KL)
    if (name == "dapo") factor = 1 / o.tokens;                         // arXiv 2503.14476, eq. 8
    if (name == "dr_grpo") factor = 1 / (o.sequences * o.max_tokens);  // arXiv 2503.20783, section 3.2, listing 1
    if (name == "gspo") factor = 1 / (o.sequences * length);           // arXiv 2507.18071, eq. 5
    if (name == "cispo") factor = 1 / o.tokens;                        // arXiv 2506.13585, eq. 4
    if (name == "reinforce") factor = 1 / o.sequences;                 // Williams 1992; log pi of a whole response
    if (factor == 0) throw std::invalid_argument("no reference for the loss " + name);
    const double sequence_ratio = std::exp(log_ratio_sum / length);  // gspo: eq. 7
    const auto add = [&](double term) { out.loss += term, out.magnitude += std::abs(term); };
    for (size_t t = 0; t < n; ++t) {
      if (name == "gspo") {
        const Surrogate term = clipped_surrogate(sequence_ratio, a, o);
        add(factor * weight(t) * term.value);
        for (double& g : gradient) g += factor * weight(t) * term.slope * sequence_ratio / length;
      } else if (name == "cispo") {
        const double kept = std::min(std::max(ratio[t], 1 - o.clip_low), 1 + o.clip_high);  // eq. 5, no gradient
        add(-factor * weight(t) * kept * a * s.logprob[t]);
        gradient[t] -= factor * weight(t) * kept * a;
      } else if (name == "reinforce") {
        add(-factor * weight(t) * a * s.logprob[t]);
        gradient[t] -= factor * weight(t) * a;
      } else {
        const Surrogate term = clipped_surrogate(ratio[t], a, o);
        add(factor * weight(t) * term.value);
        gradient[t] += factor * weight(t) * term.slope * ratio[t];
      }
    }
    out.gradient.push_back(gradient);
  }
  return out;
}

}  // namespace terse::support
