// Makes a new plan with each candidate option, and names the option if the stage then fits or waits less.
#include "launch/plan/advice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

namespace terse::launch::plan {

namespace {

constexpr double kTooMuchWaiting = 0.15;  // share of a step
constexpr double kWorthNaming = 0.8;      // an option must reduce the waiting to this share of it
constexpr size_t kMostNamed = 3;

struct Change {
  std::string text;  // as for --set
  std::function<void(Run&)> apply;
};

int64_t& micro_batch_of(configs::RunConfig& config, const std::string& stage) {
  if (stage == "pretrain") return config.pretrain.micro_batch;
  return stage == "sft" ? config.sft.micro_batch : config.rl.micro_batch;
}

Change micro_batch(const std::string& stage, int64_t sequences) {
  return {fmt::format("{}.micro_batch={}", stage, sequences),
          [=](Run& run) { micro_batch_of(run.config, stage) = sequences; }};
}

Change zero(int64_t stage) {
  return {fmt::format("parallel.zero={}", stage), [=](Run& run) { run.config.parallel.zero = stage; }};
}

Change recompute() {
  return {"model.activation_checkpointing=true", [](Run& run) { run.config.model.activation_checkpointing = true; }};
}

Change max_batch(int64_t sequences) {
  return {fmt::format("engine.max_batch={}", sequences), [=](Run& run) { run.config.engine.max_batch = sequences; }};
}

Change no_sharing() {
  return {"rl.prompt_sharing=1", [](Run& run) { run.config.rl.prompt_sharing = 1; }};
}

Change no_student() {
  return {"rl.student.updates=0", [](Run& run) { run.config.rl.student.updates = 0; }};
}

StagePlan with(Run run, const Change& change, const std::string& stage) {
  change.apply(run);
  return plan_stage(run, stage);
}

std::string gib(double bytes) {
  return fmt::format("{:.1f} GiB", bytes / 0x1p30);
}

std::vector<Change> ways_to_fit(const Run& run, const StagePlan& plan) {
  std::vector<Change> ways;
  const bool recomputes = run.spec().activation_checkpointing;
  if (plan.largest_micro_batch >= 1 && plan.largest_micro_batch < plan.micro_batch)
    ways.push_back(micro_batch(plan.stage, plan.largest_micro_batch));
  if (plan.largest_max_batch >= 1 && plan.largest_max_batch < run.config.engine.max_batch)
    ways.push_back(max_batch(plan.largest_max_batch));
  if (!recomputes) ways.push_back(recompute());
  for (int64_t stage = run.config.parallel.zero + 1; stage <= 3 && run.ranks > 1; ++stage) ways.push_back(zero(stage));
  if (plan.stage == "rl" && run.config.rl.student.updates > 0) ways.push_back(no_student());
  return ways;
}

// Applies options one after the other, those that cost the least time first, until the stage fits. Returns their text,
// or "" when the stage never fits.
std::string together(Run run, StagePlan plan) {
  std::vector<std::string> changed;
  const auto change = [&](const Change& next) {
    next.apply(run);
    plan = plan_stage(run, plan.stage);
    changed.push_back(next.text);
  };
  const auto fewer_sequences = [&] {
    if (!plan.fits() && plan.largest_max_batch >= 1) change(max_batch(plan.largest_max_batch));
  };
  if (plan.micro_batch > 1) change(micro_batch(plan.stage, 1));
  // Rollouts that share a prompt pass together, however small the micro-batch is.
  if (!plan.fits() && plan.micro_batch > 1) change(no_sharing());
  fewer_sequences();
  if (!plan.fits() && run.config.parallel.zero < 3 && run.ranks > 1) change(zero(3));
  fewer_sequences();
  if (!plan.fits() && !run.spec().activation_checkpointing) change(recompute());
  fewer_sequences();
  if (!plan.fits() && plan.stage == "rl" && run.config.rl.student.updates > 0) change(no_student());
  fewer_sequences();
  return plan.fits() ? fmt::format("{} together ({})", fmt::join(changed, ", "), gib(plan.bytes())) : "";
}

std::string does_not_fit(const Run& run, const StagePlan& plan) {
  std::vector<Consumer> sorted = plan.memory;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Consumer& a, const Consumer& b) { return a.bytes > b.bytes; });
  std::vector<std::string> top, ways;
  for (size_t i = 0; i < std::min(kMostNamed, sorted.size()); ++i)
    top.push_back(fmt::format("{} {}", sorted[i].name, gib(sorted[i].bytes)));
  for (const Change& change : ways_to_fit(run, plan)) {
    if (ways.size() == kMostNamed) break;
    const StagePlan other = with(run, change, plan.stage);
    if (other.fits()) ways.push_back(fmt::format("{} ({})", change.text, gib(other.bytes())));
  }
  if (ways.empty()) {
    if (const std::string all = together(run, plan); !all.empty()) ways.push_back(all);
  }
  const std::string remedy = ways.empty()
                                 ? "no option makes it fit: use more ranks, or a smaller model or shorter sequences"
                                 : fmt::format("it fits with {}", fmt::join(ways, ", or "));
  return fmt::format("{} does not fit: it needs {} per rank, but the limit is {}; most of it is for {}; {}", plan.stage,
                     gib(plan.bytes()), gib(plan.limit_bytes), fmt::join(top, ", "), remedy);
}

