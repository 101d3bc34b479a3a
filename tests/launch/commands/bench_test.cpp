// Tests terse bench: what it prints, that its figures belong together, and its errors. No test depends on a speed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "launch/exit_codes.h"
#include "tests/launch/program.h"
#include "trainer/kernels/kernels.h"

namespace terse::launch::testing {
namespace {

using ::testing::Gt;
using ::testing::HasSubstr;

class BenchCommand : public ::testing::Test {
 protected:
  Result bench(std::vector<std::string> more) {
    folder_.write("a.yaml", tiny_config());
    more.insert(more.begin(), "bench");
    more.insert(more.end(), {"--seconds", "0.001", "--device", "cpu"});
    return terse(more, {.folder = folder_.path()});
  }
  TemporaryFolder folder_;
};

TEST_F(BenchCommand, MeasuresTheMachineAlone) {
  const Result result = bench({"--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  for (const auto& [name, speed] : json.at("machine").items()) EXPECT_THAT(speed.get<double>(), Gt(1e8)) << name;
  EXPECT_FALSE(json.contains("training"));
}

TEST_F(BenchCommand, MeasuresTheModelOfAConfiguration) {
  const Result result = bench({"a.yaml", "--tokens", "16", "--new-tokens", "8", "--prompt-tokens", "4", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  const auto& training = json.at("training");
  EXPECT_EQ(training.at("tokens"), 16);
  EXPECT_NEAR(training.at("tokens_per_s").get<double>() * training.at("seconds").get<double>(), 4 * 16, 1e-6);
  ASSERT_EQ(json.at("generation").size(), 4u);
  for (const auto& row : json.at("generation")) {
    const double tokens = row.at("sequences").get<double>() * 8;
    EXPECT_NEAR(row.at("tokens_per_s").get<double>() * row.at("seconds").get<double>(), tokens, 1e-6);
  }
  EXPECT_EQ(json.at("generation").back().at("prompts"), 1);
}

TEST_F(BenchCommand, NeedsNoTaskWhereTheVocabularyIsKnown) {
  folder_.write("task.yaml",
                "stages: [rl]\nrl: {steps: 1}\nmodel: {layers: 1, hidden_size: 16, heads: 2, max_seq_len: 64}\ntask: "
                "{name: gsm8k}\n");
  const std::vector<std::string> small = {"task.yaml", "--only", "generation", "--batch", "1", "--new-tokens", "4"};
  EXPECT_THAT(bench(small).err, HasSubstr("task.path"));
  for (const auto& known : {std::vector<std::string>{"--vocab", "40"}, {"--set", "model.vocab_size=40"}}) {
    std::vector<std::string> more = small;
    more.insert(more.end(), known.begin(), known.end());
    const Result result = bench(more);
    EXPECT_EQ(result.code, 0) << result.err;
  }
}

TEST_F(BenchCommand, MeasuresOnePartAndOneBatch) {
  const std::vector<std::string> small = {"a.yaml", "--tokens",        "16", "--new-tokens",
                                          "4",      "--prompt-tokens", "4",  "--json"};
  const auto measured = [&](std::vector<std::string> more) {
    more.insert(more.begin(), small.begin(), small.end());
    const Result result = bench(more);
    EXPECT_EQ(result.code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  };
  EXPECT_FALSE(measured({"--only", "training"}).contains("generation"));
  const auto json = measured({"--only", "generation", "--batch", "6", "--prompts", "2"});
  EXPECT_FALSE(json.contains("training"));
  ASSERT_EQ(json.at("generation").size(), 1u);
  EXPECT_EQ(json.at("generation")[0].at("sequences"), 6);
  EXPECT_EQ(json.at("generation")[0].at("prompts"), 2);
  EXPECT_EQ(measured({"--batch", "3"}).at("generation")[0].at("prompts"), 3);
}

TEST_F(BenchCommand, RefusesPromptsThatDoNotDivideTheBatch) {
  EXPECT_EQ(bench({"a.yaml", "--batch", "6", "--prompts", "4"}).code, 64);
  EXPECT_EQ(bench({"a.yaml", "--prompts", "4"}).code, 64);
}

TEST_F(BenchCommand, PrintsATable) {
  const Result result = bench({"a.yaml", "--tokens", "16", "--new-tokens", "4", "--prompt-tokens", "4"});
  ASSERT_EQ(result.code, 0) << result.err;
  for (const char* part : {"matrix product, bf16", "reading memory", "training in fp32: 4 sequences of 16 tokens",
                           "generating sequences", "of matmul"})
    EXPECT_THAT(result.out, HasSubstr(part));
}

TEST_F(BenchCommand, UsesTheKernelsThatTheEnvironmentNames) {
  const auto with = [&](const std::string& kernels) {
    return terse({"bench", "--seconds", "0.001", "--device", "cpu", "--json"},
                 {.folder = folder_.path(), .environment = {"TERSE_KERNELS=" + kernels}});
  };
  for (const char* isa : {"avx512_bf16", "avx512", "avx2"}) {
    if (trainer::kernels::cpu_table(isa) == nullptr) continue;
    const Result result = with(isa);
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(nlohmann::json::parse(result.out).at("kernels"), isa);
  }
  EXPECT_EQ(with("").code, 0) << "an empty value chooses nothing";
  const Result unknown = with("sse9");
  EXPECT_EQ(unknown.code, kBadConfig);
  EXPECT_THAT(unknown.err, HasSubstr("TERSE_KERNELS is 'sse9'; expected an instruction set of this processor: "));
  EXPECT_THAT(unknown.err, HasSubstr("avx2"));
}

TEST_F(BenchCommand, ProfileShowsOperationsWhoseTimesAddUp) {
  folder_.write("b.yaml", tiny_config());
  const Result result = terse({"bench", "profile", "b.yaml", "--tokens", "16", "--responses", "2", "--new-tokens", "4",
                               "--seconds", "0.001", "--device", "cpu", "--json"},
                              {.folder = folder_.path()});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  for (const char* name : {"update", "generation"}) {
    const auto& whole = json.at(name);
    EXPECT_GE(whole.at("repetitions").get<int64_t>(), 3);
    double left = whole.at("seconds").get<double>() - whole.at("other").get<double>();
    for (const auto& phase : whole.at("phases")) {
      left -= phase.at("seconds").get<double>();
      double inside = phase.at("other");
      for (const auto& operation : phase.at("operations")) inside += operation.at("seconds").get<double>();
      EXPECT_NEAR(inside, phase.at("seconds").get<double>(), 1e-9) << phase.at("name");
    }
    EXPECT_NEAR(left, 0, 1e-9) << name;
  }
  EXPECT_EQ(json.at("update").at("tokens"), 16);
  EXPECT_EQ(json.at("generation").at("sequences"), 2);
}

TEST_F(BenchCommand, ProfilePrintsTablesAndWritesATrace) {
  folder_.write("b.yaml", tiny_config());
  const auto profile = [&](const std::string& trace) {
    return terse({"bench", "profile", "b.yaml", "--tokens", "16", "--new-tokens", "4", "--seconds", "0.001", "--device",
                  "cpu", "--trace", trace},
                 {.folder = folder_.path()});
  };
  for (int again = 0; again < 2; ++again) {  // a trace may be replaced
    const Result result = profile("trace.json");
    ASSERT_EQ(result.code, 0) << result.err;
    for (const char* part : {"update: 4 sequences of 16 tokens", "generation: 8 responses of 4 tokens", "\nbackward",
                             "\n  linear", "\n  AdamW", "\nprefill", "\ndecode", "\nsampling", "of matmul"})
      EXPECT_THAT(result.out, HasSubstr(part));
    const auto trace = nlohmann::json::parse(read_file(folder_.path() / "trace.json"));
    EXPECT_EQ(trace.at("traceEvents").at(0).at("name"), "update");
  }
  EXPECT_EQ(profile("b.yaml").code, 64);
  folder_.write("other.json", "{}");
  EXPECT_EQ(profile("other.json").code, 64);
  EXPECT_EQ(read_file(folder_.path() / "other.json"), "{}");
}

TEST_F(BenchCommand, NamesAConfigurationThatIsNotThere) {
  const Result result = bench({"b.yaml"});
  EXPECT_EQ(result.code, 78);
  EXPECT_THAT(result.err, HasSubstr("b.yaml"));
}

}  // namespace
}  // namespace terse::launch::testing
