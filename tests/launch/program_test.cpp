// Implements program.h, and tests that it captures what a shell would.
#include "tests/launch/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace terse::launch::testing {
namespace {

int code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Runs in the child process and never returns.
[[noreturn]] void start(const std::vector<std::string>& arguments, const Surroundings& surroundings,
                        const TemporaryFolder& files) {
  const auto redirect = [&](const char* name, int flags, int descriptor) {
    dup2(open((files / name).c_str(), flags, 0600), descriptor);
  };
  redirect("in", O_RDONLY, STDIN_FILENO);
  redirect("out", O_WRONLY | O_CREAT, STDOUT_FILENO);
  redirect("err", O_WRONLY | O_CREAT, STDERR_FILENO);
  if (!surroundings.folder.empty() && chdir(surroundings.folder.c_str()) != 0) _exit(126);
  for (const std::string& variable : surroundings.environment) putenv(strdup(variable.c_str()));
  std::vector<char*> argv = {strdup(TERSE_PROGRAM)};
  for (const std::string& argument : arguments) argv.push_back(strdup(argument.c_str()));
  argv.push_back(nullptr);
  execv(TERSE_PROGRAM, argv.data());
  _exit(127);
}

}  // namespace

Program::Program(const std::vector<std::string>& arguments, const Surroundings& surroundings) {
  files_.write("in", surroundings.input);
  pid_ = fork();
  if (pid_ == 0) start(arguments, surroundings, files_);
  if (pid_ < 0) throw std::runtime_error("cannot fork");
}

Program::~Program() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Program::signal(int number) const {
  kill(pid_, number);
}

bool Program::wait_until(const std::function<bool()>& condition) const {
  using namespace std::chrono_literals;
  const auto deadline = std::chrono::steady_clock::now() + 1min;
  while (!condition()) {
    siginfo_t info{};
    const bool ended =
        waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_;
    if (ended || std::chrono::steady_clock::now() > deadline) return condition();
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

Result Program::wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return {code_of(status), read_file(files_ / "out"), read_file(files_ / "err")};
}

Result terse(const std::vector<std::string>& arguments, const Surroundings& surroundings) {
  return Program(arguments, surroundings).wait();
}

std::string tiny_config() {
  return R"(stages: [sft, rl]
run: {name: tiny, device: cpu, threads: 1, log_every: 1}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 128}
task: {k_min: 1, k_max: 2, align_to: 2}
sft: {steps: 4, batch_size: 4}
rl: {steps: 2, prompts: 2, group_size: 2, demonstrations: 2, max_resample_rounds: 0, eval_every: 0}
eval: {problems_per_difficulty: 2, samples: 2, quick_problems_per_difficulty: 1}
checkpoint: {every: 1}
)";
}

TEST(Program, CapturesOutputInputAndExitCode) {
  const Result result = terse({"tokenizer", "encode", "byte"}, {.folder = "/", .input = "ab"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "97 98\n");
  EXPECT_EQ(result.err, "");
}

}  // namespace terse::launch::testing
