// Tests terse convert as a user calls it: what it says, what it refuses, and what is on disk afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/launch/program.h"

namespace terse::launch::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::UnorderedElementsAre;

const fs::path kModels = fs::path(TERSE_SOURCE_DIR) / "tests/trainer/saved_model/fixtures";

class ConvertCommand : public ::testing::Test {
 protected:
  ConvertCommand() {
    fs::copy(kModels / "llama", folder_ / "model");
    nlohmann::json symbols = {"<bos>", "<eos>", "0", "1", "2", "3"};  // 32 with the letters, as many as the model knows
    for (char letter = 'a'; letter <= 'z'; ++letter) symbols.push_back(std::string(1, letter));
    const nlohmann::json tokenizer = {
        {"format", "terse-tokenizer"}, {"version", 1}, {"kind", "symbol"}, {"name", "s"}, {"symbols", symbols}};
    folder_.write("model/tokenizer.json", tokenizer.dump());
  }
  Result run(const std::vector<std::string>& arguments) const { return terse(arguments, {.folder = folder_.path()}); }
  Result convert(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "convert");
    return run(arguments);
  }
  void refused(const std::vector<std::string>& arguments, const std::string& why) const {
    const std::vector<std::string> before = folder_.names();
    const Result result = convert(arguments);
    EXPECT_EQ(result.code, 64) << why;
    EXPECT_THAT(result.err, HasSubstr(why));
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(folder_.names(), before);
  }
  TemporaryFolder folder_;
};

TEST_F(ConvertCommand, SaysWhatItWroteAndWhatItLeftOut) {
  const Result hf = convert({"model", "hf", "--dtype", "bf16"});
  EXPECT_EQ(hf.code, 0) << hf.err;
  EXPECT_THAT(hf.out, MatchesRegex("hf: Hugging Face folder, BF16, 20 tensors, 4 files, [0-9.]+ KiB; left out: "
                                   "expected.json, model.gguf\n"));
  EXPECT_THAT(hf.err, HasSubstr("note: tokenizer.json holds the tokenizer symbol:s:"));
  const Result gguf = convert({"hf", "out.gguf"});
  EXPECT_EQ(gguf.code, 0) << gguf.err;
  EXPECT_THAT(gguf.out, MatchesRegex("out.gguf: GGUF file, BF16 and F32, 20 tensors, 1 file, [0-9.]+ KiB\n"));
  EXPECT_THAT(gguf.err, HasSubstr("note: the file has no vocabulary"));
  const Result checkpoint = convert({"hf/", "checkpoint/", "--to", "checkpoint"});
  EXPECT_EQ(checkpoint.code, 0) << checkpoint.err;
  EXPECT_THAT(checkpoint.out, HasSubstr("checkpoint/: checkpoint, F32, 20 tensors, "));
  EXPECT_THAT(folder_.names(), UnorderedElementsAre("checkpoint", "hf", "model", "out.gguf"));
}

TEST_F(ConvertCommand, ACheckpointVerifiesGeneratesAndBeginsARun) {
  ASSERT_EQ(convert({"model", "step-0", "--to", "checkpoint"}).code, 0);
  const Result verified = run({"verify", "step-0"});
  EXPECT_EQ(verified.code, 0) << verified.out;
  EXPECT_THAT(verified.out, HasSubstr("step 0 (convert)"));
  const Result text = run({"generate", "step-0", "a b", "--max-new-tokens", "3"});
  EXPECT_EQ(text.code, 0) << text.err;
  const Result evaluated = run({"eval", "step-0"});
  EXPECT_EQ(evaluated.code, 64);
  EXPECT_THAT(evaluated.err, HasSubstr("nothing to evaluate on"));
}

