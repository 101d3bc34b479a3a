// Sends requests to a pool of programs, and returns their replies. The programs do the same work; each request goes to
// one of them. docs/external_tasks.md describes the protocol: lines of JSON, a greeting, then a reply for each request,
// in any order.
//
// A reply is never invented. A request ends in one of these ways:
//
// - with the reply of a program;
// - kTimeout: the program did not reply within the deadline. It is killed.
// - kError: the program died, or wrote something that is no reply to what it was asked. It is killed. A request is then
//   sent once more, to another start of the program, because another request may be to blame.
//
// A program that is killed or dies is started again. When one start after the other fails, or when very many programs
// in a row end without having replied to anything, the pool gives up: all its requests end with kError, and failure()
// says why.
//
// One thread does everything: it starts, writes, reads, watches deadlines and kills. Memory is bounded: lines have a
// longest length, a program gets as many requests at once as it has asked for, and submit() waits while too much
// waits already.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rl/tasks/external/message_limiter.h"
#include "rl/types.h"

namespace terse::rl {

struct ProcessPoolOptions {
  std::vector<std::string> command;  // program and arguments
  int64_t workers = 2;               // programs
  double deadline = 30;              // seconds for one request, from the moment that it is sent to a program
  double start_deadline = 120;       // seconds from a start to the greeting
  int64_t most_starts = 5;           // failed starts in a row, after which the pool gives up
  int64_t most_losses = 100;         // programs lost in a row without a reply, after which the pool gives up
  nlohmann::json greeting = {};      // the first line to each program; "worker" is added to it
};

class ProcessPool {
 public:
  struct Reply {
    VerifyStatus status = VerifyStatus::kOk;
    nlohmann::json body = {};  // kOk: the object
    std::string problem = {};  // otherwise: what happened
  };
  // Checks the greeting of a program, and returns what is wrong with it; empty: nothing. It is called by the thread of
  // the pool. `concurrency` is the number of requests that the program wants to have at once; it is 1 if not set.
  using Greet = std::function<std::string(const nlohmann::json& greeting, int64_t& concurrency)>;

  // `messages` gets what the programs write to their standard error, and what becomes of them.
  ProcessPool(ProcessPoolOptions options, Greet greet, std::shared_ptr<MessageLimiter> messages);
  // Closes the standard input of the programs, waits two seconds for them to end, and kills what is left. Requests
  // without a reply end with kError.
  ~ProcessPool();

  // Sends an object, with "id" added. The future always becomes ready. Waits while too many bytes wait. Thread-safe.
  std::future<Reply> submit(nlohmann::json request);

  // Waits until a program has greeted or the pool has given up. Returns failure().
  std::string wait_for_greeting();
  // Why the pool has given up; empty: it works.
  std::string failure() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terse::rl
