// Tests terse data and terse tokenizer, from text files to stores and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/launch/program.h"

namespace terse::launch::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class DataCommand : public ::testing::Test {
 protected:
  Result run(const std::vector<std::string>& arguments, const std::string& input = "") const {
    return terse(arguments, {.folder = folder_.path(), .input = input});
  }
  TemporaryFolder folder_;
};

TEST_F(DataCommand, BuildsAndInspectsAStore) {
  folder_.write("a.txt", "one fish\n\ntwo fish\n\nred fish");
  const Result build = run({"data", "build", "a.txt", "-o", "a.h5", "--tokenizer", "char", "--separator", "\\n\\n"});
  EXPECT_EQ(build.code, 0) << build.err;
  const Result inspect = run({"data", "inspect", "a.h5", "--verify"});
  EXPECT_EQ(inspect.code, 0) << inspect.err;
  EXPECT_THAT(inspect.out, AllOf(HasSubstr("one fish"), HasSubstr("char:"), HasSubstr("the content hash is correct")));
  const auto info = nlohmann::json::parse(run({"data", "inspect", "a.h5", "--json"}).out);
  EXPECT_EQ(info["documents"], 3);
  EXPECT_EQ(info["tokens"], 24);
  EXPECT_EQ(info["first_text"], "one fish");
}

TEST_F(DataCommand, TokenizerOfOneStoreBuildsAnother) {
  folder_.write("a.txt", "abc");
  folder_.write("b.txt", "cab");
  ASSERT_EQ(run({"data", "build", "a.txt", "-o", "a.h5", "--tokenizer", "char"}).code, 0);
  const Result build = run({"data", "build", "b.txt", "-o", "b.h5", "--tokenizer", "a.h5"});
  EXPECT_EQ(build.code, 0) << build.err;
  folder_.write("c.txt", "abcd");
  const Result foreign = run({"data", "build", "c.txt", "-o", "c.h5", "--tokenizer", "a.h5"});
  EXPECT_EQ(foreign.code, 65);
  EXPECT_THAT(foreign.err, AllOf(HasSubstr("c.txt"), HasSubstr("d")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "c.h5"));
}

TEST_F(DataCommand, MistakesAreNamed) {
  folder_.write("a.txt", "abc");
  folder_.write("b.h5", "there already");
  EXPECT_THAT(run({"data", "build", "nowhere.txt", "-o", "x.h5"}).err, HasSubstr("no such file: nowhere.txt"));
  const Result existing = run({"data", "build", "a.txt", "-o", "b.h5"});
  EXPECT_EQ(existing.code, 64);
  EXPECT_THAT(existing.err, HasSubstr("b.h5 exists already and is not a token store"));
  EXPECT_EQ(read_file(folder_ / "b.h5"), "there already");
  EXPECT_THAT(run({"data", "inspect", "a.txt"}).err,
              AllOf(HasSubstr("not a token store"), HasSubstr("terse data build a.txt")));
  EXPECT_THAT(run({"data", "build", "a.txt", "-o", "x.h5", "--separator", "\\q"}).err, HasSubstr("backslash"));
}

// The output may name an input in any way: by its name, by another path or by a link, with or without --overwrite.
TEST_F(DataCommand, AnInputIsNeverReplaced) {
  namespace fs = std::filesystem;
  folder_.write("a.txt", "abc");
  ASSERT_EQ(run({"data", "build", "a.txt", "-o", "store.h5"}).code, 0);
  const std::string store = read_file(folder_ / "store.h5");
  fs::create_directory(folder_ / "sub");
  fs::create_symlink("a.txt", folder_ / "soft");
  fs::create_hard_link(folder_ / "a.txt", folder_ / "hard");
  for (const char* output : {"a.txt", "./sub/../a.txt", "soft", "hard"}) {
    const std::vector<std::vector<std::string>> commands = {{"tokenizer", "train", "a.txt", "-o", output},
                                                            {"data", "build", "a.txt", "-o", output},
                                                            {"data", "build", output, "a.txt", "-o", output}};
    for (std::vector<std::string> command : commands) {
      for (int overwrite = 0; overwrite < 2; ++overwrite) {
        const Result result = run(command);
        EXPECT_EQ(result.code, 64) << output;
        EXPECT_THAT(result.err, HasSubstr("is also the input")) << output;
        EXPECT_EQ(read_file(folder_ / "a.txt"), "abc") << output;
        command.push_back("--overwrite");
      }
    }
  }
  const Result tokenizer = run({"data", "build", "a.txt", "--tokenizer", "store.h5", "-o", "store.h5", "--overwrite"});
  EXPECT_EQ(tokenizer.code, 64);
  EXPECT_EQ(read_file(folder_ / "store.h5"), store);
}

