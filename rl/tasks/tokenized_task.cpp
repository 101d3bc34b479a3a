// Prompts are rendered by the chat format of the run.
#include "rl/tasks/tokenized_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/errors.h"

namespace terse::rl {

namespace {

std::shared_ptr<const data::ChatFormat> choose(const std::shared_ptr<const Task>& task,
                                               std::shared_ptr<const data::ChatFormat> given) {
  if (!given && task->tokenizer() != nullptr) {
    // The pointer shares the ownership of the task.
    given = data::ChatFormat::plain(std::shared_ptr<const data::Tokenizer>(task, task->tokenizer()));
  }
  if (!given) throw std::invalid_argument(fmt::format("task {} has no tokenizer of its own", task->name()));
  if (given->tokenizer().eos() < 0) {
    throw std::invalid_argument(fmt::format("the tokenizer {} has no end token, so a response to task {} could not end",
                                            given->tokenizer().id(), task->name()));
  }
  return given;
}

ResponseFormat format_of(const data::ChatFormat& chat) {
  return {chat.thinking().open, chat.thinking().close, chat.prompt_opens_thinking()};
}

data::Conversation conversation_of(const Item& item, const data::ChatFormat& chat) {
  data::Conversation conversation;
  for (size_t i = 0; i < item.prompt.size(); ++i) {
    const Message& message = item.prompt[i];
    const bool separates = i + 1 == item.prompt.size() && !chat.has_template();
    conversation.push_back(
        {message.role,
         {{"role", message.role}, {"content", separates ? message.content + item.plain_separator : message.content}}});
  }
  return conversation;
}

// A response that was cut at the token limit is wrong, even where its verifier overlooks that.
Verdict judge(const Task& task, const Item& item, const Response& response) {
  Verdict out = task.verify(item, response);
  if (!response.finished) out.correct = false, out.score = 0;
  return out;
}

}  // namespace

TokenizedTask::TokenizedTask(std::unique_ptr<const Task> task, std::shared_ptr<const data::ChatFormat> chat,
                             int64_t seed, const std::optional<VerifierOptions>& verifier)
    : task_(std::move(task)), chat_(choose(task_, std::move(chat))), seed_(seed), format_(format_of(*chat_)) {
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
  problem.prompt = encode_prompt(*task_, item);
  problem.item = std::make_shared<const Item>(std::move(item));
  return problem;
}

std::vector<int32_t> TokenizedTask::encode_prompt(const Task& task, const Item& item) const {
  try {
    std::vector<int32_t> tokens = chat_->encode_prompt(conversation_of(item, *chat_));
    if (tokens.empty()) throw DataError("its prompt is empty, so there is nothing to answer");
    return tokens;
  } catch (const data::EncodeError& error) {
    throw DataError(
        fmt::format("task {}, item {}: its prompt cannot be encoded: {}", task.name(), item.index, error.what()));
  } catch (const DataError& error) {
    throw DataError(fmt::format("task {}, item {}: {}", task.name(), item.index, error.what()));
  }
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
  try {
    return chat_->encode_response(conversation_of(item, *chat_), shown->solution(item, form));
  } catch (const data::EncodeError& error) {
    throw DataError(
        fmt::format("task {}, item {}: its solution cannot be encoded: {}", task.name(), item.index, error.what()));
  }
}

int64_t TokenizedTask::max_prompt_tokens() const {
  if (const auto limits = task_->token_limits()) return limits->prompt;
  if (max_prompt_) return *max_prompt_;
  int64_t longest = 0;
  for (const Task::Part& part : task_->parts()) {
    for (const Split split : {Split::kTrain, Split::kEval}) {
      for (int64_t i = 0; i < part.task->size(split).value_or(0); ++i)
        longest = std::max(longest, std::ssize(encode_prompt(*part.task, part.task->item(split, i))));
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
  const std::vector<int32_t> ends = tokenizer().eos_ids();
  const auto end = std::find_first_of(response.begin(), response.end(), ends.begin(), ends.end());
  const bool finished = !response.empty() && end == response.end() - 1;
  const std::vector<int32_t> body(response.begin(), finished ? end : response.end());
  try {
    Response read{tokenizer().decode(body), finished};
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
                                         std::shared_ptr<const data::ChatFormat> chat) {
  return std::make_unique<TokenizedTask>(make_task(config, seed), std::move(chat), seed);
}

}  // namespace terse::rl
