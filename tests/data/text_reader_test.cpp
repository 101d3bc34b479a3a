// Tests that the documents do not depend on the block size, and that errors name their place in the file.
#include "data/text_reader.h"

#include "base/errors.h"
#include "data/tokenizers/tokenizer.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

using Documents = std::vector<std::string>;

Documents read(
    const std::vector<std::filesystem::path>& files, const std::string& separator, size_t block,
    const std::function<size_t(std::string_view)>& split = [](std::string_view text) { return text.size(); }) {
  TextOptions options;
  options.separator = separator;
  options.split_point = split;
  options.block_bytes = block;
  Documents documents(1);
  read_documents(files, options, [&](std::string_view piece, bool last) {
    documents.back() += piece;
    if (last) documents.emplace_back();
  });
  EXPECT_EQ(documents.back(), "") << "the last piece must end a document";
  documents.pop_back();
  return documents;
}

Documents naive(const std::string& text, const std::string& separator) {
  Documents documents;
  size_t begin = 0;
  for (size_t at; !separator.empty() && (at = text.find(separator, begin)) != std::string::npos;
       begin = at + separator.size()) {
    documents.push_back(text.substr(begin, at - begin));
  }
  documents.push_back(text.substr(begin));
  return documents;
}

TEST(TextReader, FindsTheSameDocumentsForAnyBlockSize) {
  const TemporaryFolder dir;
  std::mt19937_64 random(1);
  for (const std::string separator : {"", "a", "ab", "aab", "aa", "abab"}) {
    for (int round = 0; round < 40; ++round) {
      std::string text;
      for (int64_t i = below(random, 40); i > 0; --i) text += "aab"[below(random, 3)];
      const auto path = dir.write("text.txt", text);
      for (const size_t block : {1, 2, 3, 7, 100}) {
        ASSERT_EQ(read({path}, separator, block), naive(text, separator))
            << text << " / " << separator << " / " << block;
        ASSERT_EQ(read({path}, separator, block, [](std::string_view) { return size_t{0}; }), naive(text, separator))
            << "whole documents";
        ASSERT_EQ(read({path}, separator, block, [](std::string_view part) { return part.size() / 2; }),
                  naive(text, separator))
            << "half of it held back";
      }
    }
  }
}

TEST(TextReader, EachFileIsADocumentOfItsOwn) {
  const TemporaryFolder dir;
  EXPECT_EQ(read({dir.write("1", "ab"), dir.write("2", ""), dir.write("3", "c")}, "", 1), (Documents{"ab", "", "c"}));
}

TEST(TextReader, PlacesErrorsInTheFile) {
  const TemporaryFolder dir;
  const auto path = dir.write("text.txt", "one\ntwo|\nthree\nfo!r");
  for (const size_t block : {1, 2, 5, 100}) {
    TextOptions options;
    options.separator = "|";
    options.block_bytes = block;
    options.split_point = [](std::string_view text) { return text.size(); };
    const std::string message = message_of<DataError>([&] {
      read_documents({path}, options, [](std::string_view piece, bool) {
        const size_t at = piece.find('!');
        if (at != std::string::npos) throw EncodeError("a bang", piece, static_cast<int64_t>(at));
      });
    });
    EXPECT_EQ(message, path.string() + ":4: a bang at byte 17 of the file");
  }
}

TEST(TextReader, ReportsProgressUpToTheEnd) {
  const TemporaryFolder dir;
  TextOptions options;
  options.block_bytes = 4;
  options.split_point = [](std::string_view text) { return text.size(); };
  std::vector<int64_t> done;
  options.progress = [&](int64_t now, int64_t total) {
    done.push_back(now);
    EXPECT_EQ(total, 9);
  };
  read_documents({dir.write("1", "123456"), dir.write("2", "789")}, options, [](std::string_view, bool) {});
  EXPECT_EQ(done, (std::vector<int64_t>{4, 6, 9}));
}

TEST(TextReader, NamesFilesThatCannotBeRead) {
  const TemporaryFolder dir;
  EXPECT_NE(message_of<DataError>([&] { read({dir / "absent"}, "", 8); }).find("absent: no such file"),
            std::string::npos);
  EXPECT_NE(message_of<DataError>([&] { read({dir.path()}, "", 8); }).find("not a regular file"), std::string::npos);
}

}  // namespace
}  // namespace terse::data
