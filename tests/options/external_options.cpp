// Effects of the options of the external task. The program is the double of its own tests.
#include <fstream>

#include "rl/tasks/tokenized_task.h"
#include "tests/options/option_effects.h"
#include "tests/support/temporary_folder.h"

namespace terse::options {
namespace {

std::string command(const std::string& arguments) {
  return "[python3, -S, \"" TERSE_SOURCE_DIR "/tests/rl/tasks/external/double.py\", demonstrations=1, " + arguments +
         "]";
}

const std::string kSample = "sample=" TERSE_SOURCE_DIR "/tests/rl/tasks/samples/gsm8k.jsonl";
const Settings kExternal = {"task.name=external", "model.max_seq_len=1024", "engine.max_new_tokens=4"};

// Questions of one letter, and the program that serves them.
std::string short_sample(const support::TemporaryFolder& folder) {
  const std::string path = (folder.path() / "short.jsonl").string();
  std::ofstream file(path);
  for (const char* question : {"a", "b"}) file << "{\"question\": \"" << question << "\", \"answer\": \"#### 2\"}\n";
  return "sample=" + path;
}

double tokens(const Observed& run) {
  return run.result().at("tokens").get<double>();
}

void task_command(const Option& option) {
  const support::TemporaryFolder folder;
  const Observed& of_letters = finetune(option.set(command(short_sample(folder)), kExternal));
  EXPECT_EQ(of_letters.eval().at("task"), "external");
  EXPECT_LT(tokens(of_letters), tokens(finetune(option.set(command(kSample), kExternal))));
}

// Counts the programs that have been started.
int64_t programs(const Option& option, const char* workers) {
  const support::TemporaryFolder folder;
  const std::string pids = (folder.path() / "pids").string();
  finetune(option.set(workers, kExternal + Settings{"task.command=" + command(kSample + ", \"pids=" + pids + "\"")}));
  std::ifstream file(pids);
  int64_t count = 0;
  for (std::string line; std::getline(file, line);) ++count;
  return count;
}

void workers(const Option& option) {
  const int64_t one = programs(option, "1");
  EXPECT_GT(one, 0);
  EXPECT_EQ(programs(option, "3"), 3 * one);
}

// The program takes 0.3 s for this response.
rl::VerifyStatus judge_slowly(const Option& option, const char* deadline) {
  const configs::RunConfig config =
      load(option.set(deadline, kExternal + Settings{"task.command=" + command(kSample)}));
  const std::unique_ptr<rl::Task> task = rl::make_task(config.task, config.run.seed);
  return task->verify(task->item(rl::Split::kEval, 0), {"slow", true}).status;
}

void deadline(const Option& option) {
  EXPECT_EQ(judge_slowly(option, "60"), rl::VerifyStatus::kOk);
  EXPECT_EQ(judge_slowly(option, "0.1"), rl::VerifyStatus::kTimeout);
}

}  // namespace

OptionEffects external_effects() {
  return {{"task.command", "the task of the evaluation, and tokens of the solutions", task_command},
          {"task.workers", "number of programs", workers},
          {"task.deadline", "whether a slow verdict comes in time", deadline}};
}

}  // namespace terse::options
