// Items are requested many at a time, so that all programs work while the task is made.
#include "rl/tasks/external/external.h"

#include <fmt/format.h>

#include <deque>
#include <set>

#include "base/errors.h"
#include "rl/tasks/external/process_pool.h"
#include "rl/tasks/external/protocol.h"
#include "rl/tasks/messages.h"
#include "trainer/metrics/console.h"

namespace terse::rl {

namespace {

constexpr size_t kItemsAhead = 256;                 // requested while earlier ones are read
constexpr size_t kMostItemBytes = size_t{2} << 30;  // of all items
constexpr int64_t kMostMessages = 20;               // of the programs, in kMessageWindow
constexpr auto kMessageWindow = std::chrono::seconds(10);
constexpr double kStartDeadline = 120;  // seconds
constexpr double kSpareSeconds = 60;    // for a request to be sent to a second program

void print_to_console(const std::string& message) {
  trainer::Console().print("warning: " + message);
}

size_t bytes_of(const Item& item) {
  size_t bytes = item.answer.size() + item.meta.size();
  for (const Message& message : item.prompt) bytes += message.content.size();
  return bytes;
}

class External final : public Task, public Demonstrations {
 public:
  External(const configs::Task& config, int64_t seed)
      : deadline_(config.options.get<double>("deadline")), workers_(config.options.get<int64_t>("workers")) {
    const auto& command = config.options.get<std::vector<std::string>>("command");
    if (command.empty() || command[0].empty()) {
      throw ConfigError(
          "task.command is empty, but task external runs a program that serves problems and judges responses; name it "
          "and its arguments, for example task.command=[python3,my_task.py]");
    }
    pool_ = std::make_unique<ProcessPool>(
        ProcessPoolOptions{.command = command,
                           .workers = workers_,
                           .deadline = deadline_,
                           .start_deadline = kStartDeadline,
                           .greeting = greeting_of(seed)},
        [this](const nlohmann::json& reply, int64_t& concurrency) { return greet(reply, concurrency); }, messages_);
    if (const std::string failure = pool_->wait_for_greeting(); !failure.empty()) throw MachineError(failure);
    eval_ = read_items(Split::kEval);
    train_ = read_items(Split::kTrain);
    leave_out_evaluated();
  }

  std::string name() const override { return "external"; }
  std::optional<int64_t> size(Split split) const override { return std::ssize(items(split)); }
  const Demonstrations* demonstrations() const override { return greeting_->demonstrations ? this : nullptr; }
  std::vector<std::string> forms() const override { return {"solution"}; }
  std::vector<double> form_shares() const override { return {1}; }
  std::optional<int64_t> max_solution_tokens(std::string_view form) const override {
    require_form(form);
    return std::nullopt;
  }
  std::string solution(const Item& item, std::string_view form) const override {
    require_form(form);
    return solution_of(item);
  }

  // An item is asked for at every step, so the end of the pool ends the run here.
  Item item(Split split, int64_t index) const override {
    if (const std::string failure = pool_->failure(); !failure.empty()) throw MachineError(failure);
    if (index < 0 || index >= std::ssize(items(split))) {
      throw std::invalid_argument(
          fmt::format("external: no problem {}; expected 0 to {}", index, items(split).size() - 1));
    }
    return items(split)[static_cast<size_t>(index)];
  }

  Verdict verify(const Item& item, const Response& response) const override {
    std::string error;
    try {
      const ProcessPool::Reply reply = pool_->submit(judge_request(item, response)).get();
      if (reply.status != VerifyStatus::kOk) return {.status = reply.status};
      Verdict out = read_verdict(reply.body, error);
      if (!error.empty()) messages_->send("external task: a response could not be judged: " + error);
      return out;
    } catch (const ProtocolError& wrong) {
      messages_->send(fmt::format("external task: a response could not be judged: {}", wrong.what()));
      return {.status = VerifyStatus::kError};
    }
  }

  // As many threads as requests can be under way. The pool of programs watches the deadlines; a thread that waits for
  // it is not given up before its second program has had its time.
  VerifierOptions verifier_options() const override {
    return {.threads = workers_ * greeting_->concurrency, .deadline = 2 * (deadline_ + kStartDeadline) + kSpareSeconds};
  }

