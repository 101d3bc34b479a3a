// Defines the interface of a resumable source of batches.
#pragma once

#include <nlohmann/json.hpp>

#include "data/batch.h"

namespace terse::data {

// An endless stream of batches of batch_size() sequences. Each rank requests its share of a batch. next() is a pure
// function of the constructor's arguments and state(), so a restored stream continues with exactly the batches that
// would have followed. In a distributed run state() is the same on every rank, whichever share the rank requested. Not
// thread-safe.
class BatchStream {
 public:
  virtual ~BatchStream() = default;
  virtual int64_t batch_size() const = 0;
  // Returns the sequences [begin, end) of the next batch, where 0 <= begin <= end <= batch_size(). It reads no other
  // sequences. The position advances by the whole batch.
  virtual Batch next(int64_t begin, int64_t end) = 0;
  Batch next() { return next(0, batch_size()); }
  virtual nlohmann::json state() const = 0;
  // Throws an error of base/errors.h with both values when the state belongs to another data set, seed or shape. Then
  // the stream is unchanged.
  virtual void restore(const nlohmann::json& state) = 0;
};

}  // namespace terse::data