TEST_F(DataCommand, OnlyWhatIsOfTheSameKindIsReplacedAndOnlyWhenAsked) {
  folder_.write("a.txt", "abc");
  folder_.write("b.txt", "abcdef");
  folder_.write("mine", "not terse's");
  const std::vector<std::pair<std::vector<std::string>, std::string>> commands = {
      {{"data", "build", "b.txt", "-o"}, "a token store"}, {{"tokenizer", "train", "b.txt", "-o"}, "a tokenizer"}};
  for (const auto& [command, kind] : commands) {
    const auto write = [&](const std::string& output, bool overwrite) {
      std::vector<std::string> all = command;
      all.push_back(output);
      if (overwrite) all.push_back("--overwrite");
      return run(all);
    };
    const Result foreign = write("mine", true);
    EXPECT_EQ(foreign.code, 64);
    EXPECT_THAT(foreign.err, HasSubstr("is not " + kind));
    EXPECT_EQ(read_file(folder_ / "mine"), "not terse's");
    ASSERT_EQ(write("out", false).code, 0);
    const std::string first = read_file(folder_ / "out");
    const Result again = write("out", false);
    EXPECT_EQ(again.code, 64);
    EXPECT_THAT(again.err, HasSubstr("Use --overwrite to replace it"));
    EXPECT_EQ(read_file(folder_ / "out"), first);
    EXPECT_EQ(write("out", true).code, 0);
    std::filesystem::remove(folder_ / "out");
    const Result nowhere = write("new/out", false);
    EXPECT_EQ(nowhere.code, 64);
    EXPECT_THAT(nowhere.err, HasSubstr("mkdir -p new"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "new"));
  }
}

TEST_F(DataCommand, DamagedStoreIsExitCode65) {
  folder_.write("a.txt", std::string(5000, 'a') + "b");
  ASSERT_EQ(run({"data", "build", "a.txt", "-o", "a.h5"}).code, 0);
  const std::string bytes = read_file(folder_ / "a.h5");
  folder_.write("a.h5", bytes.substr(0, bytes.size() / 2));
  const Result result = run({"data", "inspect", "a.h5", "--verify"});
  EXPECT_EQ(result.code, 65);
  EXPECT_THAT(result.err, HasSubstr("a.h5"));
}

TEST_F(DataCommand, TokenizerTrainsEncodesAndDecodes) {
  folder_.write("a.txt", "h\xC3\xA9llo\n");
  const Result train = run({"tokenizer", "train", "a.txt", "-o", "a.json"});
  EXPECT_EQ(train.code, 0) << train.err;
  EXPECT_THAT(train.out, HasSubstr("5 tokens"));
  const Result encode = run({"tokenizer", "encode", "a.json", "h\xC3\xA9"});
  EXPECT_EQ(encode.out, "1 4\n") << encode.err;
  EXPECT_EQ(run({"tokenizer", "decode", "a.json", "1", "4"}).out, "h\xC3\xA9\n");
  EXPECT_EQ(run({"tokenizer", "decode", "a.json"}, "1 4\n").out, "h\xC3\xA9\n");
  const Result foreign = run({"tokenizer", "encode", "a.json", "x"});
  EXPECT_EQ(foreign.code, 64);
  EXPECT_THAT(foreign.err, HasSubstr("x"));
}

TEST_F(DataCommand, BytesGoThroughUnchanged) {
  const std::string bytes("\x00\xff\n", 3);
  EXPECT_EQ(run({"tokenizer", "encode", "byte"}, bytes).out, "0 255 10\n");
  EXPECT_EQ(run({"tokenizer", "decode", "byte", "0", "255", "10"}).out, bytes + "\n");
}

TEST_F(DataCommand, TasksAreTokenizersToo) {
  const Result encode = run({"tokenizer", "encode", "chain7", "3+4"});
  EXPECT_EQ(encode.code, 0) << encode.err;
  EXPECT_EQ(run({"tokenizer", "decode", "chain7"}, encode.out).out, "3+4\n");
}

TEST_F(DataCommand, BuildsAStoreOfJsonLines) {
  folder_.write("a.jsonl", "{\"text\": \"one\"}\n{\"text\": 2}\n{\"text\": \"three\"}\n");
  const Result strict = run({"data", "build", "a.jsonl", "-o", "a.h5"});
  EXPECT_EQ(strict.code, 65);
  EXPECT_THAT(strict.err,
              AllOf(HasSubstr("1 of 3 lines of a.jsonl are bad"), HasSubstr("line 2: \"text\" is not a text"),
                    HasSubstr("--max-bad-lines"), HasSubstr("a.h5.bad_lines.jsonl")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a.h5"));
  const Result build = run({"data", "build", "a.jsonl", "-o", "a.h5", "--max-bad-lines", "0.5"});
  EXPECT_EQ(build.code, 0) << build.err;
  EXPECT_THAT(build.out, HasSubstr("3 (1 bad ones left out)"));
  const auto info = nlohmann::json::parse(run({"data", "inspect", "a.h5", "--json", "--verify"}).out);
  EXPECT_EQ(info["documents"], 2);
  EXPECT_EQ(info["tokens"], 3 + 1 + 5 + 1);
  EXPECT_EQ(info["bad_lines"], 1);
  const Result separated = run({"data", "build", "a.jsonl", "-o", "b.h5", "--separator", "x"});
  EXPECT_EQ(separated.code, 64);
  EXPECT_THAT(separated.err, HasSubstr("--separator"));
  folder_.write("c.jsonl", "PAR1");
  EXPECT_THAT(run({"data", "build", "c.jsonl", "-o", "c.h5"}).err, HasSubstr("pyarrow"));
}

}  // namespace
}  // namespace terse::launch::testing
