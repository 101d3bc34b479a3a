// Supervised batches of a task: problems with traces in the task's forms, drawn by counter-based random numbers.
#pragma once

#include "data/batch_stream.h"
#include "rl/tasks/tokenized_task.h"

namespace terse::rl {

class TraceStream final : public data::BatchStream {
 public:
  // Batches of `batch_size` problems. Each problem's form is drawn with the form_shares() of its item. `task` must
  // outlive the stream.
  TraceStream(const TokenizedTask& task, int64_t batch_size, uint64_t seed);

  int64_t batch_size() const override { return batch_size_; }
  using data::BatchStream::next;
  data::Batch next(int64_t begin, int64_t end) override;
  nlohmann::json state() const override;
  void restore(const nlohmann::json& state) override;

 private:
  const TokenizedTask& task_;
  int64_t batch_size_;
  uint64_t seed_;
  int64_t cursor_ = 0;  // problems returned so far
};

}  // namespace terse::rl
