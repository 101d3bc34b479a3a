// Flattens sequences of steps into one list.
#include "data/tokenizers/hf/split_steps_json.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "data/tokenizers/hf/patterns.h"

namespace terse::data {

namespace {

constexpr size_t kMaxSteps = 16;

// Calls `use` with a step, or with each step of a sequence and of the sequences in it. `key` names their list.
template <typename Use>
void for_each_step(const JsonPlace& place, const char* key, const Use& use) {
  if (place.at("type").string() != "Sequence") return use(place);
  const JsonPlace steps = place.at(key);
  for (size_t i = 0; i < steps.array_size(); ++i) for_each_step(steps.at(i), key, use);
}

class Reader {
 public:
  Preparation run(const JsonPlace& document) {
    if (const auto normalizer = document.find("normalizer")) {
      for_each_step(*normalizer, "normalizers", [&](const JsonPlace& step) { normalize(step); });
    }
    const auto pre_tokenizer = document.find("pre_tokenizer");
    if (!pre_tokenizer)
      throw std::invalid_argument("pre_tokenizer is missing; only byte-level tokenizers are supported");
    for_each_step(*pre_tokenizer, "pretokenizers", [&](const JsonPlace& step) { cut(step); });
    if (!is_bytes_) pre_tokenizer->refuse("its last step is not ByteLevel; only byte-level tokenizers are supported");
    return std::move(result_);
  }

 private:
  void normalize(const JsonPlace& step) {
    const std::string& type = step.at("type").string();
    if (type != "NFC") step.at("type").refuse(fmt::format("the normalizer {} is not supported; known: NFC", type));
    result_.nfc = true;
    if (!result_.rules.starts_with("NFC;")) result_.rules = "NFC;";
  }

  void cut(const JsonPlace& place) {
    const std::string& type = place.at("type").string();
    if (is_bytes_) place.refuse("a step after ByteLevel is not supported");
    if (type == "Split") {
      split(place);
    } else if (type == "Digits") {
      const bool single = place.boolean("individual_digits", false);
      SplitStep step;
      step.behavior = single ? SplitBehavior::kIsolated : SplitBehavior::kContiguous;
      add(place, step, "digits");
    } else if (type == "ByteLevel") {
      byte_level(place);
    } else {
      place.at("type").refuse(
          fmt::format("the pre-tokenizer {} is not supported; known: Sequence, Split, Digits, ByteLevel", type));
    }
  }

  void byte_level(const JsonPlace& place) {
    is_bytes_ = true;
    SplitStep step;
    step.prefix_space = place.boolean("add_prefix_space", true);
    step.whole = !place.boolean("use_regex", true);
    if (step.whole && !step.prefix_space) return;
    if (!step.whole) step.pattern = std::make_shared<Pattern>(kGpt2Pattern, Pattern::Syntax::kRegex);
    add(place, step, step.whole ? "whole" : std::string("regex ") + kGpt2Pattern);
  }

  void split(const JsonPlace& place) {
    SplitStep step;
    step.invert = place.boolean("invert", false);
    step.behavior = behavior(place.at("behavior"));
    const JsonPlace pattern = place.at("pattern");
    const bool literal = pattern.find("String").has_value();
    const JsonPlace source = pattern.at(literal ? "String" : "Regex");
    if (pattern.value().size() != 1) pattern.refuse("expected either \"String\" or \"Regex\"");
    try {
      step.pattern =
          std::make_shared<Pattern>(source.string(), literal ? Pattern::Syntax::kLiteral : Pattern::Syntax::kRegex);
    } catch (const std::invalid_argument& error) {
      source.refuse(error.what());
    }
    add(place, step, (literal ? "string " : "regex ") + source.string());
  }

  SplitBehavior behavior(const JsonPlace& place) {
    static const std::pair<const char*, SplitBehavior> kNames[] = {
        {"Removed", SplitBehavior::kRemoved},
        {"Isolated", SplitBehavior::kIsolated},
        {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
        {"MergedWithNext", SplitBehavior::kMergedWithNext},
        {"Contiguous", SplitBehavior::kContiguous}};
    for (const auto& [name, value] : kNames) {
      if (place.string() == name) return value;
    }
    place.refuse(fmt::format("the behavior {} is not supported", place.string()));
  }

  void add(const JsonPlace& place, const SplitStep& step, const std::string& source) {
    if (result_.steps.size() == kMaxSteps) place.refuse(fmt::format("there are more than {} steps", kMaxSteps));
    result_.steps.push_back(step);
    result_.rules += fmt::format("{}:{} {} {:d}{:d};", source.size(), source, static_cast<int>(step.behavior),
                                 step.invert, step.prefix_space);
  }

  Preparation result_;
  bool is_bytes_ = false;
};

}  // namespace

Preparation read_preparation(const JsonPlace& document) {
  return Reader().run(document);
}

}  // namespace terse::data
