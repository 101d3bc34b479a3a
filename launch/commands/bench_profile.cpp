// terse bench profile: where the time of an update and of generation goes, by phase and operation.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/durable.h"
#include "launch/bench/chrome_trace.h"
#include "launch/bench/machine_speed.h"
#include "launch/bench/operation_work.h"
#include "launch/bench/profile.h"
#include "launch/commands/bench_sizes.h"
#include "launch/commands/planned_run.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/output_file.h"
#include "launch/text.h"
#include "trainer/device.h"

namespace terse::launch {
namespace {

struct Options {
  std::string config;
  BenchSizes sizes;
  int64_t responses = 8;
  double seconds = 2;
  std::string trace;
  bool json = false;
};

constexpr const char* kMore =
    "Runs the model of CONFIG with random weights: updates (forward, backward and AdamW), and generation. The table "
    "shows for each\n"
    "phase and each operation inside of it how often it runs, its time and its share of the whole. Where an operation "
    "multiplies\n"
    "matrices or reads all weights, the table compares it with the speed of matrix products and of reading memory. "
    "Times of a phase\n"
    "add up to the phase: `other` is what no named operation covers. The backward time of an operation is that of all "
    "gradients\n"
    "that it has. On a GPU every operation waits for the one before, so the whole is slower than without a "
    "profile.\n\n"
    "--trace writes the last update and the last generation for https://ui.perfetto.dev or chrome://tracing.\n\n"
    "Examples:\n"
    "  terse bench profile configs/shakespeare_10m.yaml\n"
    "  terse bench profile configs/smollm2_gsm8k.yaml --tokens 512 --set model.precision=bf16 --trace trace.json";

struct Measured {
  bench::Profile profile;
  std::vector<bench::Event> last;  // of the last repetition
};

Measured repeat(torch::Device device, double seconds, const std::function<void()>& work) {
  constexpr int64_t kLeast = 3;
  work();
  Measured measured;
  const auto start = std::chrono::steady_clock::now();
  while (measured.profile.count < kLeast || seconds_since(start) < seconds) {
    bench::Recording recording(device);
    work();
    measured.last = recording.finish();
    measured.profile.add(measured.last);
  }
  return measured;
}

// The seconds of one repetition and its calls, and how far the work is from the limits of the machine.
nlohmann::json entry(const bench::Times& times, int64_t repetitions, const bench::Work& work) {
  const double seconds = static_cast<double>(times.nanoseconds) / 1e9 / static_cast<double>(repetitions);
  nlohmann::json result = {{"calls", static_cast<double>(times.count) / static_cast<double>(repetitions)},
                           {"seconds", seconds}};
  if (work.flops > 0) result["flops_per_s"] = work.flops / seconds;
  if (work.bytes > 0) result["bytes_per_s"] = work.bytes / seconds;
  return result;
}

nlohmann::json entries(const bench::Profile& profile, const bench::OperationWork& work) {
  nlohmann::json phases = nlohmann::json::array();
  const auto other = [&](int64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / 1e9 / static_cast<double>(profile.count);
  };
  for (const bench::PhaseTimes& phase : profile.phases) {
    nlohmann::json operations = nlohmann::json::array();
    bench::Work all;
    for (const auto& [name, times] : phase.operations) {
      const auto found = work.find({phase.name, name});
      const bench::Work own = found == work.end() ? bench::Work() : found->second;
      all.flops += own.flops;
      operations.push_back(entry(times, profile.count, own));
      operations.back()["name"] = name;
    }
    std::sort(operations.begin(), operations.end(),
              [](const auto& a, const auto& b) { return a.at("seconds") > b.at("seconds"); });
    phases.push_back(entry(phase, profile.count, all));
    phases.back().update({{"name", phase.name}, {"operations", operations}, {"other", other(phase.other())}});
  }
  nlohmann::json result = entry(profile, profile.count, {});
  result.update({{"repetitions", profile.count}, {"phases", phases}, {"other", other(profile.other())}});
  return result;
}

nlohmann::json measure(const Options& options, const GlobalOptions& globals) {
  const plan::Run run = measured_run(options.config, globals, options.sizes.vocab);
  trainer::set_threads(run.config.run.threads);
  const torch::Device device = trainer::choose_device(globals.device.value_or(run.config.run.device));
  const trainer::ModelSpec spec = run.spec();
  const BenchSizes sizes = options.sizes.fitting(spec);
  const bench::TrainingShape update{sizes.sequences, sizes.tokens};
  const bench::GenerationShape responses{options.responses, options.responses, sizes.prompt_tokens, sizes.new_tokens,
                                         rl::logit_transform(run.config.engine)};
  const bench::MachineSpeed machine = bench::measure_machine(device, std::min(options.seconds, 0.5));
  nlohmann::json result = {{"device", device.is_cpu() ? "cpu" : "cuda"},
                           {"threads", at::get_num_threads()},
                           {"precision", spec.bf16 ? "bf16" : "fp32"},
                           {"matmul", machine.matmul.of_model(spec.bf16)},
                           {"memory_read", machine.memory_read}};
  std::vector<std::vector<bench::Event>> events;
  {
    bench::Training training(spec, device, update);
    Measured measured = repeat(device, options.seconds, [&] { training.update(); });
    result["update"] = entries(measured.profile, bench::update_work(training.model(), training.work()));
    result["update"].update({{"sequences", update.sequences}, {"tokens", update.tokens}});
    events.push_back(std::move(measured.last));
  }
  bench::Generation generation(spec, device, responses);
  Measured measured = repeat(device, options.seconds, [&] { generation.run(responses.new_tokens); });
  result["generation"] = entries(measured.profile, bench::generation_work(spec, responses));
  result["generation"].update({{"sequences", responses.sequences},
                               {"prompt_tokens", responses.prompt_tokens},
                               {"new_tokens", responses.new_tokens}});
  events.push_back(std::move(measured.last));
  if (!options.trace.empty()) write_durably(options.trace, bench::chrome_trace(events).dump() + "\n");
  return result;
}

bool is_trace(const std::filesystem::path& path) {
  constexpr std::string_view kBegin = R"({"displayTimeUnit":"ms","traceEvents":[)";
  std::string begin(kBegin.size(), ' ');
  return std::ifstream(path).read(begin.data(), std::ssize(begin)) && begin == kBegin;
}

class Rows {
 public:
  Rows(const nlohmann::json& result, const nlohmann::json& whole)
      : matmul_(result.at("matmul")), memory_(result.at("memory_read")), whole_(whole.at("seconds")) {}

