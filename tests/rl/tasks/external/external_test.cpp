// Tests that a program which hangs, dies, floods or writes nonsense never becomes a score, that the task goes on after
// it, and that nothing of it is left when the task or terse has ended. double.py is the program.
#include "rl/tasks/external/external.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/errors.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "rl/tasks/external/process_pool.h"
#include "rl/tasks/external/protocol.h"
#include "rl/tasks/tokenized_task.h"
#include "tests/support/temporary_folder.h"

namespace terse::rl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Seconds. Far more than a reply takes that does come, even on a busy machine, and what a test of hanging waits.
constexpr double kPatient = 60, kShort = 2;

std::vector<std::string> double_command(const std::vector<std::string>& options) {
  std::vector<std::string> command = {"python3", "-S", TERSE_SOURCE_DIR "/tests/rl/tasks/external/double.py"};
  command.insert(command.end(), options.begin(), options.end());
  return command;
}

std::unique_ptr<Task> external(const std::vector<std::string>& command, double deadline = kPatient,
                               int64_t workers = 1) {
  configs::Task config = default_config().task;
  config.name = "external";
  config.options.set("command", command);
  config.options.set("deadline", deadline);
  config.options.set("workers", workers);
  return make_external(config, 7);
}

// A task whose responses are judged in many threads, as in training.
class Judged {
 public:
  explicit Judged(const std::vector<std::string>& options, double deadline = kPatient, int64_t workers = 2) {
    auto text = external(double_command(options), deadline, workers);
    text->report_to([this](const std::string& message) {
      const std::lock_guard lock(mutex_);
      messages_ += message + "\n";
    });
    task_ = std::make_unique<TokenizedTask>(std::move(text),
                                            data::ChatFormat::plain(std::make_shared<data::ByteTokenizer>()), 1);
  }
  std::future<Verdict> submit(const std::string& response) const {
    std::vector<int32_t> tokens = task_->tokenizer().encode(response);
    tokens.push_back(task_->tokenizer().eos());
    return task_->submit(task_->problem(Split::kEval, 0), tokens);
  }
  Verdict judge(const std::string& response) const { return submit(response).get(); }
  const TokenizedTask& task() const { return *task_; }
  std::string messages() {
    const std::lock_guard lock(mutex_);
    return messages_;
  }

 private:
  std::mutex mutex_;
  std::string messages_;
  std::unique_ptr<TokenizedTask> task_;
};

bool is_right(const Verdict& verdict) {
  return verdict.status == VerifyStatus::kOk && verdict.correct && verdict.score == 1;
}

bool is_no_score(const Verdict& verdict, VerifyStatus status) {
  return verdict.status == status && !verdict.correct && verdict.score == 0;
}

// The ids that double.py has noted, once there are `count`.
std::vector<pid_t> pids_in(const std::filesystem::path& file, size_t count) {
  std::vector<pid_t> pids;
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(kPatient);
  while (pids.size() < count && std::chrono::steady_clock::now() < until) {
    pids.clear();
    std::ifstream stream(file);
    for (pid_t pid; stream >> pid;) pids.push_back(pid);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(pids.size(), count);
  return pids;
}

// Whether a process runs. One that has ended and that nobody has waited for does not.
bool runs(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(stat, text)) return false;
  const size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text.substr(name_end + 2, 1) != "Z";
}

void expect_all_end(const std::vector<pid_t>& pids) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(kPatient);
  for (const pid_t pid : pids) {
    while (runs(pid) && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_FALSE(runs(pid)) << pid;
  }
}

TEST(External, ServesItemsAndJudgesResponses) {
  const auto task = external(double_command({"items=5"}));
  EXPECT_EQ(task->size(Split::kTrain), 5);
  EXPECT_EQ(task->size(Split::kEval), 5);
  const Item item = task->item(Split::kTrain, 2);
  EXPECT_EQ(item.index, 2);
  EXPECT_EQ(item.prompt[0].role, "user");
  EXPECT_EQ(item.prompt[0].content, "7 + 1 =");
  EXPECT_EQ(item.answer, "8");
  EXPECT_EQ(item.difficulty, kNoDifficulty);
  EXPECT_EQ(task->demonstrations(), nullptr);
  EXPECT_TRUE(is_right(task->verify(item, {"so #### 8", true})));
  const Verdict wrong = task->verify(item, {"#### 9", true});
  EXPECT_EQ(wrong.status, VerifyStatus::kOk);
  EXPECT_FALSE(wrong.correct);
  EXPECT_EQ(wrong.parts.at("length"), 6);
  EXPECT_THROW(task->item(Split::kEval, 5), std::invalid_argument);
}

