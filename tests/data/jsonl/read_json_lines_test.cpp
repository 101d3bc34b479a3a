// Tests what makes a line bad, and that the threads change nothing.
#include "data/jsonl/read_json_lines.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include "base/errors.h"
#include "data/tokenizers/tokenizer.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Read {
  std::vector<std::string> texts;
  std::vector<BadLine> bad;
  int64_t lines = 0;
};

Read read(const std::string& content) {
  const TemporaryFolder dir;
  Read result;
  BadLines bad("f");
  read_json_lines<std::string>(
      dir.write("f.jsonl", content), {}, document_text, [&](std::string text) { result.texts.push_back(text); }, bad);
  result.bad = bad.kept();
  result.lines = bad.lines();
  return result;
}

std::string reason(const std::string& line) {
  const Read result = read("{\"text\": \"good\"}\n\n" + line + "\n{\"text\": \"better\"}\n");
  EXPECT_THAT(result.texts, ElementsAre("good", "better")) << line;
  EXPECT_EQ(result.lines, 3) << line;
  if (result.bad.size() != 1) {
    ADD_FAILURE() << result.bad.size() << " bad lines: " << line;
    return "";
  }
  EXPECT_EQ(result.bad[0].line, 3) << line;
  return result.bad[0].reason;
}

TEST(ReadJsonLines, ABadLineIsNoneOfTheOthers) {
  EXPECT_EQ(reason("{\"text\": \"a\xFF\"}"), "the line is not UTF-8 at byte 11");
  EXPECT_EQ(reason("{\"text\": \"a\""), "not JSON: there is a mistake at byte 13");
  EXPECT_THAT(reason("text"), HasSubstr("not JSON"));
  EXPECT_THAT(reason("{\"text\": \"a\"} {}"), HasSubstr("not JSON"));
  EXPECT_THAT(reason("{\"text\": \"\\ud800\"}"), HasSubstr("not JSON")) << "half of a surrogate pair";
  EXPECT_THAT(reason("{\"text\": \"a\", \"n\": 1e999}"), HasSubstr("not JSON"));
  EXPECT_EQ(reason("[\"text\"]"), "expected a JSON object");
  EXPECT_EQ(reason("\"text\""), "expected a JSON object");
  EXPECT_EQ(reason("null"), "expected a JSON object");
  EXPECT_EQ(reason("{\"Text\": \"a\"}"), "\"text\" is missing");
  EXPECT_EQ(reason("{\"text\": 3}"), "\"text\" is not a text");
  EXPECT_EQ(reason("{\"text\": null}"), "\"text\" is not a text");
  EXPECT_EQ(reason("{\"text\": \"\"}"), "\"text\" is empty");
  EXPECT_EQ(reason("{\"text\": \"a\", \"text\": \"b\"}"), "an object has the same key twice");
  EXPECT_EQ(reason("{\"text\": \"a\", \"o\": {\"k\": 1, \"k\": 1}}"), "an object has the same key twice");
  EXPECT_EQ(reason("{\"text\": \"a\", \"deep\": " + std::string(100, '[') + std::string(100, ']') + "}"),
            "it nests deeper than 64 levels");
  std::string keys = "{\"k0\": 0";
  for (int i = 1; i < 10001; ++i) keys += ", \"k" + std::to_string(i) + "\": 0";
  EXPECT_EQ(reason(keys + "}"), "an object has more than 10000 keys") << "which would take quadratic time";
  EXPECT_EQ(reason(std::string(1000000, '[')), "it nests deeper than 64 levels") << "does not exhaust the stack";
}

TEST(ReadJsonLines, OtherKeysAndWhiteSpaceAreFine) {
  const Read result = read("\xEF\xBB\xBF  {\"id\": [1, {}], \"text\": \"a\\n\\u00e9\"}\r\n \t \r\n{\"text\": \" \"}");
  EXPECT_THAT(result.texts, ElementsAre("a\n\xC3\xA9", " "));
  EXPECT_EQ(result.lines, 2);
  EXPECT_TRUE(result.bad.empty());
}

// There are more lines than a block holds.
TEST(ReadJsonLines, KeepsTheOrderForAnyNumberOfThreads) {
  std::string content;
  std::vector<std::string> expected;
  std::vector<int64_t> expected_bad;
  for (int i = 0; i < 10000; ++i) {
    const bool bad = i % 7 == 3;
    content += bad ? "nothing\n" : "{\"text\": \"" + std::to_string(i) + "\"}\n";
    if (bad) {
      expected_bad.push_back(i + 1);
    } else {
      expected.push_back(std::to_string(i));
    }
  }
  const int before = at::get_num_threads();
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    const Read result = read(content);
    EXPECT_EQ(result.texts, expected);
    std::vector<int64_t> bad;
    for (const BadLine& line : result.bad) bad.push_back(line.line);
    EXPECT_EQ(bad, expected_bad);
  }
  at::set_num_threads(before);
}

// Errors of the machine and interruptions are not the fault of a line.
TEST(ReadJsonLines, OnlyErrorsOfALineMakeItBad) {
  const TemporaryFolder dir;
  const auto file = dir.write("f.jsonl", "{\"n\": 1}\n{\"n\": 2}\n{\"n\": 3}\n");
  const auto run = [&](const std::function<int(const nlohmann::ordered_json&)>& parse, const Progress& progress = {}) {
    BadLines bad("f");
    int sum = 0;
    read_json_lines<int>(
        file, progress, parse, [&](int value) { sum += value; }, bad);
    return std::pair(sum, bad.count());
  };
  const auto value = [](const nlohmann::ordered_json& object) { return object.at("n").get<int>(); };
  EXPECT_EQ(run(value), std::pair(6, int64_t{0}));
  EXPECT_EQ(run([&](const nlohmann::ordered_json& object) {
              if (value(object) == 2) throw EncodeError("no such character", "a", 0);
              return value(object);
            }),
            std::pair(4, int64_t{1}));
  EXPECT_THROW(run([](const nlohmann::ordered_json&) -> int { throw DiskError("full"); }), DiskError);
  EXPECT_THROW(run(value, [](int64_t, int64_t) { throw std::runtime_error("stop"); }), std::runtime_error);
}

}  // namespace
}  // namespace terse::data
