// Effects of the options of ranks. The checks run the program under mpirun, or compare its plans where only a larger
// machine would show the effect.
#include "tests/options/option_effects.h"
#include "tests/support/run_ranks.h"

namespace terse::options {
namespace {

using ::testing::HasSubstr;

const fs::path& folder() {
  static const support::TemporaryFolder one;
  return one.path();
}

std::vector<std::string> with(std::vector<std::string> command, const Settings& settings) {
  for (const std::string& setting : settings) {
    command.push_back("--set");
    command.push_back(setting);
  }
  return command;
}

struct RankRun {
  support::RanksResult result;
  fs::path dir;

  std::vector<nlohmann::json> records() const {
    std::vector<nlohmann::json> all = support::records_of(dir);
    for (nlohmann::json& record : all) {
      nlohmann::json kept;
      for (const auto& [name, value] : record.items())
        if (!name.starts_with("sync/") && !name.starts_with("pool/")) kept[name] = value;
      record = kept;
    }
    return all;
  }
  double last(const std::string& metric) const {
    double value = 0;
    for (const nlohmann::json& record : support::records_of(dir))
      if (record.contains(metric)) value = record.at(metric);
    return value;
  }
  std::string log() const {
    std::ifstream file(dir / "log.txt");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  checkpoints::StateDict state() const { return checkpoints::load_latest(dir / "checkpoints")->state; }
};

const Settings kTiny = base::kPolicy + Settings{"stages=[sft,rl]", "rl.optimizer.lr=0.01"};

// A tiny run as `ranks` ranks. Runs are cached by their arguments.
const RankRun& run_as(int ranks, const Settings& settings, std::vector<std::string> program = {TERSE_PROGRAM}) {
  static std::map<std::string, RankRun> runs;
  const std::string key = fmt::format("{} {} {}", ranks, fmt::join(settings, " "), fmt::join(program, " "));
  const auto [found, missing] = runs.try_emplace(key);
  RankRun& run = found->second;
  if (!missing) return run;
  run.dir = folder() / fmt::format("run-{}", runs.size());
  for (const std::string& word : {std::string("run"), tiny_file(), std::string("--run-dir"), run.dir.string()})
    program.push_back(word);
  run.result = support::run_ranks(ranks, with(std::move(program), kTiny + settings));
  return run;
}

const RankRun& alone() {
  const RankRun& run = run_as(1, {});
  EXPECT_EQ(run.result.exit_code, 0) << run.result.errors;
  return run;
}

void expect_the_run_alone(const RankRun& run) {
  EXPECT_EQ(run.result.exit_code, 0) << run.result.errors;
  EXPECT_EQ(run.records(), alone().records());
  EXPECT_TRUE(support::same_tensors(run.state(), alone().state()));
}

// The plan of the first stage of a larger run with 16 ranks.
nlohmann::json plan(const Settings& settings) {
  const Settings large =
      kTiny + Settings{"model.layers=24", "model.hidden_size=1024", "model.heads=16", "model.intermediate_size=0"};
  const support::ProgramResult result =
      support::run_program(with({TERSE_PROGRAM, "plan", tiny_file(), "--ranks", "16", "--json"}, large + settings));
  EXPECT_EQ(result.exit_code, 0);
  return nlohmann::json::parse(result.output).at("stages").at(0);
}

const Settings kSplit = {"parallel.layout=split"};

void layout(const Option& option) {
  const RankRun& split = run_as(2, option.set("split"));
  EXPECT_THAT(split.log(), HasSubstr("1 rank learns and 1 only generates"));
  expect_the_run_alone(split);
}

void rollout_ranks(const Option& option) {
  EXPECT_THAT(run_as(3, option.set("1", kSplit)).log(), HasSubstr("2 ranks learn and 1 only generates"));
  EXPECT_THAT(run_as(3, option.set("2", kSplit)).log(), HasSubstr("1 rank learns and 2 only generate"));
  expect_the_run_alone(run_as(3, option.set("2", kSplit)));
}

// In bf16, weights take half the bytes, and they are rounded.
void weight_transfer(const Option& option) {
  const RankRun &whole = run_as(2, kSplit), &half = run_as(2, option.set("bf16", kSplit));
  EXPECT_EQ(half.result.exit_code, 0) << half.result.errors;
  EXPECT_GT(half.last("sync/bytes"), 0);
  EXPECT_NEAR(half.last("sync/bytes") / whole.last("sync/bytes"), 0.5, 0.01);
  EXPECT_GT(half.last("sampling/logp_diff/max"), 0);
  EXPECT_EQ(whole.last("sampling/logp_diff/max"), 0);
}

// A group that is overdue at once goes to the second sampler as well.
void group_deadline(const Option& option) {
  const Settings two = kSplit + Settings{"parallel.rollout_ranks=2", "rl.prompts=12", "rl.steps=4"};
  const RankRun &hasty = run_as(3, option.set("1e-9", two)), &patient = run_as(3, option.set("1000000", two));
  EXPECT_GT(hasty.last("pool/given_again"), 0);
  EXPECT_EQ(patient.last("pool/given_again"), 0);
  EXPECT_EQ(hasty.records(), patient.records());
}

void zero(const Option& option) {
  // So large a batch needs more memory than the evaluation after the stage, which gathers all weights.
  const Settings large = {"engine.max_batch=1", "sft.batch_size=512"};
  const auto bytes = [&](const char* stage) { return plan(option.set(stage, large)).at("bytes").get<double>(); };
  EXPECT_LT(bytes("2"), bytes("1"));
  EXPECT_LT(bytes("3"), bytes("2"));
  expect_the_run_alone(run_as(2, option.set("3")));
}

// The state is sharded within each node only, so every rank holds more of it.
void hierarchical(const Option& option) {
  const Settings nodes = {"parallel.ranks_per_node=4"};
  EXPECT_GT(plan(option.set("true", nodes)).at("bytes"), plan(option.set("false", nodes)).at("bytes"));
  const Settings uneven = {"parallel.ranks_per_node=2", "stages=[sft]"};
  EXPECT_THAT(run_as(3, option.set("true", uneven)).result.errors, HasSubstr("3 ranks on 2 nodes"));
  EXPECT_EQ(run_as(3, option.set("false", uneven)).result.exit_code, 0);
}

void ranks_per_node(const Option& option) {
  const Settings shared = {"parallel.hierarchical=true", "stages=[sft]"};
  EXPECT_THAT(run_as(3, option.set("2", shared)).result.errors, HasSubstr("3 ranks on 2 nodes"));
  EXPECT_EQ(run_as(3, option.set("3", shared)).result.exit_code, 0);
  EXPECT_GT(plan(option.set("2", {})).at("bytes_sent_to_other_nodes"),
            plan(option.set("16", {})).at("bytes_sent_to_other_nodes"));
}

// NCCL cannot carry tensors of a CPU, so the run must fail.
void backend(const Option& option) {
  const RankRun& nccl = run_as(2, option.set("nccl"));
  EXPECT_NE(nccl.result.exit_code, 0);
  EXPECT_THAT(nccl.result.errors, HasSubstr("parallel.backend"));
  expect_the_run_alone(run_as(2, option.set("staged")));
}

// The other rank waits this long for a rank that is stopped.
void deadline(const Option& option) {
  const std::string mark = folder() / "mark";
  const RankRun& run =
      run_as(2, option.set("1.5"), {"env", "TERSE_FAULT=1 STOP 2 phase sft", "TERSE_FAULT_MARK=" + mark, TERSE_FAULTY});
  EXPECT_TRUE(fs::exists(mark));
  EXPECT_THAT(run.result.errors, HasSubstr("for 1.5 s (parallel.deadline)"));
  EXPECT_NE(run.result.exit_code, 0);
}

}  // namespace

OptionEffects parallel_effects() {
  return {
      {"parallel.layout", "ranks that only generate, and not one bit of the results", layout},
      {"parallel.rollout_ranks", "how many only generate, and not one bit of the results", rollout_ranks},
      {"parallel.weight_transfer", "bytes that are sent, and how far sampler and learner agree", weight_transfer},
      {"rl.group_deadline", "groups that are given to a second rank, and not one bit of the results", group_deadline},
      {"parallel.zero", "planned memory, and not one bit of the results", zero},
      {"parallel.hierarchical", "planned memory, and which ranks can share", hierarchical},
      {"parallel.ranks_per_node", "nodes, and what is sent between them", ranks_per_node},
      {"parallel.backend", "what can carry tensors, and not one bit of the results", backend},
      {"parallel.deadline", "when a rank that has stopped ends the job", deadline}};
}

}  // namespace terse::options
