// A resumable source of batches.
#pragma once

#include <nlohmann/json.hpp>

#include "data/batch.h"

namespace terse::data {

// Endless, in batches of batch_size() sequences, of which a rank asks for its share. next() is a pure function of the
// construction arguments and state(): restoring a saved state continues with exactly the batches that would have
// followed. In a distributed run state() is the same on every rank, whatever share each asked for. Not thread-safe.
class BatchStream {
 public:
  virtual ~BatchStream() = default;
  virtual int64_t batch_size() const = 0;
  // The sequences [begin, end) of the next batch, of which no others are read or made: 0 <= begin <= end <=
  // batch_size(). The position moves on by the whole batch.
  virtual Batch next(int64_t begin, int64_t end) = 0;
  Batch next() { return next(0, batch_size()); }
  virtual nlohmann::json state() const = 0;
  // Throws an error of base/errors.h with both values when the state is of another data set, seed or shape; then
  // nothing has changed.
  virtual void restore(const nlohmann::json& state) = 0;
};

}  // namespace terse::data
