// Prompts are rendered as the contents of their messages, one after the other.
#include "rl/tasks/tokenized_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/errors.h"

namespace terse::rl {

namespace {

std::shared_ptr<const data::Tokenizer> choose(const std::shared_ptr<const Task>& task,
                                              std::shared_ptr<const data::Tokenizer> given) {
  if (!given && task->tokenizer() != nullptr) given = {task, task->tokenizer()};  // shares the ownership of the task
  if (!given) throw std::invalid_argument(fmt::format("task {} has no tokenizer of its own", task->name()));
  if (given->eos() < 0) {
    throw std::invalid_argument(fmt::format("the tokenizer {} has no end token, so a response to task {} could not end",
                                            given->id(), task->name()));
  }
  return given;
}

std::string text_of(const std::vector<Message>& messages) {
  std::string text;
  for (const Message& message : messages) text += message.content;
  return text;
}

std::vector<int32_t> encode_text(const data::Tokenizer& tokenizer, const std::string& text, const Task& task,
                                 const Item& item, const char* what) {
  try {
    return tokenizer.encode(text);
  } catch (const data::EncodeError& error) {
    throw DataError(
        fmt::format("task {}, item {}: its {} cannot be encoded: {}", task.name(), item.index, what, error.what()));
  }
}

// A response that was cut at the token limit is wrong, even where its verifier overlooks that.
Verdict judge(const Task& task, const Item& item, const Response& response) {
  Verdict out = task.verify(item, response);
  if (!response.finished) out.correct = false, out.score = 0;
  return out;
}

}  // namespace

TokenizedTask::TokenizedTask(std::unique_ptr<const Task> task, std::shared_ptr<const data::Tokenizer> tokenizer,
                             int64_t seed, const std::optional<VerifierOptions>& verifier, ResponseFormat format)
    : task_(std::move(task)), tokenizer_(choose(task_, std::move(tokenizer))), seed_(seed), format_(std::move(format)) {
  for (const Task::Part& part : task_->parts()) {
    // A pool holds the task, because a verification that hangs may outlive this object.
    pools_.try_emplace(
        part.name, [task = task_](const Item& item, const Response& response) { return judge(*task, item, response); },
        verifier.value_or(part.task->verifier_options()));
  }
}

Problem TokenizedTask::encode(int64_t index, Item item) const {
  Problem problem;
  problem.index = index;
  problem.difficulty = item.difficulty;
  problem.task = item.task;
  problem.prompt = encode_text(*tokenizer_, text_of(item.prompt), *task_, item, "prompt");
  problem.item = std::make_shared<const Item>(std::move(item));
  return problem;
}

Problem TokenizedTask::problem(Split split, int64_t index) const {
  const std::optional<int64_t> size = task_->size(split);
  if (!size || split == Split::kEval) return encode(index, task_->item(split, index));
  return encode(index, task_->item(split, item_in_epoch(index, *size, seed_)));
}

Problem TokenizedTask::problem(Split split, int64_t index, const Difficulty& difficulty) const {
  Item item = task_->item(split, index, difficulty);
  const int64_t own = item.index;
  return encode(own, std::move(item));
}

std::vector<Problem> TokenizedTask::evaluation_problems(int64_t per_difficulty) const {
  std::vector<Problem> problems;
  for (Item& item : task_->evaluation_items(per_difficulty)) {
    const int64_t index = item.index;
    problems.push_back(encode(index, std::move(item)));
  }
  return problems;
}

std::vector<std::string> TokenizedTask::forms() const {
  const Demonstrations* shown = task_->demonstrations();
  return shown != nullptr ? shown->forms() : std::vector<std::string>();
}

std::vector<double> TokenizedTask::form_shares() const {
  const Demonstrations* shown = task_->demonstrations();
  return shown != nullptr ? shown->form_shares() : std::vector<double>();
}

std::vector<double> TokenizedTask::form_shares(const Problem& problem) const {
  const Demonstrations* shown = task_->demonstrations();
  return shown != nullptr ? shown->form_shares(*problem.item) : std::vector<double>();
}

bool TokenizedTask::can_be_thinned() const {
  return task_->demonstrations() != nullptr && task_->demonstrations()->can_be_thinned();
}

std::vector<int32_t> TokenizedTask::trace(const Problem& problem, std::string_view form) const {
  return trace(*task_, *problem.item, form);
}

std::vector<int32_t> TokenizedTask::trace(const Task& task, const Item& item, std::string_view form) const {
  const Demonstrations* shown = task.demonstrations();
  if (shown == nullptr) throw std::invalid_argument(fmt::format("task {} demonstrates no solutions", task.name()));
  std::vector<int32_t> tokens = encode_text(*tokenizer_, shown->solution(item, form), task, item, "solution");
  tokens.push_back(tokenizer_->eos());
  return tokens;
}

int64_t TokenizedTask::max_prompt_tokens() const {
  if (const auto limits = task_->token_limits()) return limits->prompt;
  if (max_prompt_) return *max_prompt_;
  int64_t longest = 0;
  for (const Task::Part& part : task_->parts()) {
    for (const Split split : {Split::kTrain, Split::kEval}) {
      for (int64_t i = 0; i < part.task->size(split).value_or(0); ++i) {
        const Item item = part.task->item(split, i);
        const int64_t tokens = std::ssize(encode_text(*tokenizer_, text_of(item.prompt), *part.task, item, "prompt"));
        longest = std::max(longest, tokens);
      }
    }
  }
  max_prompt_ = longest;
  return longest;
}

int64_t TokenizedTask::max_trace_tokens(std::string_view form) const {
  const Demonstrations* shown = task_->demonstrations();
  if (shown == nullptr) throw std::invalid_argument(fmt::format("task {} demonstrates no solutions", name()));
  if (const auto known = shown->max_solution_tokens(form)) return *known;
  bool is_known = false;
  int64_t longest = 0;
  for (const Task::Part& part : task_->parts()) {
    const std::vector<std::string> own = part.task->demonstrations()->forms();
    if (std::find(own.begin(), own.end(), form) == own.end()) continue;
    is_known = true;
    for (int64_t i = 0; i < part.task->size(Split::kTrain).value_or(0); ++i)
      longest = std::max(longest, std::ssize(trace(*part.task, part.task->item(Split::kTrain, i), form)));
  }
  if (!is_known) throw std::invalid_argument(fmt::format("task {} has no form '{}'", name(), form));
  return longest;
}

std::optional<int64_t> TokenizedTask::max_response_tokens() const {
  const auto limits = task_->token_limits();
  return limits ? std::optional(limits->response) : std::nullopt;
}

std::future<Verdict> TokenizedTask::submit(const Problem& problem, const std::vector<int32_t>& response) const {
  const auto end = std::find(response.begin(), response.end(), tokenizer_->eos());
  const bool finished = !response.empty() && end == response.end() - 1;
  const std::vector<int32_t> body(response.begin(), finished ? end : response.end());
  try {
    Response read{tokenizer_->decode(body), finished};
    const std::optional<std::string_view> answer = format_.answer_of(read.text);
    read.answer_begin = answer ? static_cast<size_t>(answer->data() - read.text.data()) : std::string::npos;
    const auto pool = pools_.find(problem.item->task);
    return (pool != pools_.end() ? pool : pools_.begin())->second.submit(problem.item, std::move(read));
  } catch (const std::out_of_range&) {  // a token id outside the vocabulary is no text, so it answers nothing
    std::promise<Verdict> wrong;
    wrong.set_value(verdict(false, forms().empty() ? std::string() : std::string(kFormOther)));
    return wrong.get_future();
  }
}

std::unique_ptr<TokenizedTask> open_task(const configs::Task& config, int64_t seed,
                                         std::shared_ptr<const data::Tokenizer> tokenizer) {
  return std::make_unique<TokenizedTask>(make_task(config, seed), std::move(tokenizer), seed);
}

}  // namespace terse::rl
