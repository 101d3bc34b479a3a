// A base for tasks of tests: the problems of chain7, which a test judges in its own way.
#pragma once

#include <memory>

#include "rl/tasks/task.h"

namespace terse::support {

class Chain7Like : public rl::Task {
 public:
  explicit Chain7Like(const configs::Task& config) : chain7_(rl::make_task(config, 1)) {}

  std::string name() const override { return "chain7 like"; }
  const data::Tokenizer* tokenizer() const override { return chain7_->tokenizer(); }
  std::vector<rl::Difficulty> difficulties() const override { return chain7_->difficulties(); }
  std::optional<TokenLimits> token_limits() const override { return chain7_->token_limits(); }
  rl::Item item(rl::Split split, int64_t index) const override { return chain7_->item(split, index); }
  rl::Item item(rl::Split split, int64_t index, const rl::Difficulty& difficulty) const override {
    return chain7_->item(split, index, difficulty);
  }

 private:
  std::unique_ptr<rl::Task> chain7_;
};

}  // namespace terse::support
