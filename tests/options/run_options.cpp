// Effects of the options of the run as a whole and of checkpoints.
#include <cmath>

#include "tests/options/option_effects.h"
#include "tests/support/run_program.h"
#include "trainer/device.h"

namespace terse::options {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> stages_of(const Observed& run) {
  std::vector<std::string> names;
  for (const nlohmann::json& stage : run.summary.at("stages")) names.push_back(stage.at("stage"));
  return names;
}

void stages(const Option& option) {
  EXPECT_THAT(stages_of(finetune(option.set("[sft, eval]"))), ElementsAre("sft", "eval"));
  EXPECT_THAT(stages_of(finetune(option.set("[eval, sft]"))), ElementsAre("eval", "sft"));
}

// Runs the program, because the program chooses the run folder.
void run_program(const fs::path& folder, const std::string& setting) {
  const support::ProgramResult result = support::run_program(
      {"env", "-C", folder, TERSE_PROGRAM, "run", tiny_file(), "--set", "stages=[sft]", "--set", setting});
  EXPECT_EQ(result.exit_code, 0) << result.output;
}

void name(const Option& option) {
  const support::TemporaryFolder folder;
  run_program(folder.path(), option.set("other").back());
  std::ifstream summary(folder.path() / "runs/other/summary.json");
  ASSERT_TRUE(summary.is_open());
  EXPECT_EQ(nlohmann::json::parse(summary).at("run"), "other");
}

void dir(const Option& option) {
  const support::TemporaryFolder folder;
  run_program(folder.path(), option.set("here").back());
  EXPECT_TRUE(fs::exists(folder.path() / "here/summary.json"));
  EXPECT_FALSE(fs::exists(folder.path() / "runs"));
}

// The seed determines weights, problems, windows and samples.
void seed(const Option& option) {
  const Settings still = {"sft.optimizer.lr=0", "pretrain.optimizer.lr=0"};
  const Observed &one = finetune(option.set("1", still)), &two = finetune(option.set("2", still));
  EXPECT_FALSE(same(one.weights(), two.weights()));
  const auto prompts = [](const Observed& run) {
    std::vector<std::string> all;
    for (const nlohmann::json& line : run.traces("eval")) all.push_back(line.at("prompt"));
    return all;
  };
  EXPECT_NE(prompts(one), prompts(two));
  const auto stream = [&](const char* value) {
    return pretrain(option.set(value, still)).saved(1).state.extra.at("progress").at("extra").at("stream").at("seed");
  };
  EXPECT_EQ(stream("3"), 3);
  // From the same policy, another seed gives rollouts of other problems with other random numbers.
  EXPECT_NE(reinforce(option.set("1")).metric("entropy").at(0), reinforce(option.set("2")).metric("entropy").at(0));
}

// Without a GPU, cuda must fail. With one, sampler and learner differ in their last bits.
void device(const Option& option) {
  bool gpu = true;
  try {
    trainer::choose_device("cuda");
  } catch (const std::runtime_error&) {
    gpu = false;
  }
  const auto difference = [&](const char* value) {
    return reinforce(option.set(value)).metric("sampling/logp_diff/max").at(0);
  };
  EXPECT_EQ(difference("cpu"), 0);
  if (gpu) {
    EXPECT_GT(difference("cuda"), 0);
  } else {
    EXPECT_THROW(difference("cuda"), std::runtime_error);
  }
}

void threads(const Option& option) {
  const Observed &one = finetune(option.set("1")), &three = finetune(option.set("3"));
  EXPECT_EQ(one.threads, 1);
  EXPECT_EQ(three.threads, 3);
  EXPECT_TRUE(same_training(one, three));
}

void log_every(const Option& option) {
  const Settings seven = {"sft.steps=7"};
  const auto recorded = [&](const char* every) { return finetune(option.set(every, seven)).steps_with("loss"); };
  EXPECT_THAT(recorded("1"), ElementsAre(1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(recorded("3"), ::testing::IsSupersetOf({3, 6}));
  EXPECT_THAT(recorded("3"), ::testing::IsSubsetOf({3, 6, 7}));
  EXPECT_TRUE(same(finetune(option.set("3", seven)).weights(), finetune(option.set("1", seven)).weights()));
}

void every(const Option& option) {
  const Settings seven = {"sft.steps=7"};
  EXPECT_THAT(finetune(option.set("3", seven)).checkpoints(), ElementsAre(3, 6, 7));
  EXPECT_THAT(finetune(option.set("0", seven)).checkpoints(), ElementsAre(7));
}

// The best checkpoint stays in addition, unless it is one of the newest.
void keep(const Option& option) {
  const Settings seven = {"sft.steps=7"};
  const std::set<int64_t> two = finetune(option.set("2", seven)).checkpoints(),
                          four = finetune(option.set("4", seven)).checkpoints();
  EXPECT_THAT(two, ::testing::IsSupersetOf({6, 7}));
  EXPECT_LE(two.size(), 3u);
  EXPECT_THAT(four, ::testing::IsSupersetOf({4, 5, 6, 7}));
  EXPECT_LE(four.size(), 5u);
}

// Saving in the background takes memory for a copy. The results are the same.
void async(const Option& option) {
  const Settings wide = {"model.intermediate_size=4096", "sft.batch_size=1"};
  const Observed &background = finetune(option.set("true", wide)), &foreground = finetune(option.set("false", wide));
  EXPECT_TRUE(same_training(background, foreground));
  EXPECT_EQ(background.checkpoints(), foreground.checkpoints());
  const double weights = static_cast<double>(flat(foreground.weights()).numel()) * 4;
  EXPECT_GT(background.peak_bytes, foreground.peak_bytes + 2 * weights);
}

}  // namespace

OptionEffects run_effects() {
  return {{"stages", "stages of the summary, in order", stages},
          {"run.name", "name of the run folder and of the summary", name},
          {"run.dir", "run folder", dir},
          {"run.seed", "weights, problems and samples", seed},
          {"run.device", "where the run computes", device},
          {"run.threads", "threads of the process, and not one bit of the results", threads},
          {"run.log_every", "which steps are recorded", log_every}};
}

OptionEffects checkpoint_effects() {
  return {{"checkpoint.every", "which checkpoints are written", every},
          {"checkpoint.keep", "which checkpoints stay", keep},
          {"checkpoint.async", "memory for the copy that is written, and not one bit of the results", async}};
}

}  // namespace terse::options
