// Tests that every option has an observable effect. The parts of the table together must cover configs::list_fields
// exactly: an option without an entry fails, and so does an entry without an option.
#include "tests/options/option_effects.h"

#include <map>
#include <set>

#include "configs/fields.h"
#include "rl/tasks/task.h"

namespace terse::options {
namespace {

struct Part {
  std::string name;
  OptionEffects effects;
};

std::vector<Part> table() {
  return {{"run", run_effects()},
          {"model", model_effects()},
          {"chat", chat_effects()},
          {"lora", lora_effects()},
          {"data", data_effects()},
          {"task", task_effects()},
          {"external", external_effects()},
          {"mixture", mixture_effects()},
          {"pretrain", pretrain_effects()},
          {"pretrain_optimizer", optimizer_effects("pretrain")},
          {"sft", sft_effects()},
          {"sft_optimizer", optimizer_effects("sft")},
          {"rl", rl_effects()},
          {"policy", policy_effects()},
          {"pressure", pressure_effects()},
          {"rl_optimizer", optimizer_effects("rl")},
          {"eval", eval_effects()},
          {"engine", engine_effects()},
          {"parallel", parallel_effects()},
          {"checkpoint", checkpoint_effects()}};
}

TEST(OptionEffects, CoverEveryOptionOnce) {
  std::map<std::string, int> entries;
  for (const Part& part : table())
    for (const OptionEffect& effect : part.effects) ++entries[effect.path];
  configs::RunConfig config = rl::default_config();
  for (const configs::Field& field : configs::list_fields(config).fields) {
    EXPECT_EQ(entries[field.path], 1) << field.path << " needs one entry that fails when the option is ignored, in "
                                      << "tests/options/";
    entries.erase(field.path);
  }
  for (const auto& [path, count] : entries) ADD_FAILURE() << path << " has an entry, but is no option";
}

std::vector<std::string> parts() {
  std::vector<std::string> names;
  for (const Part& part : table()) names.push_back(part.name);
  return names;
}

// One test per part, so that the parts run in parallel.
class EffectsOfThePart : public ::testing::TestWithParam<std::string> {};

TEST_P(EffectsOfThePart, AreSeen) {
  for (const Part& part : table()) {
    if (part.name != GetParam()) continue;
    for (const OptionEffect& effect : part.effects) {
      SCOPED_TRACE(effect.path + ": " + effect.changes);
      EXPECT_NO_THROW(effect.check(Option(effect.path)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(OptionEffects, EffectsOfThePart, ::testing::ValuesIn(parts()),
                         [](const auto& part) { return part.param; });

}  // namespace
}  // namespace terse::options
