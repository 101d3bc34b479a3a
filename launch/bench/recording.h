// Records what runs and for how long, as an observer of LibTorch (ATen/record_function.h): the named scopes of our code
// (trainer/model/profile_scope.h), and the nodes of autograd in backward passes.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace terse::launch::bench {

struct Event {
  std::string name;
  std::string node;     // the node's own name; empty for a scope of our code
  int64_t parent = -1;  // index of the event around it; -1: none
  int64_t begin = 0;    // nanoseconds since the recording began
  int64_t end = 0;
  uint64_t thread = 0;  // LibTorch's number of the thread
  int64_t duration() const { return end - begin; }
};

// Records from its construction to finish(). Only one may exist at a time, because LibTorch's observers are functions
// without state.
//
// The name of a node is that of the operation whose gradient it computes: the innermost scope that was open when the
// forward pass made the node. Only scopes inside two others count as operations; a node outside of them is unnamed.
//
// On a GPU, every scope and every node waits at its beginning and its end until the GPU has nothing left to do. So
// times are those of the GPU, and nothing overlaps.
class Recording {
 public:
  explicit Recording(torch::Device device);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  // Stops, and returns the events in order of their beginning. Call it outside of all scopes.
  std::vector<Event> finish();

 private:
  class Observer;
  std::unique_ptr<Observer> observer_;
};

}  // namespace terse::launch::bench