TEST(External, JudgesManyResponsesInSeveralPrograms) {
  const Judged judged({"concurrency=4"}, kPatient, 3);
  std::vector<std::future<Verdict>> verdicts;
  for (int i = 0; i < 1000; ++i) verdicts.push_back(judged.submit(i % 3 == 0 ? "right" : "wrong" + std::to_string(i)));
  for (size_t i = 0; i < verdicts.size(); ++i) {
    const Verdict verdict = verdicts[i].get();
    ASSERT_EQ(verdict.status, VerifyStatus::kOk);
    ASSERT_EQ(verdict.correct, i % 3 == 0) << i;
  }
}

TEST(External, RepliesMayComeInAnyOrder) {
  const Judged judged({"concurrency=8", "reverse=4"}, kPatient, 1);
  std::vector<std::future<Verdict>> verdicts;
  for (int i = 0; i < 64; ++i) verdicts.push_back(judged.submit(i % 4 == 1 ? "right" : std::string(1 + i, 'x')));
  for (size_t i = 0; i < verdicts.size(); ++i) {
    const Verdict verdict = verdicts[i].get();
    ASSERT_EQ(verdict.correct, i % 4 == 1) << i;
    ASSERT_EQ(verdict.parts.at("length"), i % 4 == 1 ? 5 : static_cast<double>(i + 1)) << "another request's reply";
  }
}

TEST(External, WhatIsNoVerdictIsAnErrorAndNotAScore) {
  Judged judged({});
  for (const char* response : {"error", "die", "segfault", "garbage", "nan", "infinite", "negative", "text score",
                               "no verdict", "flood", "long line", "unknown id", "other id type", "close", "deep"}) {
    EXPECT_TRUE(is_no_score(judged.judge(response), VerifyStatus::kError)) << response;
    EXPECT_TRUE(is_right(judged.judge("right"))) << "after " << response;
  }
  EXPECT_THAT(judged.messages(), AllOf(HasSubstr("exited with code 3"), HasSubstr("signal 11"),
                                       HasSubstr("no such unit"), HasSubstr("no JSON object: 'this is no JSON'")));
}

TEST(External, ASecondReplyToARequestIsNotTheReplyToAnother) {
  const Judged judged({}, kPatient, 1);
  EXPECT_TRUE(is_right(judged.judge("twice"))) << "the first reply counts";
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(judged.judge("wrong").correct);
}

TEST(External, WhatDoesNotReplyTimesOut) {
  Judged judged({}, kShort);
  for (const char* response : {"hang", "half line"}) {
    EXPECT_TRUE(is_no_score(judged.judge(response), VerifyStatus::kTimeout)) << response;
    EXPECT_TRUE(is_right(judged.judge("right"))) << response;
  }
  EXPECT_THAT(judged.messages(), HasSubstr("did not reply to a request within 2 s"));
}

TEST(External, OthersAreJudgedWhileOneHangs) {
  const Judged judged({"concurrency=4"}, kShort, 2);
  std::vector<std::future<Verdict>> lost, good;
  for (int i = 0; i < 4; ++i) {
    lost.push_back(judged.submit(i % 2 == 0 ? "hang" : "die"));
    for (int j = 0; j < 5; ++j) good.push_back(judged.submit("right"));
  }
  for (size_t i = 0; i < lost.size(); ++i) {
    const Verdict verdict = lost[i].get();
    EXPECT_NE(verdict.status, VerifyStatus::kOk);
    EXPECT_FALSE(verdict.correct);
  }
  for (std::future<Verdict>& future : good) {
    const Verdict verdict = future.get();  // one that was with two programs that ended has no verdict
    EXPECT_TRUE(is_right(verdict) || verdict.status != VerifyStatus::kOk);
  }
  EXPECT_TRUE(is_right(judged.judge("right")));
}

TEST(External, AFloodOfMessagesIsCutAndHarmsNothing) {
  Judged judged({});
  EXPECT_TRUE(is_right(judged.judge("errors flood")));
  EXPECT_LT(judged.messages().size(), 5000u);
}

