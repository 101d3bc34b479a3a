// terse plan: estimates whether a run fits on hardware that is not here, how fast it would be, and what to change.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <memory>

#include "configs/hardware.h"
#include "launch/commands/command.h"
#include "launch/commands/plan_text.h"
#include "launch/commands/planned_run.h"
#include "launch/exit_codes.h"
#include "launch/output.h"

namespace terse::launch {
namespace {

struct Request {
  std::string config;
  std::string hardware = "h100";
  int64_t ranks = 1;
  int64_t ranks_per_node = 0;   // 0: the hardware's
  int64_t vocab = 0;            // 0: the tokenizer's
  int64_t response_tokens = 0;  // 0: the task's longest
  bool json = false;
};

plan::Run run_of(const Request& request, const GlobalOptions& globals) {
  plan::Run run = planned_run(request.config, globals, request.vocab);
  run.machine = configs::load_hardware(request.hardware);
  run.ranks = request.ranks;
  run.ranks_per_node = request.ranks_per_node;
  if (run.ranks_per_node == 0) run.ranks_per_node = run.config.parallel.ranks_per_node;
  if (run.ranks_per_node == 0) run.ranks_per_node = run.machine.ranks_per_node;
  if (request.response_tokens > 0) run.response_tokens = run.trace_tokens = request.response_tokens;
  return run;
}

int print_plan(const Request& request, const GlobalOptions& globals) {
  const plan::Run run = run_of(request, globals);
  const auto plans = on_user_input([&] { return plan::make_plan(run); });
  if (plans.empty()) throw UsageError("stages contains no stage that trains: expected pretrain, sft or rl.");
  if (request.json) {
    print_result("{}\n", plan_json(request.config, run, plans).dump(2));
  } else {
    print_result("{}", plan_text(request.config, run, plans));
  }
  return kDone;
}

}  // namespace

void add_plan(const Command& parent) {
  const Command command = parent.add("plan", "Estimate the memory, time and communication of a run before it starts");
  const auto request = std::make_shared<Request>();
  command.argument("CONFIG", request->config, "Configuration file (YAML)");
  command.number("--ranks", request->ranks, 1, 1 << 20,
                 "Ranks (processes) of the run, each with its own GPU (default: 1)");
  command.number("--gpus-per-node", request->ranks_per_node, 1, 1024,
                 "Ranks per node (default: parallel.ranks_per_node, else the value of the hardware)");
  command.option("--hardware", "NAME|FILE", request->hardware,
                 fmt::format("{}, or a file like configs/hardware/h100.yaml (default: h100)",
                             fmt::join(configs::hardware_names(), ", ")));
  command.number("--vocab", request->vocab, 2, 1 << 30, "Size of the vocabulary (default: the tokenizer's)");
  command.number("--response-tokens", request->response_tokens, 1, 1 << 24,
                 "Length of responses in SFT and RL (default: the longest response that is allowed)");
  command.flag("--json", request->json, "Print as JSON");
  command.finish(kSet,
                 "The plan needs no device and no data. docs/scaling.md explains how the numbers are computed and how "
                 "accurate they are.\n\n"
                 "Examples:\n"
                 "  terse plan configs/quickstart.yaml --hardware laptop\n"
                 "  terse plan configs/shakespeare_10m.yaml --ranks 16 --gpus-per-node 8\n"
                 "  terse plan configs/shakespeare_10m.yaml --ranks 64 --vocab 128256 --set model.depth=32 "
                 "--set parallel.zero=3",
                 [=] { return print_plan(*request, command.globals()); });
}

}  // namespace terse::launch
