// A base for tasks of tests: the problems of chain7, which a test judges in its own way.
#pragma once

#include <memory>

#include "rl/tasks/task.h"

namespace terse::rl {

class Chain7Like : public Task {
 public:
  explicit Chain7Like(const configs::Task& config) : chain7_(make_task(config, 1)) {}

  std::string name() const override { return "chain7 like"; }
  const data::Tokenizer* tokenizer() const override { return chain7_->tokenizer(); }
  std::vector<Difficulty> difficulties() const override { return chain7_->difficulties(); }
  std::optional<TokenLimits> token_limits() const override { return chain7_->token_limits(); }
  Item item(Split split, int64_t index) const override { return chain7_->item(split, index); }
  Item item(Split split, int64_t index, const Difficulty& difficulty) const override {
    return chain7_->item(split, index, difficulty);
  }

 private:
  std::unique_ptr<Task> chain7_;
};

}  // namespace terse::rl
