// A task makes problems, renders supervised traces for them, and verifies responses. A new task needs one file and one
// line in the table of task.cpp; tests/rl/tasks/task_conformance_test.cpp then tests it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "configs/run_config.h"
#include "data/tokenizers/tokenizer.h"
#include "rl/types.h"

namespace terse::rl {

enum class Split { kTrain, kEval };  // the two share neither a random stream nor a problem

// Verdict::form of responses that follow no taught form.
inline constexpr std::string_view kFormSkip = "skip";  // a correct part of a taught form's steps: invented, not taught
inline constexpr std::string_view kFormOther = "other";  // anything else, nonsense included

struct Verdict {
  VerifyStatus status = VerifyStatus::kOk;
  bool correct = false;
  std::string form;  // one of forms(), kFormSkip (if the task defines it) or kFormOther
};

// Immutable after construction: any number of threads may use one.
class Task {
 public:
  virtual ~Task() = default;
  virtual std::string name() const = 0;
  virtual const data::Tokenizer& tokenizer() const = 0;
  virtual std::vector<int64_t> difficulties() const = 0;  // ascending, never empty
  virtual std::vector<std::string> forms() const = 0;     // the taught ones, from verbose to direct
  virtual std::vector<double> form_shares() const = 0;    // in supervised fine-tuning, parallel to forms(), sum 1
  virtual int64_t max_response_tokens() const = 0;        // at least the longest trace; generation is cut here
  virtual int64_t max_prompt_tokens() const = 0;          // the longest prompt

  // Tokens of the longest trace in a form. Throws std::invalid_argument on an unknown form.
  virtual int64_t max_trace_tokens(std::string_view form) const = 0;

  // Pure functions of (run seed, split, index): every worker makes the same problem. The first draws the difficulty
  // uniformly, and the second takes it as an argument. Equal difficulties give equal problems. Throw
  // std::invalid_argument when index is negative or the difficulty is not one of difficulties().
  virtual Problem problem(Split split, int64_t index) const = 0;
  virtual Problem problem(Split split, int64_t index, int64_t difficulty) const = 0;
  // A correct response in the given form: thinking tokens, one token that ends the thinking, problem.answer, the
  // tokenizer's eos. Any thinking token can be left out without making it wrong. Throws std::invalid_argument on an
  // unknown form.
  virtual std::vector<int32_t> trace(const Problem& problem, std::string_view form) const = 0;
  // Never throws on any token sequence. A problem that this task did not make gives kError.
  virtual Verdict verify(const Problem& problem, const std::vector<int32_t>& response) const = 0;
};

std::vector<std::string> task_names();
// Throws std::invalid_argument naming the known tasks, or what the task finds wrong with the config.
std::unique_ptr<Task> make_task(const configs::Task& config, int64_t seed);

}  // namespace terse::rl
