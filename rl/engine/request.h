// Defines the requests to an engine and its results. The parameters have the names of vLLM's SamplingParams.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/philox.h"
#include "rl/types.h"
#include "trainer/model/logit_transform.h"

namespace terse::rl {

// The samples of a request are numbered below this, because their numbers are a part of random coordinates (sampler.h).
inline constexpr int64_t kMostSamples = int64_t{1} << 24;

// These parameters say how the responses to one request are sampled. Each request of an engine has its own.
struct SamplingParams {
  trainer::LogitTransform transform;         // temperature, top-k, top-p, min-p
  int64_t max_new_tokens = 0;                // responses are cut at this length (FinishReason::kLength)
  std::vector<int32_t> stop_token_ids = {};  // each ends a response and is its last token
  std::vector<std::string> stop = {};        // a response ends with the token that completes one of these strings
  int64_t n = 1;                             // responses to the prompt, samples 0 to n - 1
  uint64_t seed = 0;
  RandomStream stream = RandomStream::kSample;
};

// One new token of a response.
struct NewToken {
  int64_t ticket = 0, sample = 0;
  int32_t token = 0;
  float logprob = 0;  // after the logit transform
};

struct GenerationRequest {
  std::vector<int32_t> prompt = {};  // not empty
  SamplingParams sampling = {};
  // The random numbers of a token depend on sampling.seed, sampling.stream, `key`, `first_sample` plus the number of
  // its sample, and `first_place` plus its index in the response.
  int64_t key = 0, first_sample = 0, first_place = 0;
  // True: a finished response keeps its place and its cache in the engine until extend() or cancel().
  bool keep = false;
  std::function<void(const NewToken&)> on_token = nullptr;  // called by Engine::step() for each new token, if given
};

// All tokens after the prompt. The vectors are parallel.
struct Completion {
  std::vector<int32_t> tokens;    // a stop token included
  std::vector<uint8_t> sampled;   // 1: the model sampled the token; 0: extend() appended it
  std::vector<float> logprobs;    // after the logit transform; 0 for tokens that were not sampled
  std::vector<float> entropies;   // of each distribution sampled from, nats; 0 for tokens that were not sampled
  std::vector<int64_t> versions;  // of the weights when each token was sampled or appended; ascending
  FinishReason finish = FinishReason::kStop;
  std::string stop;  // the string of SamplingParams::stop that ended the response; empty: none did
};

// Throws std::invalid_argument that names the parameter which is out of range.
void check(const SamplingParams& params);

}  // namespace terse::rl
