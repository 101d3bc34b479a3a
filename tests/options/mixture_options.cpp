// Effects of the options of tasks that are files of one's own, or mixtures.
#include <fstream>

#include "base/errors.h"
#include "rl/tasks/tokenized_task.h"
#include "tests/options/option_effects.h"
#include "tests/support/temporary_folder.h"

namespace terse::options {
namespace {

// Whether "(b)" answers "B".
bool accepts_a_letter(const Option& option, const char* kind) {
  const support::TemporaryFolder folder;
  const std::string path = (folder.path() / "own.jsonl").string(), other = (folder.path() / "other.jsonl").string();
  std::ofstream(path) << R"({"prompt": "A or B?", "answer": "B"})";
  std::ofstream(other) << R"({"prompt": "B or A?", "answer": "B"})";
  const configs::RunConfig config =
      load(option.set(kind, {"task.name=jsonl", "task.path=" + path, "task.eval_path=" + other, "stages=[eval]"}));
  const std::unique_ptr<rl::Task> task = rl::make_task(config.task, config.run.seed);
  return task->verify(task->item(rl::Split::kEval, 0), {"(b)", true}).correct;
}

void answer(const Option& option) {
  EXPECT_TRUE(accepts_a_letter(option, "choice"));
  EXPECT_FALSE(accepts_a_letter(option, "exact"));
  EXPECT_THROW(accepts_a_letter(option, "number"), DataError) << "B is no number";
  EXPECT_THROW(accepts_a_letter(option, "letter"), ConfigError);
}

// The number of problems of the task `long` among a thousand of a mixture.
int64_t problems_of_long(const Option& option, const char* weight) {
  const std::string of_part = "task.mixture.long." + std::string(configs::last_of(option.path()));
  const configs::RunConfig config = support::config_of(R"(
stages: [eval]
task:
  name: mixture
  mixture:
    short: {name: chain7, k_min: 1, k_max: 1}
    long: {name: chain7, k_min: 2, k_max: 2}
)",
                                                       {of_part + "=" + weight});
  const std::unique_ptr<rl::Task> task = rl::make_task(config.task, config.run.seed);
  int64_t count = 0;
  for (int64_t i = 0; i < 1000; ++i) count += task->item(rl::Split::kTrain, i).task == "long" ? 1 : 0;
  return count;
}

void weight(const Option& option) {
  EXPECT_EQ(problems_of_long(option, "1"), 500);
  EXPECT_EQ(problems_of_long(option, "4"), 800);
  EXPECT_EQ(problems_of_long(option, "0.25"), 200);
}

}  // namespace

OptionEffects mixture_effects() {
  return {{"task.answer", "which answers are right", answer},
          {"task.weight", "share of the problems of a mixture", weight}};
}

}  // namespace terse::options
