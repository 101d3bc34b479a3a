// What each option does, seen from the outside: tiny runs in this process, and what they leave behind.
//
// Each part of the table (the files beside this one) says of every option of its sections what must change with it, and
// checks that. A check sets its option by name, as --set does, in tiny runs that are alike in everything else.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "configs/fields.h"
#include "tests/options/tiny_runs.h"

namespace terse::options {

// An option under test.
class Option {
 public:
  explicit Option(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }
  // "path=value", to which `more` is added.
  Settings set(const std::string& value, Settings more = {}) const {
    more.push_back(path_ + "=" + value);
    return more;
  }

 private:
  std::string path_;
};

struct OptionEffect {
  std::string path;                          // as in docs/config.md
  std::string changes;                       // what must change with it, in words
  std::function<void(const Option&)> check;  // fails when the option is ignored
};

using OptionEffects = std::vector<OptionEffect>;

OptionEffects run_effects();
OptionEffects model_effects();
OptionEffects data_effects();
OptionEffects task_effects();
OptionEffects pretrain_effects();
OptionEffects sft_effects();
// Of the optimizer of one stage.
OptionEffects optimizer_effects(const std::string& stage);
OptionEffects rl_effects();
OptionEffects policy_effects();    // of rl: how rollouts become an update
OptionEffects pressure_effects();  // of rl: penalty, replay and practice
OptionEffects eval_effects();
OptionEffects engine_effects();
OptionEffects parallel_effects();
OptionEffects checkpoint_effects();

}  // namespace terse::options