TEST(External, ResponsesOfAnyBytesAndLengthsAreJudged) {
  const auto task = external(double_command({}));
  const Item item = task->item(Split::kEval, 0);
  for (const std::string& text :
       {std::string("\xFF\xFE"), std::string("a\0b\n{\"id\": 1}\n", 14), std::string(1 << 22, 'x')}) {
    const Verdict verdict = task->verify(item, {text, true});
    EXPECT_EQ(verdict.status, VerifyStatus::kOk);
    EXPECT_FALSE(verdict.correct);
  }
  EXPECT_EQ(task->verify(item, {std::string(9 << 20, 'x'), true}).status, VerifyStatus::kError) << "beyond any line";
  EXPECT_TRUE(is_right(task->verify(item, {"right", true})));
  EXPECT_EQ(task->verify({.meta = "{}"}, {"right", true}).status, VerifyStatus::kError) << "a foreign item";
}

TEST(External, AProgramThatDiesAtOneStartIsStartedAgain) {
  const support::TemporaryFolder folder;
  const Judged judged({"once=" + (folder.path() / "once").string()}, kPatient, 1);
  EXPECT_TRUE(is_right(judged.judge("right")));
}

TEST(External, AProgramThatNeverStartsStopsTheRunWithItsLastWords) {
  const auto refused = [](const std::vector<std::string>& command, const auto& what) {
    EXPECT_THAT([&] { external(command); }, ThrowsMessage<MachineError>(what));
  };
  refused(double_command({"start=die"}), AllOf(HasSubstr("failed 5 times in a row to start"), HasSubstr("code 1"),
                                               HasSubstr("no module named 'rewards'"), HasSubstr("double.py")));
  refused(double_command({"start=garbage"}), HasSubstr("no JSON object: 'Welcome to my program!'"));
  refused(double_command({"start=close"}), HasSubstr("closed its standard output"));
  refused(double_command({"start=old"}), HasSubstr("\"protocol\" is 0"));
  refused({"/no/such/program"}, AllOf(HasSubstr("'/no/such/program' cannot be started"), HasSubstr("No such file")));
  refused({"/"}, HasSubstr("Permission denied"));
  refused({"true"}, HasSubstr("exited with code 0"));
  EXPECT_THAT([] { external({}); }, ThrowsMessage<ConfigError>(HasSubstr("task.command is empty")));
}

// The pool alone, so that limits need not take their time.
ProcessPoolOptions pool_options(const std::vector<std::string>& options) {
  return {.command = double_command(options),
          .workers = 1,
          .deadline = kPatient,
          .start_deadline = kPatient,
          .greeting = greeting_of(1)};
}
std::string accept_any(const nlohmann::json&, int64_t&) {
  return "";
}
std::shared_ptr<MessageLimiter> no_messages() {
  return std::make_shared<MessageLimiter>([](const std::string&) {}, 1, std::chrono::hours(1));
}
nlohmann::json judging(const std::string& response) {
  return {{"request", "judge"}, {"final", response}, {"answer", ""}, {"finished", true}};
}

TEST(ProcessPool, AProgramThatDoesNotGreetIsGivenUp) {
  ProcessPoolOptions options = pool_options({"start=hang"});
  options.start_deadline = 0.2;
  options.most_starts = 2;
  ProcessPool pool(options, accept_any, no_messages());
  EXPECT_THAT(pool.wait_for_greeting(), HasSubstr("did not greet within 0.2 s"));
  const ProcessPool::Reply reply = pool.submit(judging("right")).get();
  EXPECT_EQ(reply.status, VerifyStatus::kError);
  EXPECT_EQ(reply.problem, pool.failure());
}

TEST(ProcessPool, ManyLossesWithoutAReplyEndIt) {
  ProcessPoolOptions options = pool_options({});
  options.most_losses = 4;
  ProcessPool pool(options, accept_any, no_messages());
  ASSERT_EQ(pool.submit(judging("die")).get().status, VerifyStatus::kError);
  ASSERT_EQ(pool.submit(judging("right")).get().status, VerifyStatus::kOk);
  EXPECT_EQ(pool.failure(), "") << "a reply shows that the program works";
  ASSERT_EQ(pool.submit(judging("die")).get().status, VerifyStatus::kError);
  ASSERT_EQ(pool.submit(judging("die")).get().status, VerifyStatus::kError);
  EXPECT_THAT(pool.failure(), HasSubstr("ended 4 times in a row without a single reply"));
}

