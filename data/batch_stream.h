// A resumable source of batches.
#pragma once

#include <nlohmann/json.hpp>

#include "data/batch.h"

namespace terse::data {

// next() is a pure function of the construction arguments and state(): restoring a saved state continues with exactly the
// batches that would have followed.
class BatchStream {
 public:
  virtual ~BatchStream() = default;
  virtual Batch next() = 0;
  virtual nlohmann::json state() const = 0;
  virtual void restore(const nlohmann::json& state) = 0;  // throws std::runtime_error when the state is of another data set
};

}  // namespace terse::data
