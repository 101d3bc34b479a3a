// Damages a good configuration at random. Loading it must succeed or throw ConfigError, and nothing else may happen.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <utility>

#include "tests/configs/test_files.h"

namespace terse::configs {
namespace {

const std::vector<std::string> kSplices = {
    "[",  "]",   "{",    "}",   ":",  ": ",       "\n", "- ",           "&a ",   "*a", "!!x ", "!",      "\"", "'",
    "|",  ">",   "%",    "@",   "#",  "\t",       "? ", "---\n",        "...\n", "<<", "~",    "\xff",   "\r", "1e999",
    "-1", "nan", "\\x0", "\\u", "  ", "\xc3\xa9", ",",  "base: x.yaml", "0x",    "=",  "null", "%YAML 9"};

// Makes one to four edits: each deletes, inserts, overwrites, duplicates or replaces a span, or truncates the text.
std::string mutate(std::string text, std::mt19937& random) {
  const auto below = [&](size_t n) { return n == 0 ? 0 : random() % n; };
  for (size_t edits = 1 + below(4); edits > 0; --edits) {
    const size_t at = below(text.size() + 1);
    const size_t length = below(std::min<size_t>(text.size() - at, 40) + 1);
    switch (below(6)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, kSplices[below(kSplices.size())]);
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      case 3:
        text.insert(below(text.size() + 1), text.substr(at, length));
        break;
      case 4:
        text.replace(at, length, kSplices[below(kSplices.size())]);
        break;
      default:
        text.resize(at);
        break;
    }
  }
  return text;
}

bool loads(const std::string& yaml, const std::vector<std::string>& overrides) {
  try {
    const LoadedConfig loaded = loosely_loaded(yaml, overrides);
    EXPECT_TRUE(check(loaded.config).empty());
    return true;
  } catch (const ConfigError& error) {
    EXPECT_STRNE(error.what(), "");
    return false;
  }
}

TEST(Fuzz, MutatedFilesLoadOrAreRefused) {
  const char* const wanted = std::getenv("TERSE_FUZZ_CASES");
  const int cases = wanted ? std::atoi(wanted) : 2000;
  std::mt19937 random(7);
  std::string seed = read(kSource / "configs/quickstart.yaml");
  const std::pair<std::string, std::string> names[] = {
      {"name: chain7", "name: toy"}, {"k_min:", "fewest:"}, {"k_max:", "most:"}};
  for (const auto& [of_chain7, of_toy] : names) {
    ASSERT_NE(seed.find(of_chain7), std::string::npos) << of_chain7;
    seed.replace(seed.find(of_chain7), of_chain7.size(), of_toy);
  }
  int accepted_count = 0;
  for (int i = 0; i < cases; ++i) {
    const std::string yaml = mutate(seed, random);
    SCOPED_TRACE(yaml);
    ASSERT_NO_THROW(accepted_count += loads(yaml, {}));
  }
  EXPECT_GT(accepted_count, cases / 100);  // damage inside a comment has no effect
  EXPECT_LT(accepted_count, cases * 9 / 10);
}

TEST(Fuzz, MutatedOverridesLoadOrAreRefused) {
  std::mt19937 random(8);
  const std::vector<std::string> seeds = {"stages=[sft,rl]", "task.forms.states=0.5", "run.name=\"x\"",
                                          "rl.optimizer.lr=1e-3", "model.depth=4"};
  for (int i = 0; i < 2000; ++i) {
    const std::string text = mutate(seeds[random() % seeds.size()], random);
    SCOPED_TRACE(text);
    ASSERT_NO_THROW(loads(kValid + "rl: {steps: 1}\n", {text}));
  }
}

}  // namespace
}  // namespace terse::configs
