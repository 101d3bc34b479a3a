// Tests the reader of JSON Lines on damaged, incomplete and missing files.
#include "base/jsonl.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace terse {
namespace {

TEST(Jsonl, GivesTheObjectsWithTheNumbersOfTheirLines) {
  const support::TemporaryFolder folder;
  const auto file = folder.write("a.jsonl", "{\"a\":1}\n\n[2]\n{\"a\":\n{\"a\":3}\n");
  JsonlReader reader(file);
  std::string seen;
  while (reader.next())
    seen += std::to_string(reader.number()) + (reader.is_object() ? "=" + reader.object()["a"].dump() : "-") + " ";
  EXPECT_EQ(seen, "1=1 2- 3- 4- 5=3 ");
  EXPECT_FALSE(reader.next());
}

TEST(Jsonl, ALastLineWithoutAnEndIsTornUnlessItIsWhole) {
  const support::TemporaryFolder folder;
  for (const auto& [text, torn] :
       {std::pair("{\"a\":1}\n{\"a\":", true), {"{\"a\":1}\n{\"a\":2}", false}, {"{\"a\":1}\n[]\n", false}}) {
    JsonlReader reader(folder.write("a.jsonl", text));
    ASSERT_TRUE(reader.next());
    EXPECT_FALSE(reader.is_torn()) << text;
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.is_torn(), torn) << text;
  }
}

TEST(Jsonl, AFileThatIsNotThereHasNoLines) {
  const support::TemporaryFolder folder;
  JsonlReader reader(folder.path() / "none.jsonl");
  EXPECT_FALSE(reader.is_open());
  EXPECT_FALSE(reader.next());
}

}  // namespace
}  // namespace terse