TEST(ProcessPool, EndsRequestsThatHaveNoReply) {
  std::vector<std::future<ProcessPool::Reply>> replies;
  {
    ProcessPool pool(pool_options({"stubborn=1"}), accept_any, no_messages());
    ASSERT_EQ(pool.submit(judging("right")).get().status, VerifyStatus::kOk);
    replies.push_back(pool.submit(judging("hang")));
    for (int i = 0; i < 10; ++i) replies.push_back(pool.submit(judging("right")));
  }
  for (std::future<ProcessPool::Reply>& reply : replies) EXPECT_EQ(reply.get().status, VerifyStatus::kError);
}

// Requests wait in the caller while too many bytes wait in the pool.
TEST(ProcessPool, HoldsABoundedAmountOfRequests) {
  ProcessPool pool(pool_options({}), accept_any, no_messages());
  std::vector<std::future<ProcessPool::Reply>> replies;
  for (int i = 0; i < 40; ++i) replies.push_back(pool.submit(judging(std::string(4 << 20, 'x'))));
  for (std::future<ProcessPool::Reply>& reply : replies) ASSERT_EQ(reply.get().status, VerifyStatus::kOk);
}

TEST(External, NothingIsLeftWhenTheTaskEnds) {
  const support::TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "pids";
  for (const char* manners : {"stubborn=0", "stubborn=1"}) {
    std::filesystem::remove(file);
    std::vector<pid_t> pids;
    {
      std::vector<std::string> options = {"pids=" + file.string()};
      if (std::string(manners) == "stubborn=1") options.emplace_back(manners);
      const Judged judged(options, kPatient, 2);
      EXPECT_TRUE(is_right(judged.judge("grandchild")));
      pids = pids_in(file, 3);
    }
    expect_all_end(pids);
  }
}

TEST(External, NothingIsLeftOfAProgramThatIsReplaced) {
  const support::TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "pids";
  const Judged judged({"pids=" + file.string(), "stubborn=1"}, kShort, 1);
  EXPECT_TRUE(is_right(judged.judge("grandchild")));
  const std::vector<pid_t> pids = pids_in(file, 2);
  EXPECT_EQ(judged.judge("hang").status, VerifyStatus::kTimeout);
  EXPECT_TRUE(is_right(judged.judge("right")));
  expect_all_end(pids);
}

// A process that holds a task is killed without a chance to clean up.
TEST(External, NothingIsLeftAfterTerseIsKilled) {
  const support::TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "pids";
  const pid_t host = ::fork();
  if (host == 0) {
    try {
      const Judged judged({"pids=" + file.string(), "stubborn=1"}, kPatient, 2);
      judged.judge("grandchild");
      judged.judge("hang");
    } catch (...) {
    }
    ::_exit(1);
  }
  ASSERT_GT(host, 0);
  const std::vector<pid_t> pids = pids_in(file, 3);
  for (const pid_t pid : pids) EXPECT_TRUE(runs(pid));
  ::kill(host, SIGKILL);
  int status = 0;
  EXPECT_EQ(::waitpid(host, &status, 0), host);
  EXPECT_TRUE(WIFSIGNALED(status)) << "it ended before it was killed";
  expect_all_end(pids);
}

TEST(External, ItemsToEvaluateOnAreNotTrainedOn) {
  EXPECT_THAT([] { external(double_command({"repeat=1"})); },
              ThrowsMessage<DataError>(HasSubstr("every item to train on is also one to evaluate on")));
}

