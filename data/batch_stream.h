// A resumable source of batches.
#pragma once

#include <nlohmann/json.hpp>

#include "data/batch.h"

namespace terse::data {

// Endless. next() is a pure function of the construction arguments and state(): restoring a saved state continues with
// exactly the batches that would have followed. In a distributed run state() is the same on every rank. Not
// thread-safe.
class BatchStream {
 public:
  virtual ~BatchStream() = default;
  virtual Batch next() = 0;
  virtual nlohmann::json state() const = 0;
  // Throws std::runtime_error with both values when the state is of another data set, seed or shape; then nothing has
  // changed.
  virtual void restore(const nlohmann::json& state) = 0;
};

}  // namespace terse::data
