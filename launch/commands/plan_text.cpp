// Both formats use the same numbers. In the tables, every stage of the run is a column.
#include "launch/commands/plan_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "launch/plan/advice.h"
#include "launch/plan/stage_memory.h"
#include "launch/text.h"

namespace terse::launch {
namespace {

using plan::Consumer;
using plan::Run;
using plan::StagePlan;
using Plans = std::vector<StagePlan>;
using Rows = std::vector<std::vector<std::string>>;

std::string step_time(double seconds) {
  if (seconds == 0) return "-";
  if (seconds < 1e-3) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  return duration(seconds);
}

std::string bytes(double count) {
  return count == 0 ? "-" : byte_size(std::llround(count));
}

std::string count_text(double count) {
  if (count >= 1e9) return fmt::format("{:.2f} billion parameters", count / 1e9);
  if (count >= 1e6) return fmt::format("{:.1f} million parameters", count / 1e6);
  return fmt::format("{} parameters", with_thousands(std::llround(count)));
}

std::string parameters_text(const Run& run) {
  const plan::ModelSpec spec = run.spec();
  const std::string all = count_text(plan::shard_elements(plan::unit_sizes(spec), 1));
  if (!spec.has_adapters()) return all;
  return fmt::format("{} and adapters of {}, which alone are trained", all,
                     count_text(plan::shard_elements(plan::trained_sizes(spec), 1)));
}

std::string sharing_text(const Run& run) {
  if (run.ranks == 1) return "one rank";
  const configs::Parallel& parallel = run.config.parallel;
  const int64_t nodes = (run.ranks + run.ranks_per_node - 1) / run.ranks_per_node;
  const std::string roles =
      run.splits() ? fmt::format(", {} of them only generate", rl::rollout_ranks(run.config.parallel, run.ranks)) : "";
  return fmt::format("{} ranks on {} node{}{}, ZeRO-{}{}", run.ranks, nodes, nodes == 1 ? "" : "s", roles,
                     parallel.zero, parallel.hierarchical ? " inside each node, replicated across nodes" : "");
}

std::string answer(const Run& run, const StagePlan& plan) {
  const std::string size =
      fmt::format("{} of {} per {}", bytes(plan.bytes()), bytes(plan.limit_bytes), run.cuda() ? "GPU" : "rank");
  if (!plan.fits()) return fmt::format("{}: DOES NOT FIT, {}", plan.stage, size);
  std::string text = fmt::format("{}: fits, {}; {} a step, {} tokens/s", plan.stage, size, step_time(plan.seconds()),
                                 with_thousands(std::llround(plan.tokens / plan.seconds())));
  if (run.ranks > 1)
    text += fmt::format(", {:.0f} % of the step waits for {}", 100 * plan.communication_share(),
                        run.ranks > run.ranks_per_node ? "the network" : "communication");
  return text;
}

std::vector<std::string> head(const std::string& title, const Plans& plans) {
  std::vector<std::string> row = {title};
  for (const StagePlan& plan : plans) row.push_back(plan.stage);
  return row;
}

Rows memory_rows(const Run& run, const Plans& plans) {
  Rows rows = {head(fmt::format("memory of one {}", run.cuda() ? "GPU" : "rank"), plans)};
  std::vector<std::string> names;
  for (const StagePlan& plan : plans)
    for (const Consumer& consumer : plan.memory)
      if (std::find(names.begin(), names.end(), consumer.name) == names.end()) names.push_back(consumer.name);
  for (const std::string& name : names) {
    std::vector<std::string> row = {"  " + name};
    for (const StagePlan& plan : plans) {
      double sum = 0;
      for (const Consumer& consumer : plan.memory) sum += consumer.name == name ? consumer.bytes : 0;
      row.push_back(bytes(sum));
    }
    rows.push_back(row);
  }
  rows.push_back({"  total"});
  for (const StagePlan& plan : plans) rows.back().push_back(bytes(plan.bytes()));
  if (std::any_of(plans.begin(), plans.end(), [](const StagePlan& plan) { return !plan.sampler_memory.empty(); })) {
    rows.push_back({"  rank that only generates"});
    for (const StagePlan& plan : plans) rows.back().push_back(bytes(total_bytes(plan.sampler_memory)));
  }
  rows.push_back({"  available"});
  for (const StagePlan& plan : plans) rows.back().push_back(bytes(plan.limit_bytes));
  rows.push_back({"  sequences per pass"});
  for (const StagePlan& plan : plans) rows.back().push_back(std::to_string(plan.micro_batch));
  rows.push_back({"  most that fit"});
  for (const StagePlan& plan : plans) rows.back().push_back(with_thousands(plan.largest_micro_batch));
  return rows;
}

// Returns the parts of a step in seconds. They add up to the whole step: the overlap is negative.
std::vector<std::pair<std::string, double>> time_parts(const StagePlan& plan) {
  const double updates = static_cast<double>(plan.updates);
  return {{"generating", plan.generation},
          {"of it while others learn", -plan.overlap},
          {"computing", updates * plan.update.compute},
          {"optimizer", updates * plan.update.optimizer},
          {"waiting for communication", updates * plan.update.exposed},
          {"waiting for the slowest rank", updates * plan.update.slowest_rank}};
}

Rows time_rows(const Plans& plans) {
  Rows rows = {head("time of one step", plans)};
  const size_t parts = time_parts(plans.front()).size();
  for (size_t i = 0; i < parts; ++i) {
    std::vector<std::string> row = {"  " + time_parts(plans.front())[i].first};
    bool any = false;
    for (const StagePlan& plan : plans) {
      const double seconds = time_parts(plan)[i].second;
      any = any || seconds != 0;
      row.push_back(seconds < 0 ? "-" + step_time(-seconds) : step_time(seconds));
    }
    if (any) rows.push_back(row);
  }
  const auto add = [&](const char* name, const auto& cell) {
    rows.push_back({fmt::format("  {}", name)});
    for (const StagePlan& plan : plans) rows.back().push_back(cell(plan));
  };
  add("total", [](const StagePlan& plan) { return step_time(plan.seconds()); });
  add("passes x updates",
      [](const StagePlan& plan) { return fmt::format("{} x {}", plan.micro_batches, plan.updates); });
  if (plans.front().learners > 1) {
    add("sent by a rank in its node", [](const StagePlan& plan) { return bytes(plan.volume().node); });
    add("sent to other nodes", [](const StagePlan& plan) { return bytes(plan.volume().network); });
  }
  return rows;
}

}  // namespace

std::string plan_text(const std::string& config_path, const Run& run, const Plans& plans) {
  std::string text = fmt::format("{}: {}, {}, on {} ({})\n{}\n\n", config_path, parameters_text(run),
                                 run.config.model.precision, run.machine.name, run.machine.summary, sharing_text(run));
  text += fmt::format("start: {} until the first stage begins\n", bytes(total_bytes(plan::start_memory(run))));
  for (const StagePlan& plan : plans) text += answer(run, plan) + "\n";
  text += "\n" + table(memory_rows(run, plans), /*left=*/{0}) + "\n" + table(time_rows(plans), /*left=*/{0});
  for (const std::string& warning : plan::warnings(run, plans)) text += "\nwarning: " + warning + "\n";
  return text;
}

nlohmann::json plan_json(const std::string& config_path, const Run& run, const Plans& plans) {
  nlohmann::json stages = nlohmann::json::array();
  for (const StagePlan& plan : plans) {
    nlohmann::json memory = nlohmann::json::object(), time = nlohmann::json::object();
    for (const Consumer& consumer : plan.memory) memory[consumer.name] = consumer.bytes;
    for (const auto& [name, seconds] : time_parts(plan)) time[name] = seconds;
    stages.push_back({{"stage", plan.stage},
                      {"fits", plan.fits()},
                      {"memory", memory},
                      {"bytes", plan.bytes()},
                      {"bytes_of_a_rollout_rank", total_bytes(plan.sampler_memory)},
                      {"limit_bytes", plan.limit_bytes},
                      {"time", time},
                      {"seconds", plan.seconds()},
                      {"tokens_per_s", plan.tokens / plan.seconds()},
                      {"communication_share", plan.communication_share()},
                      {"bytes_sent_in_node", plan.volume().node},
                      {"bytes_sent_to_other_nodes", plan.volume().network},
                      {"micro_batch", plan.micro_batch},
                      {"largest_micro_batch", plan.largest_micro_batch},
                      {"largest_max_batch", plan.largest_max_batch},
                      {"updates", plan.updates}});
  }
  return {{"config", config_path},
          {"hardware", run.machine.name},
          {"ranks", run.ranks},
          {"ranks_per_node", run.ranks_per_node},
          {"parameters", plan::shard_elements(plan::unit_sizes(run.spec()), 1)},
          {"trained_parameters", plan::shard_elements(plan::trained_sizes(run.spec()), 1)},
          {"fits", std::all_of(plans.begin(), plans.end(), [](const StagePlan& plan) { return plan.fits(); })},
          {"start_bytes", total_bytes(plan::start_memory(run))},
          {"stages", stages},
          {"warnings", plan::warnings(run, plans)}};
}

}  // namespace terse::launch