  void report_to(const std::function<void(const std::string&)>& sink) const override {
    messages_->redirect(sink ? sink : print_to_console);
  }

 private:
  const std::vector<Item>& items(Split split) const { return split == Split::kTrain ? train_ : eval_; }

  static void require_form(std::string_view form) {
    if (form == "solution") return;
    throw std::invalid_argument(fmt::format("external: unknown form '{}'; known: solution", form));
  }

  // All programs must say the same, or they would disagree about what item 5 is.
  std::string greet(const nlohmann::json& reply, int64_t& concurrency) {
    try {
      const ExternalGreeting greeting = read_greeting(reply);
      concurrency = greeting.concurrency;
      if (!greeting_) greeting_ = greeting;
      return greeting == *greeting_ ? "" : "it differs from that of another start of the program";
    } catch (const ProtocolError& error) {
      return error.what();
    }
  }

  std::vector<Item> read_items(Split split) {
    const int64_t count = split == Split::kTrain ? greeting_->train : greeting_->eval;
    std::deque<std::future<ProcessPool::Reply>> ahead;
    std::vector<Item> items;
    for (int64_t asked = 0; std::ssize(items) < count;) {
      for (; asked < count && ahead.size() < kItemsAhead; ++asked)
        ahead.push_back(pool_->submit(item_request(split, asked)));
      const int64_t index = std::ssize(items);
      const ProcessPool::Reply reply = ahead.front().get();
      ahead.pop_front();
      const auto place = [&] {
        return fmt::format("external task '{}', item {} of {}", greeting_->task, index,
                           split == Split::kTrain ? "train" : "eval");
      };
      if (reply.status != VerifyStatus::kOk) throw MachineError(fmt::format("{}: {}", place(), reply.problem));
      try {
        items.push_back(read_item(reply.body, split, index, *greeting_));
      } catch (const ProtocolError& error) {
        throw DataError(fmt::format("{}: {}", place(), error.what()));
      }
      item_bytes_ += bytes_of(items.back());
      if (item_bytes_ > kMostItemBytes) throw DataError(fmt::format("{}: its items have more than 2 GiB", place()));
    }
    return items;
  }

  void leave_out_evaluated() {
    std::set<std::string> evaluated;
    for (const Item& item : eval_) evaluated.insert(text_of_prompt(item.prompt));
    const size_t left_out =
        std::erase_if(train_, [&](const Item& item) { return evaluated.count(text_of_prompt(item.prompt)) > 0; });
    if (train_.empty()) {
      throw DataError(
          fmt::format("external task '{}': every item to train on is also one to evaluate on", greeting_->task));
    }
    if (left_out > 0) {
      messages_->send(
          fmt::format("external task '{}': {} items to train on are left out, because they are also items "
                      "to evaluate on",
                      greeting_->task, left_out));
    }
    for (size_t i = 0; i < train_.size(); ++i) train_[i].index = static_cast<int64_t>(i);
  }

  double deadline_;
  int64_t workers_;
  std::shared_ptr<MessageLimiter> messages_ =
      std::make_shared<MessageLimiter>(print_to_console, kMostMessages, kMessageWindow);
  std::optional<ExternalGreeting> greeting_;
  size_t item_bytes_ = 0;
  std::vector<Item> train_, eval_;
  std::unique_ptr<ProcessPool> pool_;  // the last member: its thread uses the others
};

}  // namespace

TaskDeclaration declare_external() {
  return {.options = {{"command", std::vector<std::string>(),
                       "external: the program that serves problems and judges responses, and its arguments"},
                      {"workers", int64_t{2}, "external: how many of these programs run at once, for each rank",
                       configs::cosmetic(configs::between(1, 256))},
                      {"deadline", 30.0, "external: seconds within which the program judges a response",
                       configs::cosmetic(configs::above_up_to(0, 86400))}}};
}

std::unique_ptr<Task> make_external(const configs::Task& config, int64_t seed) {
  return std::make_unique<External>(config, seed);
}

}  // namespace terse::rl
