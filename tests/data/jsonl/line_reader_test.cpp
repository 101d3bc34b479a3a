// Tests lines that cross blocks, have no end, or are too long.
#include "data/jsonl/line_reader.h"

#include <sys/stat.h>

#include "base/errors.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

std::vector<TextLine> lines_of(const std::string& content, size_t most = kMaxLineBytes) {
  const TemporaryFolder dir;
  LineReader reader(dir.write("lines", content), most);
  std::vector<TextLine> lines;
  for (TextLine line; reader.next(line);) lines.push_back(line);
  EXPECT_EQ(reader.bytes_read(), std::ssize(content));
  EXPECT_EQ(reader.file_bytes(), std::ssize(content));
  return lines;
}

std::vector<std::string> texts_of(const std::string& content) {
  std::vector<std::string> texts;
  for (const TextLine& line : lines_of(content)) {
    EXPECT_EQ(line.number, std::ssize(texts) + 1);
    EXPECT_FALSE(line.too_long);
    texts.push_back(line.text);
  }
  return texts;
}

using Texts = std::vector<std::string>;

TEST(LineReader, TheLastLineNeedsNoNewline) {
  EXPECT_EQ(texts_of(""), Texts{});
  EXPECT_EQ(texts_of("a"), Texts{"a"});
  EXPECT_EQ(texts_of("a\n"), Texts{"a"});
  EXPECT_EQ(texts_of("\n\na\n\nb"), (Texts{"", "", "a", "", "b"}));
}

TEST(LineReader, TheMarkOfAUtf8FileIsNoText) {
  EXPECT_EQ(texts_of("\xEF\xBB\xBF{}\n\xEF\xBB\xBF"), (Texts{"{}", "\xEF\xBB\xBF"}));
  EXPECT_EQ(texts_of("\xEF\xBB\xBF"), Texts{});
}

// The lines have many lengths around the size of a block, 1 MiB.
TEST(LineReader, LinesCrossBlocks) {
  std::string content;
  Texts expected;
  for (int i = 0; i < 7; ++i) {
    expected.push_back(std::string((size_t{1} << 20) - 3 + static_cast<size_t>(i), static_cast<char>('a' + i)));
    content += expected.back() + "\n";
  }
  EXPECT_EQ(texts_of(content), expected);
}

TEST(LineReader, ALineThatIsTooLongIsDropped) {
  const std::vector<TextLine> lines = lines_of("abc\n" + std::string(3 << 20, 'x') + "\nabcd\nd\n" + "efgh", 3);
  ASSERT_EQ(lines.size(), 5u);
  const std::vector<bool> too_long = {false, true, true, false, true};
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].number, static_cast<int64_t>(i) + 1);
    EXPECT_EQ(lines[i].too_long, too_long[i]) << i;
    if (too_long[i]) {
      EXPECT_EQ(lines[i].text, "");
    }
  }
  EXPECT_EQ(lines[0].text, "abc");
  EXPECT_EQ(lines[3].text, "d");
}

TEST(LineReader, MissingFilesAndFoldersAreNamed) {
  const TemporaryFolder dir;
  EXPECT_NE(message_of<DataError>([&] { LineReader(dir / "absent"); }).find("no such file"), std::string::npos);
  EXPECT_NE(message_of<DataError>([&] { LineReader(dir.path()); }).find("not a regular file"), std::string::npos);
}

}  // namespace
}  // namespace terse::data
