// A job of three ranks in which one misbehaves. failures_test.cpp runs it and checks how it ends:
//
//   misbehave SCENARIO [DEADLINE]
//
// A rank that reaches the end of the scenario prints "survived".
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <map>
#include <stdexcept>
#include <thread>

#include "trainer/device.h"
#include "trainer/parallel/collectives/exchange.h"
#include "trainer/parallel/mpi/message_channel.h"
#include "trainer/parallel/world.h"

namespace terse::trainer {
namespace {

using torch::Tensor;

struct Stage {
  World& world;
  Collectives& group;
  int64_t rank;

  void sum(const std::string& name, int64_t n = 4) const {
    group.all_reduce(name, torch::ones({n}), Reduce::kSum).wait();
  }
  void gather(const std::string& name, const std::vector<int64_t>& counts) const {
    group.all_gather(name, torch::ones({counts[rank]}), torch::ones({12}), counts).wait();
  }
  [[noreturn]] void hang() const {
    for (;;) pause();
  }
};

void skip(const Stage& s) {
  if (s.rank != 1) s.sum("skipped");
  s.sum("next");
}
void other_operation(const Stage& s) {
  if (s.rank == 2)
    s.group.broadcast("weights", torch::ones({4}), 0).wait();
  else
    s.sum("loss");
}
void other_size(const Stage& s) {
  s.sum("grad", s.rank == 1 ? 5 : 4);
}
void other_counts(const Stage& s) {
  s.gather("shards", s.rank == 2 ? std::vector<int64_t>{4, 3, 5} : std::vector<int64_t>{3, 4, 5});
}
void other_share(const Stage& s) {
  // Rank 0 expects 2 elements from rank 2, which sends 1.
  const std::vector<int64_t> receive = s.rank == 0 ? std::vector<int64_t>{1, 1, 2} : std::vector<int64_t>{1, 1, 1};
  s.group.all_to_all("tokens", torch::ones({3}), {1, 1, 1}, torch::ones({s.rank == 0 ? 4 : 3}), receive).wait();
}
void leave_early(const Stage& s) {
  if (s.rank != 1) s.sum("one more");
}

void stop(const Stage& s, int64_t which) {
  s.world.enter("rollout");
  s.sum("before");
  if (s.rank == which) raise(SIGSTOP);
  s.sum("after");
}
// All ranks are stopped for `seconds`. Rank 1 is stopped before it starts the operation that the others wait for.
void suspend(const Stage& s, unsigned seconds) {
  s.sum("before");
  const pid_t self = getpid();
  if (fork() == 0) {
    sleep(seconds);
    kill(self, SIGCONT);
    _exit(0);
  }
  const auto after = [&] { return s.group.all_reduce("after", torch::ones({4}), Reduce::kSum); };
  Work work = s.rank == 1 ? Work() : after();
  raise(SIGSTOP);
  if (s.rank == 1) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    work = after();
  }
  work.wait();
}
void hang(const Stage& s) {
  if (s.rank == 1) {
    s.world.enter("daydream");
    s.hang();
  }
  s.sum("after");
}
// Rank 2 hangs. Rank 1 waits for it in a group of ranks 1 and 2. Rank 0 waits for both.
void hang_behind(const Stage& s) {
  const auto pair = s.group.split("pair", s.rank == 0 ? 0 : 1, 0);
  if (s.rank == 2) {
    s.world.enter("daydream");
    s.hang();
  }
  if (s.rank == 1) barrier(*pair, "pair's");
  s.sum("after");
}
void killed(const Stage& s) {
  if (s.rank == 1) raise(SIGKILL);
  s.sum("after");
}
void own_error(const Stage& s) {
  if (s.rank == 1) s.world.abort(65, "shard-3.h5 is damaged");
  s.sum("after");
}
void exception(const Stage& s) {
  s.world.enter("load");
  const auto pair = s.group.split("pair", 0, 0);
  const Work under_way = pair->all_reduce("others", torch::ones({1}), Reduce::kSum);
  if (s.rank == 1) {
    pair->all_reduce("nobody joins this", torch::ones({1}), Reduce::kSum);
    throw std::runtime_error("gone");
  }
  s.sum("after");
}
// Ranks 0 and 2 wait for a message from rank 1, which calls `misbehave` before it sends. Rank 2 always accepts a late
// message.
void wait_for_message(const Stage& s, bool answering_is_enough, const std::function<void()>& misbehave) {
  if (s.rank == 1) {
    s.world.enter("rollout");
    misbehave();
    for (const int64_t other : {0, 2}) s.world.messages().send(other, "at last");
  }
  const MessageChannel::Wait wait{{1}, "a group", answering_is_enough || s.rank == 2};
  while (s.rank != 1 && !s.world.messages().wait(wait, 0.1)) {
  }
  s.sum("after");
}
// Rank 2 stops. Rank 1 waits for it in a group of ranks 1 and 2. Rank 0 waits for a message from rank 1.
void message_behind(const Stage& s) {
  const auto pair = s.group.split("pair", s.rank == 0 ? 0 : 1, 0);
  if (s.rank == 2) raise(SIGSTOP);
  if (s.rank == 1) barrier(*pair, "pair's");
  while (!s.world.messages().wait({{1}, "a group", false}, 0.1)) {
  }
}
// Rank 2 works for longer than the deadline, but sends rank 1 a message from time to time. Rank 1 waits for these
// messages. Rank 0 waits for rank 1 in a group of ranks 0 and 1.
void behind_messages(const Stage& s) {
  const auto pair = s.group.split("pair", s.rank == 2 ? 1 : 0, 0);
  constexpr int kMessages = 12;
  for (int i = 0; i < kMessages && s.rank == 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    s.world.messages().send(1, "at work");
  }
  for (int come = 0; s.rank == 1 && come < kMessages;)
    come += s.world.messages().wait({{2}, "a group", false}, 0.1) ? 1 : 0;
  if (s.rank < 2) barrier(*pair, "pair's");
}
// All ranks end the job at the same time, and only one of them may print its message.
void all_abort(const Stage& s) {
  s.world.abort(65, fmt::format("rank {} gives up", s.rank));
}
// Three ranks with two ranks per node.
void nodes() {
  const auto world = World::start({.ranks_per_node = 2});
  const Place& p = world->place();
  fmt::print("rank {} of {}: node {} of {}, local rank {}\n", p.rank, p.ranks, p.node, p.nodes, p.local_rank);
}
void late_but_fine(const Stage& s) {
  if (s.rank == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // longer than kGrace of exchange.cpp
  s.sum("after");
}

// Rank 0 sends rank 1 single bytes for longer than the deadline, so the data moves slowly. Rank 2 takes no part in this
// and waits at the next operation.
void slow_data(double deadline) {
  const mpi::Session session;
  const mpi::Comm comm = mpi::Comm::world();
  Watchdog watchdog(comm.duplicate(), {"rank 0", "rank 1", "rank 2"}, deadline);
  const auto group = ProcessGroup::create(comm, "world", {0, 1, 2}, watchdog);
  char byte = 0;
  group->run({.name = "slow"}, [&](Exchange& exchange) {
    for (int i = 0; exchange.rank() < 2 && i < 10; ++i) {
      if (exchange.rank() == 0) {
        std::this_thread::sleep_for(std::chrono::duration<double>(deadline / 4));
        exchange.send(1, &byte, 1);
      } else {
        exchange.receive(0, &byte, 1);
      }
      exchange.wait();
    }
  });
  group->run({.name = "next"}, nullptr).get();
  group->close();
}
// The threads of the group hang in a body, where they do not check the deadline.
void stuck(double deadline) {
  const mpi::Session session;
  const mpi::Comm comm = mpi::Comm::world();
  Watchdog watchdog(comm.duplicate(), {"rank 0", "rank 1", "rank 2"}, deadline);
  const auto group = ProcessGroup::create(comm, "world", {0, 1, 2}, watchdog);
  group
      ->run({.name = "stuck"},
            [](Exchange&) {
              for (;;) pause();
            })
      .get();
}

const std::map<std::string, std::function<void(const Stage&)>> kScenarios = {
    {"skip", skip},
    {"other_operation", other_operation},
    {"other_size", other_size},
    {"other_counts", other_counts},
    {"other_share", other_share},
    {"leave_early", leave_early},
    {"stop_0", [](const Stage& s) { stop(s, 0); }},
    {"stop_2", [](const Stage& s) { stop(s, 2); }},
    {"suspend", [](const Stage& s) { suspend(s, 8); }},
    {"hang", hang},
    {"hang_behind", hang_behind},
    {"killed", killed},
    {"own_error", own_error},
    {"exception", exception},
    {"all_abort", all_abort},
    {"late_but_fine", late_but_fine},
    {"message_stopped", [](const Stage& s) { wait_for_message(s, true, [] { raise(SIGSTOP); }); }},
    {"message_overdue", [](const Stage& s) { wait_for_message(s, false, [&] { s.hang(); }); }},
    {"message_late", [](const Stage& s) { wait_for_message(s, true, [] { sleep(3); }); }},
    {"message_behind", message_behind},
    {"behind_messages", behind_messages},
};

constexpr const char* kStopInFinalize = "TERSE_STOP_IN_FINALIZE";

void play(const std::string& scenario, double deadline) {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (scenario == "stop_before_mpi" && rank == std::string("1")) raise(SIGSTOP);
  const auto world = World::start({.deadline = deadline});
  Collectives& group = world->group(torch::kCPU);
  const Stage stage{.world = *world, .group = group, .rank = world->place().rank};
  world->enter("warm-up");
  stage.sum("first");
  if (scenario == "stop_after_the_end" && stage.rank == 1) setenv(kStopInFinalize, "", 1);
  if (const auto known = kScenarios.find(scenario); known != kScenarios.end()) known->second(stage);
}

}  // namespace
}  // namespace terse::trainer

// Replaces MPI_Finalize of the library, which is also available as PMPI_Finalize for this purpose.
extern "C" int PMPI_Finalize();
extern "C" int MPI_Finalize() {
  if (std::getenv(terse::trainer::kStopInFinalize) != nullptr) raise(SIGSTOP);
  return PMPI_Finalize();
}

int main(int argc, char** argv) {
  if (argc < 2) return 64;
  terse::trainer::set_threads(1);
  try {
    const std::string scenario = argv[1];
    const double deadline = argc > 2 ? std::atof(argv[2]) : 300;
    if (scenario == "slow_data")
      terse::trainer::slow_data(deadline);
    else if (scenario == "nodes")
      terse::trainer::nodes();
    else if (scenario == "stuck")
      terse::trainer::stuck(deadline);
    else
      terse::trainer::play(scenario, deadline);
  } catch (const std::exception& error) {
    fmt::print(stderr, "terse: {}\n", error.what());
    return 1;
  }
  fmt::print("survived\n");
  return 0;
}
