// Generates many responses under changing circumstances, and checks that each log-prob is the learner's, bit for bit.
//
//   engine_soak SHAPE fp32|bf16 ROLLOUTS [SEED]
//
// SHAPE is 158k, 10m, 124m or smollm2, with random weights, or a model: a Hugging Face folder, a GGUF file, a
// checkpoint or a run folder. Requests of random lengths, parameters and shared beginnings arrive at random steps, and
// some are cancelled. Every engine has another batch size, cache, size of chunks, number of guesses and number of
// threads; some caches are so small that sequences must give up their pages. The program also checks that every page is
// given back, that the cache stays within its limit, and, from 20,000 rollouts on, that resident memory grows by less
// than 1 % from the second third to the last.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <stdexcept>

#include "data/pack.h"
#include "rl/engine/engine.h"
#include "trainer/kernels/kernels.h"
#include "trainer/saved_model/model_files.h"

namespace terse::rl {
namespace {

constexpr int64_t kRolloutsOfAnEngine = 100;
constexpr int64_t kLongestPrompt = 90, kLongestResponse = 60;

trainer::ModelSpec spec_of(const std::string& shape, const std::string& precision) {
  configs::Model model;
  int64_t vocab = 0;
  const auto set = [&](int64_t layers, int64_t hidden, int64_t heads, int64_t kv_heads, int64_t ffn, int64_t tokens) {
    model.layers = layers;
    model.hidden_size = hidden;
    model.heads = heads;
    model.kv_heads = kv_heads;
    model.intermediate_size = ffn;
    vocab = tokens;
  };
  if (shape == "158k") set(3, 64, 4, 4, 192, 30);
  if (shape == "10m") set(6, 384, 6, 6, 1024, 256);
  if (shape == "124m") set(12, 768, 12, 12, 2048, 50257);
  if (shape == "smollm2") set(30, 576, 9, 3, 1536, 49152);
  if (vocab == 0) {
    trainer::ModelSpec spec = trainer::open_model_files(shape)->spec();
    spec.bf16 = spec.bf16_kv = precision == "bf16";
    return spec;
  }
  model.qk_norm = shape == "10m";
  model.init_std = 0.08;  // so that some tokens are likelier than others
  model.precision = precision;
  return trainer::resolve(model, vocab);
}

std::unique_ptr<trainer::Transformer> load(const std::string& shape, const std::string& precision) {
  const bool saved = std::filesystem::exists(shape);
  auto model = std::make_unique<trainer::Transformer>(
      spec_of(shape, precision), torch::kCPU, 1, trainer::Sharding{},
      saved ? trainer::Purpose::kInference
            : trainer::Purpose::kTraining);  // only the latter begins with random weights
  if (!saved) return model;
  const auto files = trainer::open_model_files(shape);
  model->fill([&](const trainer::ParamInfo& info, int64_t begin, int64_t end, float* out) {
    files->read(info, begin, end, out);
  });
  return model;
}

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

class Soak {
 public:
  Soak(trainer::Transformer& model, uint64_t seed) : model_(model), random_(seed) {
    for (int i = 0; i < 3; ++i) beginnings_.push_back(tokens(within(20, 70)));
  }

  // Returns the number of rollouts that were compared.
  int64_t run_engine() {
    at::set_num_threads(static_cast<int>(within(1, 2)));
    Engine engine(model_, options());
    std::map<int64_t, GenerationRequest> requests;
    std::vector<Engine::Finished> finished;
    int64_t submitted = 0;
    while (submitted < kRolloutsOfAnEngine || !engine.idle()) {
      while (submitted < kRolloutsOfAnEngine && (engine.idle() || chance(0.2))) {
        const GenerationRequest request = next_request();
        submitted += request.sampling.n;
        requests.emplace(engine.submit(request), request);
      }
      for (Engine::Finished& each : engine.step()) finished.push_back(std::move(each));
      if (chance(0.01)) engine.cancel(within(0, std::ssize(requests) - 1));
      const Engine::Use use = engine.use();
      if (use.used_bytes > use.bytes) throw std::logic_error("the cache has outgrown its limit");
    }
    note(engine.use());
    compare(requests, finished);
    return std::ssize(finished);
  }

  int64_t preempted = 0, found = 0, drafted = 0, accepted = 0, tokens_compared = 0;

 private:
  int64_t within(int64_t least, int64_t most) { return std::uniform_int_distribution<int64_t>(least, most)(random_); }
  bool chance(double share) { return std::uniform_real_distribution<>(0, 1)(random_) < share; }
  std::vector<int32_t> tokens(int64_t count) {
    std::vector<int32_t> made;
    while (std::ssize(made) < count) made.push_back(static_cast<int32_t>(within(0, model_.spec().vocab - 1)));
    return made;
  }

  EngineOptions options() {
    EngineOptions options{.max_batch = within(1, 64)};
    if (chance(0.5)) options.chunked_prefill_size = within(1, 200);
    options.speculative_tokens = chance(0.5) ? within(1, 7) : 0;
    const int64_t least = pages_for(kLongestPrompt + kLongestResponse);
    options.kv_cache_bytes = page_bytes(model_.spec(), false) * (chance(0.5) ? within(least, 4 * least) : 500);
    return options;
  }

