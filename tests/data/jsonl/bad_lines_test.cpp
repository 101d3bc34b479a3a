// Tests the record of bad lines, which several files share, and the limit on their share.
#include "data/jsonl/bad_lines.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/errors.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<nlohmann::json> entries(const std::filesystem::path& path) {
  std::vector<nlohmann::json> all;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
  return all;
}

BadLines bad_lines(const std::string& file, int64_t good, const std::vector<int64_t>& bad) {
  BadLines lines(file);
  for (int64_t i = 0; i < good; ++i) lines.add_good();
  for (const int64_t line : bad) lines.add(line, "reason " + std::to_string(line));
  return lines;
}

TEST(BadLines, EachFileReplacesItsOwnEntries) {
  const TemporaryFolder dir;
  const auto path = dir / "bad_lines.jsonl";
  write_bad_lines(path, bad_lines("none", 3, {}));
  EXPECT_FALSE(std::filesystem::exists(path)) << "nothing to say";
  write_bad_lines(path, bad_lines("a", 1, {2, 5}));
  write_bad_lines(path, bad_lines("b", 1, {7}));
  write_bad_lines(path, bad_lines("a", 1, {3}));
  const std::vector<nlohmann::json> expected = {{{"file", "b"}, {"line", 7}, {"reason", "reason 7"}},
                                                {{"file", "a"}, {"line", 3}, {"reason", "reason 3"}}};
  EXPECT_EQ(entries(path), expected);
  write_bad_lines(path, bad_lines("a", 1, {}));
  EXPECT_EQ(entries(path), std::vector<nlohmann::json>{expected[0]}) << "the file was corrected";
}

TEST(BadLines, ManyAreCountedAndReasonsAreShort) {
  const TemporaryFolder dir;
  BadLines lines("f\xFF");
  for (int64_t i = 1; i <= 10007; ++i) lines.add(i, std::string(5000, 'x') + "\xFF");
  EXPECT_EQ(lines.count(), 10007);
  EXPECT_EQ(lines.lines(), 10007);
  write_bad_lines(dir / "bad", lines);
  const auto all = entries(dir / "bad");
  ASSERT_EQ(all.size(), 10001u);
  EXPECT_EQ(all.back(), (nlohmann::json{{"file", "f\xEF\xBF\xBD"}, {"more", 7}}));
  EXPECT_LT(all[0]["reason"].get<std::string>().size(), 400u);
}

TEST(BadLines, TheLimitIsAShareOfAllLines) {
  const TemporaryFolder dir;
  const auto path = dir / "bad";
  write_bad_lines(path, bad_lines("other", 1, {1}));
  write_bad_lines(path, bad_lines("f", 96, {2, 4, 6, 8}));
  EXPECT_NO_THROW(require_few_bad_lines("f", 100, 4, 0.04, path));
  EXPECT_NO_THROW(require_few_bad_lines("f", 100, 0, 0, path));
  const std::string message = message_of<DataError>([&] { require_few_bad_lines("f", 100, 4, 0.039, path); });
  EXPECT_THAT(message, AllOf(HasSubstr("4 of 100 lines of f"), HasSubstr("0.039"), HasSubstr("data.max_bad_lines"),
                             HasSubstr(path.string()), HasSubstr("line 2: reason 2"), HasSubstr("line 6: reason 6"),
                             Not(HasSubstr("line 8")), Not(HasSubstr("line 1:"))));
  EXPECT_THROW(require_few_bad_lines("f", 100, 1, 0, path), DataError);
}

}  // namespace
}  // namespace terse::data
