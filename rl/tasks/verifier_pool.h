// Judges responses in background threads, each within a deadline. A verifier that hangs, throws, ends its thread or
// returns an impossible score (not finite, or below 0 for a correct response) never becomes a score: the response gets
// a status that says so, and training goes on without it.
#pragma once

#include <functional>
#include <future>
#include <memory>

#include "rl/tasks/task.h"

namespace terse::rl {

class VerifierPool {
 public:
  using Verify = std::function<Verdict(const Item&, const Response&)>;

  // `verify` may be called by several threads at once, and a call that hangs outlives the pool.
  explicit VerifierPool(Verify verify, const VerifierOptions& options = {});
  ~VerifierPool();  // waits for verifications in progress, at most until their deadlines

  // Begins to judge a response. The future always becomes ready, and get() never throws.
  std::future<Verdict> submit(std::shared_ptr<const Item> item, Response response);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace terse::rl
