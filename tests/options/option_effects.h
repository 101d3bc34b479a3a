// The table of what each option does, as far as the results of tiny runs show it.
//
// Each part of the table (the files beside this one) covers the options of some sections. An entry names what must
// change with its option, and checks it. A check sets the option by its name, as --set does, in tiny runs that are
// otherwise equal.
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
  // The settings `more`, followed by "path=value".
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
OptionEffects chat_effects();
OptionEffects lora_effects();
OptionEffects data_effects();
OptionEffects task_effects();
OptionEffects external_effects();  // of task: those of the external task
OptionEffects mixture_effects();   // of task: those of files of one's own and of mixtures
OptionEffects pretrain_effects();
OptionEffects sft_effects();
// The options of one stage's optimizer.
OptionEffects optimizer_effects(const std::string& stage);
OptionEffects rl_effects();
OptionEffects policy_effects();    // of rl: how rollouts become an update
OptionEffects pressure_effects();  // of rl: penalty, demonstrations and student
OptionEffects eval_effects();
OptionEffects engine_effects();
OptionEffects parallel_effects();
OptionEffects checkpoint_effects();

}  // namespace terse::options
