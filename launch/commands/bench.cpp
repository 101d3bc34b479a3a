// terse bench: how fast this machine is, and what share of that a model reaches in training and generation.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "launch/bench/machine_speed.h"
#include "launch/bench/model_speed.h"
#include "launch/commands/bench_sizes.h"
#include "launch/commands/planned_run.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/text.h"
#include "trainer/device.h"
#include "trainer/kernels/kernels.h"

namespace terse::launch {
namespace {

using Rows = std::vector<std::vector<std::string>>;

struct Options {
  std::optional<std::string> config;
  BenchSizes sizes;
  int64_t batch = 0, prompts = 0;  // sequences decoded together, different prompts among them; 0: several
  std::string only = "all";        // all | training | generation
  double seconds = 2;
  bool json = false;
};

constexpr const char* kMore =
    "Without CONFIG, only the machine is measured: LibTorch's matrix products, and reading memory and caches. With "
    "CONFIG, also the\n"
    "model of this configuration, with random weights: an update (forward, backward and AdamW), and generation of 1, 8 "
    "and 32\n"
    "sequences and of 16 samples of one prompt. `of matmul` compares their floating-point operations with the speed of "
    "the matrix\n"
    "products in the same precision (for bf16: in fp32 where that is faster), `of memory` the bytes of the weights in "
    "a "
    "step with the\n"
    "speed of reading memory. Every figure is a median; that of matrix products is the fastest. Other programs that "
    "run "
    "at the same\n"
    "time make all of them worse.\n\n"
    "Examples:\n"
    "  terse bench\n"
    "  terse bench configs/shakespeare_10m.yaml\n"
    "  terse bench configs/smollm2_gsm8k.yaml --tokens 512 --set model.precision=bf16 --json\n"
    "  terse bench configs/shakespeare_10m.yaml --only generation --batch 16 --prompts 1 --prompt-tokens 128";

constexpr int64_t kGroup = 16;  // samples of one prompt

// (sequences, prompts) of each figure of generation.
std::vector<std::pair<int64_t, int64_t>> batches(const Options& options) {
  if (options.batch == 0 && options.prompts == 0) return {{1, 1}, {8, 8}, {32, 32}, {kGroup, 1}};
  const int64_t prompts = options.prompts == 0 ? options.batch : options.prompts;
  if (options.batch == 0 || options.batch % prompts != 0)
    throw UsageError(fmt::format("--prompts {} does not divide --batch {}", prompts, options.batch));
  return {{options.batch, prompts}};
}

nlohmann::json training_figures(const Options& options, const trainer::ModelSpec& spec, torch::Device device,
                                double matmul) {
  const BenchSizes sizes = options.sizes.fitting(spec);
  const bench::TrainingSpeed training =
      bench::measure_training(spec, device, {sizes.sequences, sizes.tokens}, options.seconds);
  return {{"sequences", sizes.sequences},
          {"tokens", sizes.tokens},
          {"seconds", training.seconds},
          {"tokens_per_s", training.tokens_per_second},
          {"of_matmul", training.flops / matmul}};
}

nlohmann::json generation_figures(const Options& options, const plan::Run& run, torch::Device device,
                                  const bench::MachineSpeed& machine, double matmul) {
  const trainer::ModelSpec spec = run.spec();
  nlohmann::json figures = nlohmann::json::array();
  const BenchSizes sizes = options.sizes.fitting(spec);
  for (const auto& [sequences, prompts] : batches(options)) {
    const bench::GenerationShape shape{sequences, prompts, sizes.prompt_tokens, sizes.new_tokens,
                                       rl::logit_transform(run.config.engine)};
    const bench::GenerationSpeed speed = bench::measure_generation(spec, device, shape, options.seconds);
    figures.push_back({{"sequences", sequences},
                       {"prompts", prompts},
                       {"prompt_tokens", shape.prompt_tokens},
                       {"new_tokens", shape.new_tokens},
                       {"seconds", speed.seconds},
                       {"tokens_per_s", speed.tokens_per_second},
                       {"step_seconds", speed.step_seconds},
                       {"of_memory", speed.weight_bytes / speed.step_seconds / machine.memory_read},
                       {"of_matmul", speed.flops / speed.step_seconds / matmul}});
  }
  return figures;
}

nlohmann::json measure(const Options& options, const GlobalOptions& globals) {
  std::optional<plan::Run> run;
  if (options.config) run = measured_run(*options.config, globals, options.sizes.vocab);
  trainer::set_threads(run ? run->config.run.threads : 0);
  const torch::Device device = trainer::choose_device(globals.device.value_or(run ? run->config.run.device : "auto"));
  const bench::MachineSpeed machine = bench::measure_machine(device, options.seconds);
  nlohmann::json result = {{"device", device.is_cpu() ? "cpu" : "cuda"},
                           {"threads", at::get_num_threads()},
                           {"kernels", trainer::kernels::cpu().isa},
                           {"machine",
                            {{"matmul_fp32", machine.matmul.fp32},
                             {"matmul_bf16", machine.matmul.bf16},
                             {"memory_read", machine.memory_read},
                             {"cache_read", machine.cache_read}}}};
  if (!run) return result;
  const trainer::ModelSpec spec = run->spec();
  const double matmul = machine.matmul.of_model(spec.bf16);
  result["precision"] = spec.bf16 ? "bf16" : "fp32";
  if (options.only != "generation") result["training"] = training_figures(options, spec, device, matmul);
  if (options.only != "training") result["generation"] = generation_figures(options, *run, device, machine, matmul);
  return result;
}

std::string percent(const nlohmann::json& share) {
  return fmt::format("{:.0f} %", 100 * share.get<double>());
}
std::string per_second(const nlohmann::json& tokens) {
  const double value = tokens.get<double>();
  return value < 100 ? fmt::format("{:.1f}", value) : with_thousands(static_cast<int64_t>(value + 0.5));
}

void print(const nlohmann::json& result) {
  const nlohmann::json& machine = result.at("machine");
  const auto giga = [&](const char* key) { return fmt::format("{:.1f}", machine.at(key).get<double>() / 1e9); };
  print_result("{}, {} threads, kernels {}\n\n", result.at("device").get<std::string>(), result.at("threads").dump(),
               result.at("kernels").get<std::string>());
  Rows rows = {{"matrix product, fp32", giga("matmul_fp32"), "GFLOP/s"},
               {"matrix product, bf16", giga("matmul_bf16"), "GFLOP/s"},
               {"reading memory", giga("memory_read"), "GB/s"}};
  if (machine.at("cache_read") > 0) rows.push_back({"reading caches", giga("cache_read"), "GB/s"});
  print_result("{}", table(rows, {0, 2}));
  if (result.contains("training")) {
    const nlohmann::json& training = result.at("training");
    print_result("\ntraining in {}: {} sequences of {} tokens in {:.3g} s, {} tokens/s, {} of matmul\n",
                 result.at("precision").get<std::string>(), training.at("sequences").dump(),
                 training.at("tokens").dump(), training.at("seconds").get<double>(),
                 per_second(training.at("tokens_per_s")), percent(training.at("of_matmul")));
  }
  if (!result.contains("generation")) return;
  rows = {{"generating sequences", "prompts", "tokens of each", "new tokens", "tokens/s", "a step, ms", "of memory",
           "of matmul"}};
  for (const nlohmann::json& row : result.at("generation"))
    rows.push_back({row.at("sequences").dump(), row.at("prompts").dump(), row.at("prompt_tokens").dump(),
                    row.at("new_tokens").dump(), per_second(row.at("tokens_per_s")),
                    fmt::format("{:.2f}", 1e3 * row.at("step_seconds").get<double>()), percent(row.at("of_memory")),
                    percent(row.at("of_matmul"))});
  print_result("\n{}", table(rows));
}

}  // namespace

void add_bench(const Command& parent) {
  const Command command = parent.add("bench", "Measure this machine, and how much of it a model uses");
  const auto options = std::make_shared<Options>();
  command.optional_argument("CONFIG", options->config, "Configuration file (YAML) with the model");
  options->sizes.add_to(command);
  command.number("--batch", options->batch, 1, 1 << 20, "Generate this many sequences (default: 1, 8, 32 and 16)");
  command.number("--prompts", options->prompts, 1, 1 << 20, "Different prompts among them (default: all differ)");
  command.choice("--only", "PART", options->only, {"all", "training", "generation"}, "Leave the other part out");
  command.number("--seconds", options->seconds, 0.001, 3600, "Time for each figure (default: 2)");
  command.flag("--json", options->json, "Print as JSON");
  command.finish(kSet | kDevice, kMore, [=] {
    const nlohmann::json result = measure(*options, command.globals());
    if (options->json)
      print_result("{}\n", result.dump(2));
    else
      print(result);
    return kDone;
  });
  add_bench_profile(command);
}

}  // namespace terse::launch
