// A task asks questions as text and judges the answers. It may show solutions (Demonstrations) and declare options of
// its own (TaskDeclaration), but need not. A new task is a header, a source file and one line in the table of task.cpp;
// CONTRIBUTING.md lists the steps. tests/rl/tasks/task_conformance_test.cpp then tests it.
//
// RL itself works on tokens: rl/tasks/tokenized_task.h turns items into token ids and responses back into text.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "configs/task_catalog.h"
#include "data/tokenizers/tokenizer.h"
#include "rl/types.h"

namespace terse::rl {

enum class Split { kTrain, kEval };  // the two share neither a random stream nor an item

// Verdict::form of responses that follow no demonstrated form.
inline constexpr std::string_view kFormSkip = "skip";  // a correct part of a taught form's steps: invented, not taught
inline constexpr std::string_view kFormOther = "other";  // anything else, nonsense included

// One message of a prompt. `role` is "system", "user" or "assistant".
struct Message {
  std::string role, content;
};

// One question of a task.
struct Item {
  int64_t index = 0;  // in its split
  std::vector<Message> prompt = {};
  std::string plain_separator = {};  // stands between prompt and response where no chat template does
  std::string answer = {};           // the reference answer
  // The task's own scale, 0 or more; metrics and controllers work per difficulty. kNoDifficulty where there is no
  // scale: an evaluation then takes eval.problems_per_difficulty problems in all.
  int64_t difficulty = kNoDifficulty;
  std::string meta = {};  // task-private, e.g. the operations; enough to verify and to render solutions
  std::string task = {};  // the task of a mixture that made the item; empty: there is no mixture
};

// The model's answer. `text` lacks the end token.
struct Response {
  std::string text;
  bool finished = true;  // the model ended the response itself; false: it was cut at the token limit
  // Where the answer begins, after the thinking (rl/tasks/response_format.h); npos: there is no answer.
  size_t answer_begin = 0;

  std::optional<std::string_view> answer() const {
    return answer_begin > text.size() ? std::nullopt : std::optional(std::string_view(text).substr(answer_begin));
  }
};

struct Verdict {
  VerifyStatus status = VerifyStatus::kOk;
  bool correct = false;  // raw outcome, for accuracy and controllers
  // The reward of a correct response before penalties, finite and not below 0; usually 1. A wrong response earns
  // nothing, whatever its score is: only its parts are seen, as metrics.
  double score = 0;
  std::map<std::string, double> parts = {};  // named parts of the score, for metrics
  std::string form = {};  // demonstrated form that the response follows, kFormSkip or kFormOther; empty: not classified
};

inline Verdict verdict(bool correct, std::string form = {}) {
  return {.correct = correct, .score = correct ? 1.0 : 0.0, .form = std::move(form)};
}

// Solutions in one or several forms (styles of reasoning), for supervised fine-tuning.
class Demonstrations {
 public:
  virtual ~Demonstrations() = default;
  virtual std::vector<std::string> forms() const = 0;   // from verbose to direct, never empty
  virtual std::vector<double> form_shares() const = 0;  // in fine-tuning, parallel to forms(), sum 1
  // The same for one item, where not every form suits every item.
  virtual std::vector<double> form_shares(const Item&) const { return form_shares(); }
  // A correct response in the given form, without the end token, that ends with the item's answer. Throws
  // std::invalid_argument on an unknown form.
  virtual std::string solution(const Item& item, std::string_view form) const = 0;
  // Tokens of the longest solution in a form, the end token included, where the task knows it and brings its own
  // tokenizer. Throws std::invalid_argument on an unknown form.
  virtual std::optional<int64_t> max_solution_tokens(std::string_view form) const = 0;
  // True: each solution is thinking tokens, one token that ends the thinking, the answer. Any thinking token can be
  // left out without making the solution wrong. The adaptive penalty needs this.
  virtual bool can_be_thinned() const { return false; }
};

struct VerifierOptions {
  int64_t threads = 4;
  double deadline = 30;  // seconds for one response, from the moment that a thread begins it
};

// Immutable after construction: any number of threads may use one.
class Task {
 public:
  virtual ~Task() = default;
  virtual std::string name() const = 0;
  // The task's own tokenizer, for tasks in a language of their own; null: any tokenizer of the run.
  virtual const data::Tokenizer* tokenizer() const { return nullptr; }
  // Number of items of a split; empty: endless. A finite split is repeated in epochs, each in another order.
  virtual std::optional<int64_t> size(Split) const { return std::nullopt; }
  // Pure function of (run seed, split, index): every worker makes the same item. Throws std::invalid_argument when
  // index is negative or beyond the size.
  virtual Item item(Split split, int64_t index) const = 0;
  virtual const Demonstrations* demonstrations() const { return nullptr; }
  // Judges a response. Slow or failing verifiers are welcome: it runs in a pool with a deadline
  // (rl/tasks/verifier_pool.h). An exception means that nothing is known about the response (VerifyStatus::kError), and
  // so does an item that this task did not make. The verdict is strict: a solution with any other answer is wrong. A
  // response that is not finished counts as wrong in any case.
  virtual Verdict verify(const Item& item, const Response& response) const = 0;
  // How its responses are judged: what suits verify(). In a mixture, each task has threads of its own for that.
  virtual VerifierOptions verifier_options() const { return {}; }
  // Where messages of the task go that arise while it works, from any thread; empty: to standard error.
  virtual void report_to(const std::function<void(const std::string&)>&) const {}

  // Endless tasks only: all labels that items have, ascending; item() draws them uniformly.
  virtual std::vector<Difficulty> difficulties() const { return {}; }
  // The item of this index and difficulty. Equal difficulties give equal items. Throws std::invalid_argument when the
  // difficulty is not one of difficulties().
  virtual Item item(Split split, int64_t index, const Difficulty& difficulty) const;
  // The items of an evaluation: the first `per_difficulty` of each difficulty. Those of a finite split come in order of
  // index.
  virtual std::vector<Item> evaluation_items(int64_t per_difficulty) const;

  // The tasks of a mixture, each with its name; other tasks are their own only part, without a name.
  struct Part {
    std::string name;
    const Task* task;
  };
  virtual std::vector<Part> parts() const { return {{"", this}}; }

  // Tokens of the longest prompt and of a response, at least the longest solution. Known only where the task brings its
  // own tokenizer.
  struct TokenLimits {
    int64_t prompt = 0, response = 0;
  };
  virtual std::optional<TokenLimits> token_limits() const { return std::nullopt; }
};

// Declares the options that a task adds to the section `task` of a configuration.
struct TaskDeclaration {
  std::vector<configs::TaskOption> options = {};  // no two tasks declare the same name
  std::vector<std::string> forms = {};            // those that task.forms can weigh: of its Demonstrations
  // Appends the violations of the rules that tie several options together, each with the keys that clash.
  void (*check)(const configs::Task&, std::vector<configs::Violation>&) = nullptr;
};

// The defaults of every configuration, with the declarations of all tasks. Pass it to configs::load().
const configs::RunConfig& default_config();

std::vector<std::string> task_names();
std::vector<std::string> tasks_with_tokenizer();  // those that bring their own
// Whether the task of a config, or one of its mixture, runs a program of the user. Nothing does so for a config that
// the user has not written: a checkpoint's, for example.
bool runs_a_program(const configs::Task& config);
// Throws std::invalid_argument naming the known tasks, or what the task finds wrong with the config; ConfigError,
// DataError or DiskError when a file of the task is missing or damaged.
std::unique_ptr<Task> make_task(const configs::Task& config, int64_t seed);

}  // namespace terse::rl