std::string waits(const Run& run, const StagePlan& plan) {
  std::vector<Change> ways;
  if (run.ranks > run.ranks_per_node && !run.config.parallel.hierarchical)
    ways.push_back({"parallel.hierarchical=true", [](Run& other) { other.config.parallel.hierarchical = true; }});
  for (int64_t stage = run.config.parallel.zero - 1; stage >= 1; --stage) ways.push_back(zero(stage));
  const int64_t room = std::min(plan.largest_micro_batch, (plan.sequences + plan.learners - 1) / plan.learners);
  if (room > plan.micro_batch) ways.push_back(micro_batch(plan.stage, room));
  std::vector<std::string> named;
  for (const Change& change : ways) {
    const StagePlan other = with(run, change, plan.stage);
    if (!other.fits() || other.communication_share() > kWorthNaming * plan.communication_share()) continue;
    named.push_back(fmt::format("{} lowers this to {:.0f} %", change.text, 100 * other.communication_share()));
  }
  named.resize(std::min(named.size(), kMostNamed));
  return fmt::format("{} waits for communication {:.0f} % of its time; {}", plan.stage,
                     100 * plan.communication_share(),
                     named.empty() ? "more sequences in each update, or fewer ranks, would lower it"
                                   : fmt::format("{}", fmt::join(named, ", ")));
}

std::string idle_ranks(const StagePlan& plan) {
  if (plan.sequences < plan.learners)
    return fmt::format("{} has {} sequences in an update for {} ranks: {} of these ranks have no work", plan.stage,
                       plan.sequences, plan.learners, plan.learners - plan.sequences);
  if (plan.sequences % plan.learners != 0)
    return fmt::format(
        "{} has {} sequences in an update, which do not divide evenly over {} ranks: some ranks wait for the others",
        plan.stage, plan.sequences, plan.learners);
  return "";
}

}  // namespace

std::vector<std::string> memory_warnings(const Run& run, const std::vector<StagePlan>& plans) {
  std::vector<std::string> out;
  for (const StagePlan& plan : plans)
    if (!plan.fits()) out.push_back(does_not_fit(run, plan));
  return out;
}

std::vector<std::string> warnings(const Run& run, const std::vector<StagePlan>& plans) {
  std::vector<std::string> out = memory_warnings(run, plans);
  if (run.ranks > run.ranks_per_node && run.ranks % run.ranks_per_node != 0)
    out.push_back(fmt::format(
        "{} ranks do not fill nodes of {} ranks: the plan assumes that all nodes have the same number of ranks",
        run.ranks, run.ranks_per_node));
  for (const StagePlan& plan : plans)
    if (const std::string idle = idle_ranks(plan); !idle.empty()) out.push_back(idle);
  for (const StagePlan& plan : plans)
    if (plan.communication_share() > kTooMuchWaiting) out.push_back(waits(run, plan));
  return out;
}

}  // namespace terse::launch::plan
