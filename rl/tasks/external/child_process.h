// A program that runs beside terse and talks with it through its standard streams. Nothing of it is left when it is
// ended, nor when terse ends in any way, also by SIGKILL.
//
// The program gets a process group of its own, with a watcher: a shell that does nothing but wait for the end of a pipe
// whose other end only terse holds. When terse ends, the kernel closes that end, and the watcher kills the group with
// SIGKILL: the program, whatever it has started, and the watcher itself. Three facts make this free of races:
//
// - The watcher exists before the program, and it is the leader of the group. So the id of the group stays reserved for
//   as long as the watcher has not been waited for, and no signal can hit a stranger.
// - A process cannot join a group that has ended. If terse is killed while it starts the program, the program either is
//   in the group that the watcher kills, or fails to join it and exits.
// - Descriptors are closed on exec, so no other program holds the pipe of the watcher open.
//
// The signal that Linux can send at the death of a parent (PR_SET_PDEATHSIG) is not used: it comes when the thread ends
// that started the program, and it misses what the program has started itself. A program that puts itself into another
// session or group (setsid, a daemon) has left on purpose, and is not followed.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/descriptor.h"

namespace terse::rl {

class ChildProcess {
 public:
  // Starts the program command[0], which is looked up in PATH, without a shell. Its signals have their default actions
  // and none is blocked. It inherits the environment, the working folder and no descriptor besides its three streams.
  // terse's own standard descriptors must be open. Throws MachineError naming the command and the cause.
  explicit ChildProcess(const std::vector<std::string>& command);
  ~ChildProcess() { kill(); }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The other ends of its streams; none of them blocks. -1: closed.
  int input() const { return input_.get(); }
  int output() const { return output_.get(); }
  int errors() const { return errors_.get(); }
  void close_input() { input_ = Descriptor(); }
  void close_errors() { errors_ = Descriptor(); }

  // Whether the program, or its watcher, has ended. Then how() says how: "exited with code 3", "was ended by signal
  // 11".
  bool has_ended();
  const std::string& how() const { return how_; }

  // Ends the program and all processes of its group with SIGKILL, and waits for it.
  void kill();

 private:
  Descriptor input_, output_, errors_, watch_;
  pid_t watcher_ = -1, program_ = -1;  // -1: not there, or waited for
  std::string how_;
};

}  // namespace terse::rl
