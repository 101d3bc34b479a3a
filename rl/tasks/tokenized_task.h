// A task in the tokens of a model: its prompts and demonstrations as token ids, and responses judged from token ids.
// RL, fine-tuning and evaluation see a task only through this class.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/chat/chat_format.h"
#include "rl/tasks/index_space.h"
#include "rl/tasks/response_format.h"
#include "rl/tasks/task.h"
#include "rl/tasks/verifier_pool.h"

namespace terse::rl {

class TokenizedTask {
 public:
  // `chat` is the format of the run, with its tokenizer; null: the task's own tokenizer, and no chat template. It also
  // says where the answer of a response begins. `seed` orders the epochs of a finite split. `verifier`: empty: what
  // suits the task; each task of a mixture has threads of its own. Throws std::invalid_argument when there is no
  // tokenizer, or it has no end token.
  TokenizedTask(std::unique_ptr<const Task> task, std::shared_ptr<const data::ChatFormat> chat, int64_t seed,
                const std::optional<VerifierOptions>& verifier = {});

  const Task& text() const { return *task_; }
  std::string name() const { return task_->name(); }
  const data::Tokenizer& tokenizer() const { return chat_->tokenizer(); }
  std::shared_ptr<const data::ChatFormat> chat() const { return chat_; }
  std::vector<Difficulty> difficulties() const { return task_->difficulties(); }
  std::optional<int64_t> size(Split split) const { return task_->size(split); }

  // A training index is one of an index space. In a finite split, the n-th index of a space is an item of epoch n /
  // size, in that epoch's order. An evaluation index is that of the item. Throws what Task::item throws,
  // std::out_of_range for an index outside all spaces, and DataError naming the item when the tokenizer cannot encode
  // its prompt.
  Problem problem(Split split, int64_t index) const;
  Problem problem(Split split, int64_t index, const Difficulty& difficulty) const;
  // The problems of an evaluation: Task::evaluation_items().
  std::vector<Problem> evaluation_problems(int64_t per_difficulty) const;

  // The forms of the demonstrations; none where the task demonstrates nothing.
  std::vector<std::string> forms() const;
  std::vector<double> form_shares() const;
  std::vector<double> form_shares(const Problem& problem) const;
  bool can_be_thinned() const;
  // A correct response in the given form, with the end token. Throws std::invalid_argument on an unknown form.
  std::vector<int32_t> trace(const Problem& problem, std::string_view form) const;

  // Lengths in tokens. Where the task does not know them, all items of a finite split are encoded, once.
  int64_t max_prompt_tokens() const;
  int64_t max_trace_tokens(std::string_view form) const;
  // Longest response that generation needs; empty where the task does not know.
  std::optional<int64_t> max_response_tokens() const;

  // Judges a response in the verifier's pool. It is finished when its last token, and no other, is an end token.
  std::future<Verdict> submit(const Problem& problem, const std::vector<int32_t>& response) const;
  Verdict verify(const Problem& problem, const std::vector<int32_t>& response) const {
    return submit(problem, response).get();
  }

 private:
  Problem encode(int64_t index, Item item) const;
  std::vector<int32_t> encode_prompt(const Task& task, const Item& item) const;
  std::vector<int32_t> trace(const Task& task, const Item& item, std::string_view form) const;

  std::shared_ptr<const Task> task_;
  std::shared_ptr<const data::ChatFormat> chat_;
  int64_t seed_;
  ResponseFormat format_;
  mutable std::map<std::string, VerifierPool> pools_;  // by the name of the part
  mutable std::optional<int64_t> max_prompt_;
};

// Makes a task in the format of a run; null: with the task's own tokenizer. Throws what make_task and the constructor
// throw.
std::unique_ptr<TokenizedTask> open_task(const configs::Task& config, int64_t seed,
                                         std::shared_ptr<const data::ChatFormat> chat = nullptr);

}  // namespace terse::rl