TEST(ExternalProtocol, RefusesGreetingsAndItemsThatCannotBeUsed) {
  using nlohmann::json;
  const json good = {{"protocol", 1}, {"task", "t"}, {"train", 2}, {"eval", 1}};
  EXPECT_EQ(read_greeting(good).train, 2);
  const auto greeting = [&](const char* key, const json& value, const char* what) {
    json changed = good;
    changed[key] = value;
    EXPECT_THAT([&] { read_greeting(changed); }, ThrowsMessage<ProtocolError>(HasSubstr(what))) << changed;
  };
  greeting("protocol", 2, "\"protocol\" is 2; expected a whole number from 1 to 1");
  greeting("train", 0, "\"train\" is 0");
  greeting("train", 1e6, "\"train\" is 1000000.0");
  greeting("train", -1, "\"train\" is -1");
  greeting("eval", 18446744073709551615u, "\"eval\" is 18446744073709551615");
  greeting("task", nullptr, "\"task\" is null; expected a string");
  greeting("concurrency", 65, "from 1 to 64");
  greeting("demonstrations", 1, "expected true or false");
  greeting("sizes", 1, "unknown key \"sizes\"");
  EXPECT_THAT([] { read_greeting({{"protocol", 1}}); }, ThrowsMessage<ProtocolError>(HasSubstr("\"task\" is missing")));

  ExternalGreeting all;
  all.demonstrations = all.difficulty = true;
  const json item = {{"id", 1},         {"prompt", "p"},   {"answer", "a"},
                     {"difficulty", 3}, {"solution", "s"}, {"meta", {1, 2}}};
  const Item read = read_item(item, Split::kTrain, 5, all);
  EXPECT_EQ(read.difficulty, 3);
  EXPECT_EQ(solution_of(read), "s");
  const json request = judge_request(read, {"ab", true, 1});
  EXPECT_EQ(request, json({{"request", "judge"},
                           {"split", "train"},
                           {"index", 5},
                           {"prompt", {{{"role", "user"}, {"content", "p"}}}},
                           {"answer", "a"},
                           {"meta", {1, 2}},
                           {"thinking", "a"},
                           {"final", "b"},
                           {"finished", true}}));
  const json unanswered = judge_request(read, {"ab", true, std::string::npos});
  EXPECT_EQ(unanswered.at("thinking"), "ab");
  EXPECT_EQ(unanswered.at("final"), nullptr);
  const auto refused = [&](const char* key, const json& value, const char* what) {
    json changed = item;
    changed[key] = value;
    EXPECT_THAT([&] { read_item(changed, Split::kTrain, 5, all); }, ThrowsMessage<ProtocolError>(HasSubstr(what)));
  };
  refused("prompt", json::array(), "expected a string or a list of messages");
  refused("prompt", {{{"role", "tool"}, {"content", ""}}}, "a role is \"tool\"");
  refused("prompt", {{{"role", "user"}}}, "\"content\" is missing");
  refused("prompt", {{{"role", "user"}, {"content", "c"}, {"name", "n"}}}, "unknown key \"name\"");
  refused("difficulty", -1, "\"difficulty\" is -1");
  refused("solution", nullptr, "\"solution\" is null");
  refused("error", "out of items", "the program replied: out of items");
  refused("promt", "p", "unknown key \"promt\"");
}

TEST(ExternalProtocol, ReadsVerdictsStrictly) {
  using nlohmann::json;
  std::string error;
  const Verdict right = read_verdict({{"id", 1}, {"correct", true}, {"score", 0.5}, {"parts", {{"style", -1}}}}, error);
  EXPECT_TRUE(right.correct);
  EXPECT_EQ(right.score, 0.5);
  EXPECT_EQ(right.parts.at("style"), -1);
  const Verdict wrong = read_verdict({{"id", 1}, {"correct", false}, {"score", 0.9}}, error);
  EXPECT_FALSE(wrong.correct);
  EXPECT_EQ(wrong.score, 0) << "a wrong response earns nothing";
  for (const json& reply : std::vector<json>{{{"score", 1}},
                                             {{"correct", 1}},
                                             {{"correct", "true"}},
                                             {{"correct", true}, {"score", nullptr}},
                                             {{"correct", true}, {"parts", {{"a", "b"}}}},
                                             {{"correct", true}, {"parts", json::array({1})}},
                                             {{"correct", true}, {"parts", {{"", 1}}}},
                                             {{"correct", true}, {"scores", 1}},
                                             {{"error", 5}}})
    EXPECT_THROW(read_verdict(reply, error), ProtocolError) << reply;
}

TEST(MessageLimiter, TellsHowManyMessagesItHasLeftOut) {
  std::vector<std::string> sent;
  MessageLimiter limiter([&](const std::string& text) { sent.push_back(text); }, 2, std::chrono::seconds(10));
  const auto start = MessageLimiter::Clock::time_point() + std::chrono::hours(1);
  for (int i = 0; i < 5; ++i) limiter.send(std::to_string(i), start + std::chrono::seconds(i));
  limiter.send("later", start + std::chrono::seconds(10));
  EXPECT_THAT(sent, ::testing::ElementsAre("0", "1", "3 more messages were left out", "later"));
}

}  // namespace
}  // namespace terse::rl