  GenerationRequest next_request() {
    GenerationRequest request;
    if (chance(0.6)) request.prompt = beginnings_[static_cast<size_t>(within(0, std::ssize(beginnings_) - 1))];
    const std::vector<int32_t> own = tokens(within(request.prompt.empty() ? 1 : 0, 20));
    request.prompt.insert(request.prompt.end(), own.begin(), own.end());
    SamplingParams& sampling = request.sampling;
    sampling.n = within(1, 8);
    sampling.max_new_tokens = within(1, kLongestResponse);
    sampling.stop_token_ids = tokens(1);
    sampling.seed = 5;
    const trainer::LogitTransform transforms[] = {
        {}, {.temperature = 0.7}, {.temperature = 0}, {.temperature = 1.1, .top_k = 9, .top_p = 0.9, .min_p = 0.01}};
    sampling.transform = transforms[within(0, 3)];
    request.key = keys_++;
    return request;
  }

  void note(const Engine::Use& use) {
    if (use.used_bytes != 0) throw std::logic_error("pages of finished sequences were not given back");
    preempted += use.preempted;
    found += use.found;
    drafted += use.drafted;
    accepted += use.accepted;
  }

  // The learner packs random numbers of rollouts, with another number of threads.
  void compare(const std::map<int64_t, GenerationRequest>& requests, std::vector<Engine::Finished>& finished) {
    const torch::NoGradGuard no_grad;
    at::set_num_threads(static_cast<int>(within(1, 2)));
    const auto transform = [&](const Engine::Finished& each) { return requests.at(each.ticket).sampling.transform; };
    std::stable_sort(finished.begin(), finished.end(),
                     [&](const auto& a, const auto& b) { return transform(a).temperature < transform(b).temperature; });
    for (size_t begin = 0; begin < finished.size();) {
      std::vector<data::Sequence> sequences;
      std::vector<float> recorded;
      const size_t first = begin;
      for (int64_t left = within(1, 12); left > 0 && begin < finished.size(); --left, ++begin) {
        if (!(transform(finished[begin]) == transform(finished[first]))) break;
        const Completion& c = finished[begin].completion;
        sequences.push_back(data::prompt_and_response(requests.at(finished[begin].ticket).prompt, c.tokens));
        recorded.insert(recorded.end(), c.logprobs.begin(), c.logprobs.end());
      }
      const data::Batch batch = data::pack(sequences);
      const auto learner = model_.logprobs(batch, batch.weights.nonzero().squeeze(1), transform(finished[first]));
      if (!torch::equal(learner.logprob, torch::tensor(recorded)))
        throw std::logic_error(
            fmt::format("the log-probs of request {} are not the learner's; the largest difference is {}",
                        finished[first].ticket, (learner.logprob - torch::tensor(recorded)).abs().max().item<float>()));
      tokens_compared += std::ssize(recorded);
    }
  }

  trainer::Transformer& model_;
  std::mt19937_64 random_;
  std::vector<std::vector<int32_t>> beginnings_;  // that prompts share
  int64_t keys_ = 0;
};

int run(const std::string& shape, const std::string& precision, int64_t rollouts, uint64_t seed) {
  const std::unique_ptr<trainer::Transformer> model = load(shape, precision);
  Soak soak(*model, seed);
  int64_t done = 0;
  std::vector<double> resident;  // MiB, after each engine
  while (done < rollouts) {
    done += soak.run_engine();
    resident.push_back(static_cast<double>(resident_bytes()) / 0x1p20);
  }
  // The first third fills the allocator's pools.
  const auto median_of_third = [&](int64_t third) {
    std::vector<double> part(resident.begin() + std::ssize(resident) * third / 3,
                             resident.begin() + std::ssize(resident) * (third + 1) / 3);
    std::sort(part.begin(), part.end());
    return part.empty() ? 0 : part[part.size() / 2];
  };
  const double early = median_of_third(1), late = median_of_third(2);
  fmt::print(
      "{} {}, {}: {} rollouts, {} log-probs equal the learner's; {} sequences preempted, {} tokens found in the cache, "
      "{} guessed, {} of them right; resident memory {:.1f} MiB in the second third, {:.1f} MiB in the last\n",
      shape, precision, trainer::kernels::cpu().isa, done, soak.tokens_compared, soak.preempted, soak.found,
      soak.drafted, soak.accepted, early, late);
  if (soak.preempted == 0 || soak.found == 0 || soak.accepted == 0) {
    fmt::print(stderr, "engine_soak: too few rollouts: something that must be tried did not happen\n");
    return 1;
  }
  if (rollouts >= 20000 && late > 1.01 * early) {
    fmt::print(stderr, "engine_soak: resident memory grew by more than 1 %\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace terse::rl

int main(int argc, char** argv) {
  const std::string precision = argc > 2 ? argv[2] : "";
  if (argc < 4 || argc > 5 || (precision != "fp32" && precision != "bf16")) {
    fmt::print(stderr, "usage: engine_soak SHAPE fp32|bf16 ROLLOUTS [SEED]\n");
    return 64;
  }
  try {
    return terse::rl::run(argv[1], precision, std::stoll(argv[3]), argc > 4 ? std::stoull(argv[4]) : 1);
  } catch (const std::exception& error) {
    fmt::print(stderr, "engine_soak: {}\n", error.what());
    return 1;
  }
}
