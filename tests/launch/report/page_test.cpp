// Opens the report in a real browser. There must be no message on the console, no empty chart, no sideways scrolling
// and no foreign script.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "launch/report/report.h"
#include "tests/support/browser.h"
#include "tests/support/synthetic_run.h"
#include "tests/support/temporary_folder.h"

namespace terse::launch {
namespace {

using nlohmann::json;
using support::SyntheticRun;
using testing::HasSubstr;
using testing::Not;

const std::vector<int> kWidths = {1280, 390, 360};

class ReportPage : public testing::Test {
 protected:
  std::filesystem::path folder(const SyntheticRun& run, const std::string& name) {
    run.write(scratch_.path() / name);
    return scratch_.path() / name;
  }
  // Opens the report of the runs, light or dark, and checks what must hold for every page.
  json look(const std::vector<std::filesystem::path>& runs, bool dark) {
    const auto output = scratch_.path() / "report.html";
    write_report(runs, output);
    std::ifstream stream(output, std::ios::binary);
    page_.assign(std::istreambuf_iterator<char>(stream), {});
    const json result = support::open_in_browser(page_, kWidths, dark, scratch_.path());
    if (!result.is_object()) return {{"frames", json::array()}};
    EXPECT_EQ(result.at("frames").size(), kWidths.size());
    for (const json& frame : result.at("frames")) {
      SCOPED_TRACE("at width " + frame.at("width").dump() + (dark ? ", dark" : ", light"));
      EXPECT_EQ(frame.at("dark"), dark);
      EXPECT_LE(frame.at("overflow"), 0) << "scrolls sideways";
      EXPECT_EQ(frame.at("owned"), "");
      EXPECT_EQ(frame.at("images"), 0);
      for (const auto& [id, chart] : frame.at("charts").items()) {
        EXPECT_GT(chart.at("marks"), 1) << id;
        EXPECT_GT(chart.at("drawn"), 0) << id;
        EXPECT_NE(chart.at("tip"), "") << id << " tells nothing at the pointer";
      }
    }
    return result;
  }
  static void expect_marks(const json& result, const std::map<std::string, int>& marks) {
    for (const json& frame : result.at("frames"))
      for (const auto& [id, count] : marks) {
        ASSERT_TRUE(frame.at("charts").contains(id)) << id;
        EXPECT_EQ(frame.at("charts").at(id).at("marks"), count) << id;
      }
  }

  support::TemporaryFolder scratch_;
  std::string page_;
};

TEST_F(ReportPage, EveryPointOfARunIsDrawnInLightAndDark) {
  const auto run = folder({}, "run");
  for (const bool dark : {false, true}) {
    const json result = look({run}, dark);
    // Evaluations: after sft, at 50, 100, 150, 200, after rl. Records of rl: every tenth of 250 steps.
    expect_marks(result, {{"phase", 6 + 25},
                          {"progress-length", 8 * 6},
                          {"progress-accuracy", 8 * 6},
                          {"forms-0", 6 * 26},
                          {"rl-accuracy", 25},
                          {"rl-length", 75},
                          {"rl-entropy", 25},
                          {"rl-pressure", 25},
                          {"rl-loss", 25},
                          {"rl-tokens_per_s", 25},
                          {"rl-grad_norm", 25},
                          {"sft-loss", 150},
                          {"sft-grad_norm", 150}});
    for (const json& frame : result.at("frames")) {
      const std::string text = frame.at("text");
      for (const char* part : {"Accuracy .896 → .995, tokens 31.8 → 7.3 (−77\u00a0%) in 4 min 10 s",
                               "The same problems, before and after", "✗ wrong", "✓ right", "git checkout 39c67658a90d",
                               "--set 'run.name=a b'", "AMD EPYC 9B14", "hidden_size: 64"})
        EXPECT_THAT(text, HasSubstr(part));
      EXPECT_THAT(text, Not(HasSubstr("This run has")));
    }
  }
}

TEST_F(ReportPage, PretrainingAloneShowsOnlyItsChartsAndSaysWhatIsMissing) {
  SyntheticRun run;
  run.stages = {"pretrain"};
  run.sft_steps = 2000;
  const json result = look({folder(run, "run")}, false);
  expect_marks(result, {{"pretrain-loss", 200 + 8}, {"pretrain-bits_per_byte", 8}, {"pretrain-tokens_per_s", 200}});
  for (const json& frame : result.at("frames")) {
    for (const auto& [id, chart] : frame.at("charts").items()) EXPECT_THAT(id, HasSubstr("pretrain-"));
    EXPECT_THAT(frame.at("text"), HasSubstr("This run has no RL stage and no evaluation on a task."));
    EXPECT_THAT(frame.at("text"), HasSubstr("Validation loss 1.302 → 0.620"));
  }
}

TEST_F(ReportPage, SeveralRunsAreOverlaid) {
  SyntheticRun other;
  other.name = "no penalty, and a name that is a good deal longer than the column that it has to stand in";
  other.final_tokens = 28;
  SyntheticRun pretrained;
  pretrained.name = "other";
  pretrained.stages = {"pretrain"};
  for (const bool dark : {false, true}) {
    const json result = look({folder({}, "a"), folder(other, "b"), folder(pretrained, "c")}, dark);
    expect_marks(result, {{"phase", 2 * 31},
                          {"progress-length", 12},
                          {"progress-accuracy", 12},
                          {"forms-0", 156},
                          {"forms-1", 156},
                          {"rl-length", 50},
                          {"sft-loss", 300},
                          {"pretrain-loss", 150}});
    for (const json& frame : result.at("frames")) EXPECT_THAT(frame.at("text"), HasSubstr("3 runs compared"));
  }
}

TEST_F(ReportPage, TextOfTheRunNeverBecomesMarkup) {
  SyntheticRun run;
  run.canary =
      R"(</script><script>document.documentElement.dataset.owned=1</script><img src=x onerror="document.documentElement.dataset.owned=2">)"
      R"(' onmouseover='document.documentElement.dataset.owned=3' {{script}} <!-- ]]> & &lt;)";
  const json result = look({folder(run, "run")}, false);
  for (const json& frame : result.at("frames")) {
    const std::string text = frame.at("text");
    size_t seen = 0;
    for (size_t at = 0; (at = text.find(run.canary, at)) != std::string::npos; ++at) ++seen;
    // The text appears as name, task, forms, prompts and responses, host, command and configuration.
    EXPECT_GE(seen, 40) << "a text of the run is missing or changed";
  }
}

TEST_F(ReportPage, LongWordsDoNotWidenThePage) {
  SyntheticRun run;
  run.name = std::string(300, 'n');
  run.canary = std::string(500, 'W');
  look({folder(run, "run")}, false);
}

TEST_F(ReportPage, LoadsNothing) {
  look({folder({}, "run")}, false);
  for (const char* part :
       {"src=", "@import", "url(", "<link", "<iframe", "fetch(", "XMLHttpRequest", "http-equiv=\"refresh\""})
    EXPECT_THAT(page_, Not(HasSubstr(part)));
  EXPECT_THAT(page_, HasSubstr("default-src 'none'"));
}

}  // namespace
}  // namespace terse::launch
