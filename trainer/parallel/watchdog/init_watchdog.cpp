// The launcher gives every rank of a job the same PMIX_NAMESPACE and its own PMIX_RANK. An InitWatchdog reads both from
// /proc to find the ranks of its job on this machine.
#include "trainer/parallel/watchdog/init_watchdog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <utility>

#include "trainer/parallel/watchdog/watchdog.h"

namespace terse::trainer {

namespace {

namespace fs = std::filesystem;
constexpr double kExtraTime = 3, kExitTimeout = 10;  // seconds; see report_timeout()

struct Process {
  int pid = 0;
  bool stopped = false;
};

// Returns an empty text when the process has ended or belongs to another user.
std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string value_of(const std::string& environment, const std::string& name) {
  const std::string all = '\0' + environment;
  const size_t at = all.find('\0' + name + '=');
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 2;
  return all.substr(begin, all.find('\0', begin) - begin);
}

// In /proc/PID/stat the state follows the program's name, which is in brackets and may contain any character.
bool is_stopped(const std::string& stat) {
  const size_t at = stat.rfind(") ");
  return at != std::string::npos && (stat[at + 2] == 'T' || stat[at + 2] == 't');
}

// The ranks of this job on this machine.
std::map<int64_t, Process> ranks_here() {
  std::map<int64_t, Process> ranks;
  const char* job = std::getenv("PMIX_NAMESPACE");
  if (job == nullptr) return ranks;
  std::error_code error;
  for (fs::directory_iterator next("/proc", error), end; !error && next != end; next.increment(error)) {
    const int pid = std::atoi(next->path().filename().c_str());
    if (pid == 0) continue;
    const std::string environment = read(next->path() / "environ"), rank = value_of(environment, "PMIX_RANK");
    if (rank.empty() || value_of(environment, "PMIX_NAMESPACE") != job) continue;
    // A child process of a rank has the same environment. It is listed after the rank, so it does not replace it.
    ranks.try_emplace(std::atoll(rank.c_str()), Process{pid, is_stopped(read(next->path() / "stat"))});
  }
  return ranks;
}

int64_t number_in(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? 0 : std::atoll(value);
}

std::string host() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

}  // namespace

InitWatchdog::InitWatchdog(std::string what, double deadline) : what_(std::move(what)), deadline_(deadline) {
  thread_ = std::thread([this] {
    if (!done_within(deadline_)) report_timeout();
  });
}

InitWatchdog::~InitWatchdog() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool InitWatchdog::done_within(double seconds) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return done_; });
}

void InitWatchdog::report_timeout() {
  const std::map<int64_t, Process> ranks = ranks_here();
  std::vector<std::string> stopped;
  std::vector<int64_t> running;
  for (const auto& [rank, process] : ranks) {
    if (process.stopped)
      stopped.push_back(fmt::format("rank {} (host {}) is stopped (process {})", rank, host(), process.pid));
    else
      running.push_back(rank);
  }
  if (stopped.empty()) {
    if (done_within(kExtraTime)) return;
    stopped.push_back(
        fmt::format("no rank on host {} is stopped (ranks {}), so a rank on another host is stopped or lost", host(),
                    fmt::join(running, ", ")));
  }
  // The lowest running rank of a machine prints and exits, and the launcher then ends the others. If they still live
  // after kExitTimeout, they print, too.
  const bool printed = std::cmp_less(ranks.size(), number_in("OMPI_COMM_WORLD_LOCAL_SIZE"));
  const bool prints = running.empty() || number_in("PMIX_RANK") == running.front();
  if ((printed || !prints) && done_within(kExitTimeout)) return;
  const std::string message = fmt::format("terse: {} has not finished within {} s (parallel.deadline): {}.\n", what_,
                                          deadline_, fmt::join(stopped, "; "));
  std::fputs(message.c_str(), stderr);
  std::fflush(stderr);
  _exit(kExitHang);
}

}  // namespace terse::trainer