  void add(const std::string& name, const nlohmann::json& entry) {
    const auto rate = [&](const char* key, double limit) -> std::pair<std::string, std::string> {
      if (!entry.contains(key)) return {};
      const double value = entry.at(key);
      return {fmt::format("{:.1f}", value / 1e9), fmt::format("{:.0f} %", 100 * value / limit)};
    };
    const auto [flops, of_matmul] = rate("flops_per_s", matmul_);
    const auto [bytes, of_memory] = rate("bytes_per_s", memory_);
    const std::string calls = entry.contains("calls") ? fmt::format("{:.0f}", entry.at("calls").get<double>()) : "";
    const double seconds = entry.at("seconds");
    rows_.push_back({name, calls, fmt::format("{:.3f}", 1e3 * seconds), fmt::format("{:.1f} %", 100 * seconds / whole_),
                     flops, of_matmul, bytes, of_memory});
  }
  std::string text() const { return table(rows_, {0}); }

 private:
  double matmul_, memory_, whole_;
  std::vector<std::vector<std::string>> rows_ = {
      {"", "calls", "ms", "share", "GFLOP/s", "of matmul", "GB/s", "of memory"}};
};

std::string table_of(const nlohmann::json& result, const char* name) {
  const nlohmann::json& whole = result.at(name);
  Rows rows(result, whole);
  for (const nlohmann::json& phase : whole.at("phases")) {
    rows.add(phase.at("name"), phase);
    if (phase.at("operations").empty()) continue;
    for (const nlohmann::json& operation : phase.at("operations"))
      rows.add("  " + operation.at("name").get<std::string>(), operation);
    rows.add("  other", {{"seconds", phase.at("other")}});
  }
  rows.add("other", {{"seconds", whole.at("other")}});
  rows.add("all", {{"seconds", whole.at("seconds")}});
  return rows.text();
}

void print(const nlohmann::json& result) {
  const nlohmann::json &update = result.at("update"), &generation = result.at("generation");
  print_result("{}, {} threads, {}: matrix product {:.1f} GFLOP/s, reading memory {:.1f} GB/s\n\n",
               result.at("device").get<std::string>(), result.at("threads").dump(),
               result.at("precision").get<std::string>(), result.at("matmul").get<double>() / 1e9,
               result.at("memory_read").get<double>() / 1e9);
  print_result("update: {} sequences of {} tokens, mean of {}\n\n{}\n", update.at("sequences").dump(),
               update.at("tokens").dump(), update.at("repetitions").dump(), table_of(result, "update"));
  print_result("generation: {} responses of {} tokens to prompts of {} tokens, mean of {}\n\n{}",
               generation.at("sequences").dump(), generation.at("new_tokens").dump(),
               generation.at("prompt_tokens").dump(), generation.at("repetitions").dump(),
               table_of(result, "generation"));
}

}  // namespace

void add_bench_profile(const Command& bench) {
  const Command command = bench.add("profile", "Show which operations take the time of an update and of generation");
  const auto options = std::make_shared<Options>();
  command.argument("CONFIG", options->config, "Configuration file (YAML) with the model");
  options->sizes.add_to(command);
  command.number("--responses", options->responses, 1, 1 << 20, "Responses generated together (default: 8)");
  command.number("--seconds", options->seconds, 0.001, 3600, "Time for each table (default: 2)");
  command.option("--trace", "FILE", options->trace, "Write a trace of the events (JSON)");
  command.flag("--json", options->json, "Print as JSON");
  command.finish(kSet | kDevice, kMore, [=] {
    if (!options->trace.empty())
      require_output({options->trace, {options->config}, "a trace", is_trace, /*overwrite=*/true});
    const nlohmann::json result = measure(*options, command.globals());
    if (options->json)
      print_result("{}\n", result.dump(2));
    else
      print(result);
    return kDone;
  });
}

}  // namespace terse::launch
