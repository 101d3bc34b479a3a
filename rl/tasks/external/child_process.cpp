// posix_spawn starts both processes. It does not copy the page tables of terse, which holds a model, and it reports a
// program that cannot be executed.
#include "rl/tasks/external/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/errors.h"

namespace terse::rl {

namespace {

// The shell leaves its loop when the pipe ends, and it ends with its group.
constexpr const char* kShell = "/bin/sh";
constexpr const char* kWatch = "while read -r line; do :; done; kill -KILL 0";
constexpr auto kWaitForKilled = std::chrono::seconds(5);  // a process that sleeps in the kernel may not end sooner

struct Pipe {
  Descriptor read, write;
};

Pipe make_pipe(const std::string& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw ResourceError(fmt::format("no pipe for the program '{}': {}", command, std::strerror(errno)));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

void do_not_block(const Descriptor& end) {
  ::fcntl(end.get(), F_SETFL, ::fcntl(end.get(), F_GETFL) | O_NONBLOCK);
}

// Runs in the new process between fork and exec.
class SpawnPlan {
 public:
  // `group` 0: the process leads a group of its own.
  explicit SpawnPlan(pid_t group) {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawnattr_init(&attributes_);
    sigset_t all, none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setpgroup(&attributes_, group);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  void give(const Descriptor& descriptor, int as) { ::posix_spawn_file_actions_adddup2(&files_, descriptor.get(), as); }
  void close_from(int descriptor) { ::posix_spawn_file_actions_addclosefrom_np(&files_, descriptor); }

  // Throws MachineError.
  pid_t spawn(const std::vector<std::string>& command) {
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    pid_t pid = -1;
    const int error = ::posix_spawnp(&pid, arguments[0], &files_, &attributes_, arguments.data(), ::environ);
    if (error == 0) return pid;
    throw MachineError(
        fmt::format("the program '{}' cannot be started: {}", fmt::join(command, " "), std::strerror(error)));
  }

 private:
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

// Returns how a child has ended; empty: it runs. A child that another waiter has taken has ended, too.
std::optional<std::string> ended(pid_t pid) {
  int status = 0;
  const pid_t found = retry([&] { return ::waitpid(pid, &status, WNOHANG); });
  if (found == 0) return {};
  if (found < 0) return "ended";
  if (WIFSIGNALED(status)) return fmt::format("was ended by signal {}", WTERMSIG(status));
  return fmt::format("exited with code {}", WEXITSTATUS(status));
}

void wait_for_killed(pid_t pid) {
  const auto until = std::chrono::steady_clock::now() + kWaitForKilled;
  while (!ended(pid) && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command) {
  const std::string name = fmt::format("{}", fmt::join(command, " "));
  Pipe watch = make_pipe(name), input = make_pipe(name), output = make_pipe(name), errors = make_pipe(name);
  SpawnPlan watcher(0);
  watcher.give(watch.read, STDIN_FILENO);
  watcher.close_from(STDOUT_FILENO);
  watcher_ = watcher.spawn({kShell, "-c", kWatch});
  try {
    SpawnPlan program(watcher_);
    program.give(input.read, STDIN_FILENO);
    program.give(output.write, STDOUT_FILENO);
    program.give(errors.write, STDERR_FILENO);
    program.close_from(STDERR_FILENO + 1);
    program_ = program.spawn(command);
  } catch (...) {
    kill();
    throw;
  }
  watch_ = std::move(watch.write);
  input_ = std::move(input.write);
  output_ = std::move(output.read);
  errors_ = std::move(errors.read);
  for (const Descriptor* end : {&input_, &output_, &errors_}) do_not_block(*end);
}

bool ChildProcess::has_ended() {
  if (!how_.empty()) return true;
  if (const auto how = ended(program_)) {
    program_ = -1;
    how_ = *how;
  } else if (ended(watcher_)) {  // someone has killed it; without it, the program must not run
    how_ = "lost its watcher";
    ::kill(-watcher_, SIGKILL);
    watcher_ = -1;
  }
  return !how_.empty();
}

void ChildProcess::kill() {
  if (watcher_ > 0) ::kill(-watcher_, SIGKILL);
  if (program_ > 0) wait_for_killed(program_);
  if (watcher_ > 0) wait_for_killed(watcher_);
  program_ = watcher_ = -1;
  if (how_.empty()) how_ = "was killed";
}

}  // namespace terse::rl