TEST_F(ConvertCommand, ARunAndItsCheckpointsConvert) {
  folder_.write("tiny.yaml", tiny_config());
  ASSERT_EQ(run({"run", "tiny.yaml", "--run-dir", "run"}).code, 0);
  const Result result = convert({"run", "hf"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("left out: the state of the training"));
  refused({"hf", "run/checkpoints/step-1", "--to", "checkpoint"}, "belongs to a run");
  ASSERT_EQ(convert({"run", "alone", "--to", "checkpoint"}).code, 0);
  const std::vector<std::string> prompt = {"--seed", "3", "generate", "run", "<bos>"};
  std::vector<std::string> copy = prompt;
  copy[3] = "alone";
  EXPECT_EQ(run(copy).out, run(prompt).out);
}

TEST_F(ConvertCommand, MistakesAreNamed) {
  refused({"nowhere", "out"}, "no such file or folder: nowhere");
  folder_.write("notes.txt", "notes");
  refused({"notes.txt", "out"}, "notes.txt holds no model");
  refused({"model", "new/out"}, "mkdir -p");
  refused({"model", "new/out.gguf"}, "mkdir -p new");
  refused({"model", "out.gguf", "--to", "hf"}, "is named like a GGUF file");
  refused({"model", "out", "--dtype", "q8_0"}, "q8_0 is a type of GGUF files");
  refused({"model", "out", "--to", "checkpoint", "--dtype", "bf16"}, "a checkpoint holds its weights in fp32");
  EXPECT_EQ(convert({"model", "out", "--to", "onnx"}).code, 64);
  EXPECT_EQ(convert({"model", "out", "--dtype", "int4"}).code, 64);
  EXPECT_EQ(convert({"model"}).code, 64);
}

TEST_F(ConvertCommand, OnlyWhatItWroteIsReplacedAndOnlyWhenAsked) {
  ASSERT_EQ(convert({"model", "out"}).code, 0);
  ASSERT_EQ(convert({"model", "out.gguf"}).code, 0);
  ASSERT_EQ(convert({"model", "checkpoint", "--to", "checkpoint"}).code, 0);
  refused({"model", "out"}, "out exists already. Use --overwrite to replace it");
  refused({"model", "out.gguf"}, "out.gguf exists already. Use --overwrite to replace it");
  refused({"model", "out", "--to", "checkpoint", "--overwrite"}, "is not a checkpoint, so it is not replaced");
  refused({"model", "checkpoint", "--overwrite"}, "is not a Hugging Face folder, so it is not replaced");
  refused({"out", "checkpoint/more.gguf"}, "belongs to a checkpoint");
  for (std::vector<std::string> again : {std::vector<std::string>{"model", "out"},
                                         {"model", "out.gguf"},
                                         {"model", "checkpoint", "--to", "checkpoint"}}) {
    again.push_back("--overwrite");
    EXPECT_EQ(convert(again).code, 0) << again[1];
  }
  folder_.write("out/README.md", "a user wrote this");
  refused({"model", "out", "--overwrite"}, "out holds README.md, which terse convert does not write");
  folder_.write("mine.gguf", "not a GGUF file");
  refused({"model", "mine.gguf", "--overwrite"}, "is not a GGUF file, so it is not replaced");
  fs::create_directory(folder_ / "empty");
  EXPECT_EQ(convert({"model", "empty"}).code, 0) << "an empty folder is free";
}

TEST_F(ConvertCommand, TheInputIsNeverReplaced) {
  fs::create_directory_symlink("model", folder_ / "link");
  for (const char* output : {"model", "link", "./model/../model/", "."})
    refused({"model", output, "--overwrite"}, "would replace the input");
  ASSERT_EQ(convert({"model", "out.gguf"}).code, 0);
  refused({"out.gguf", "out.gguf", "--overwrite"}, "is also the input");
}

TEST_F(ConvertCommand, ALinkStaysALink) {
  for (const std::string end : {"", "/"}) {
    fs::create_directory(folder_ / "real");
    fs::create_directory_symlink("real", folder_ / "link");
    EXPECT_EQ(convert({"model", "link" + end}).code, 0);
    EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
    EXPECT_TRUE(fs::exists(folder_ / "real/config.json"));
    fs::remove(folder_ / "link");
    fs::remove_all(folder_ / "real");
  }
}

TEST_F(ConvertCommand, TheWorkingFolderIsNotReplaced) {
  fs::create_directory(folder_ / "empty");
  const Result result = terse({"convert", "../model", "."}, {.folder = folder_ / "empty"});
  EXPECT_EQ(result.code, 64);
  EXPECT_THAT(result.err, HasSubstr("the output . is the working folder"));
  EXPECT_TRUE(fs::is_empty(folder_ / "empty"));
}

TEST_F(ConvertCommand, ADamagedSourceIsNamedAndLeavesNothing) {
  ASSERT_EQ(convert({"model", "step-0", "--to", "checkpoint"}).code, 0);
  const auto damaged = [&](const std::string& from, const std::string& file) {
    const Result result = convert({from, "out"});
    EXPECT_EQ(result.code, 65) << file;
    EXPECT_THAT(result.err, HasSubstr(file));
    EXPECT_EQ(result.out, "");
    EXPECT_FALSE(fs::exists(folder_ / "out"));
  };
  std::string bytes = read_file(folder_ / "step-0/rank-0.h5");
  bytes[bytes.size() / 2] ^= 1;
  folder_.write("step-0/rank-0.h5", bytes);
  damaged("step-0", "rank-0.h5");
  bytes = read_file(folder_ / "model/model.safetensors");
  folder_.write("model/model.safetensors", bytes.substr(0, bytes.size() / 2));
  damaged("model", "model/model.safetensors");
  folder_.write("broken.gguf", read_file(folder_ / "model/model.gguf").substr(0, 1000));
  damaged("broken.gguf", "broken.gguf");
  EXPECT_THAT(folder_.names(), UnorderedElementsAre("broken.gguf", "model", "step-0"));
}

// A limit on the size of files stands in for a full disk.
TEST_F(ConvertCommand, AFullDiskLeavesNothing) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  for (const auto& arguments :
       {std::vector<std::string>{"model", "out"}, {"model", "out.gguf"}, {"model", "out", "--to", "checkpoint"}}) {
    const rlimit small{8 << 10, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const Result result = convert(arguments);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(result.code, 74) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("cannot write"), HasSubstr("ulimit -f")));
    EXPECT_THAT(folder_.names(), UnorderedElementsAre("model")) << arguments.back();
  }
}

}  // namespace
}  // namespace terse::launch::testing
