// Tests what the report makes of a run folder with torn lines, and with huge, missing or hostile files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "launch/exit_codes.h"
#include "launch/report/charts.h"
#include "launch/report/html.h"
#include "launch/report/report.h"
#include "launch/report/run_data.h"
#include "launch/report/sections.h"
#include "tests/support/synthetic_run.h"
#include "tests/support/temporary_folder.h"

namespace terse::launch::report {
namespace {

using nlohmann::json;
using support::SyntheticRun;
using support::TemporaryFolder;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(Series, FewPointsAreKeptAsTheyAre) {
  Series series;
  for (int i = 0; i < 2000; ++i) series.add(i, i % 7);
  const auto points = series.points();
  ASSERT_EQ(points.size(), 2000);
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(points[static_cast<size_t>(i)].y, i % 7);
}

TEST(Series, ManyPointsKeepSpikesEndsAndTheBound) {
  for (const int count : {2001, 2500, 5000, 123457, 1000000}) {
    Series series;
    for (int i = 0; i < count; ++i) series.add(i, i == count / 3 ? 100 : i == count / 2 ? -100 : std::sin(i * 0.001));
    const auto points = series.points();
    EXPECT_LE(points.size(), Series::kMaxPoints) << count;
    EXPECT_GE(points.size(), Series::kMaxPoints / 4) << count;
    EXPECT_EQ(points.back().x, count - 1) << count;
    double low = 0, high = 0, last = -1;
    for (const Point& point : points) {
      EXPECT_GT(point.x, last);
      last = point.x, low = std::min(low, point.y), high = std::max(high, point.y);
    }
    EXPECT_EQ(low, -100) << count;
    EXPECT_EQ(high, 100) << count;
  }
}

TEST(Series, StepsBackAndValuesThatAreNotFiniteAreLeftOut) {
  Series series;
  for (const auto& [x, y] : {std::pair{1.0, 1.0}, {2.0, NAN}, {3.0, INFINITY}, {5.0, 2.0}, {4.0, 9.0}, {5.0, 3.0}})
    series.add(x, y);
  const auto points = series.points();
  ASSERT_EQ(points.size(), 2);
  EXPECT_EQ(points[1].x, 5);
  EXPECT_EQ(points[1].y, 3);
}

TEST(ReportText, EscapesEverythingThatHtmlKnows) {
  EXPECT_EQ(escape("<a href=\"x\" b='y'>&amp;\n\x01\xff"),
            "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;\n\uFFFD\uFFFD");
  EXPECT_EQ(json_for_script({{"k", "</script><!--&"}}), R"({"k":"\u003c/script\u003e\u003c!--\u0026"})");
}

TEST(ReportText, NumbersAreShort) {
  EXPECT_EQ(accuracy_text(0.9154), ".915");
  EXPECT_EQ(accuracy_text(0.99999), "1.000");
  EXPECT_EQ(tokens_text(7.34), "7.3");
  EXPECT_EQ(tokens_text(1203.6), "1,204");
  EXPECT_EQ(percent_change(32, 7.3), "−77\u00a0%");
  EXPECT_EQ(percent_change(10, 10.01), "±0\u00a0%");
  EXPECT_EQ(percent_change(0, 5), "");
}

// The hash is the one that browsers compute of "alert('Hello, world.');". It is from the Content Security Policy
// specification.
TEST(ReportText, PolicyHashIsTheOneBrowsersCompute) {
  EXPECT_EQ(csp_hash("alert('Hello, world.');"), "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
}

TEST(RunData, OutcomeComparesTheEndOfSftWithTheLastEvaluation) {
  TemporaryFolder folder;
  SyntheticRun().write(folder.path());
  const RunData run = read_run(folder.path());
  ASSERT_EQ(run.evaluations.size(), 6);
  EXPECT_EQ(run.evaluations[*run.before].stage, "sft");
  EXPECT_EQ(run.evaluations[*run.after].stage, "eval");
  EXPECT_EQ(run.evaluations[*run.after].global_step, 1750);
  EXPECT_EQ(run.evaluations[*run.after].by_difficulty.at(8).n, 1200);
  EXPECT_EQ(plain_headline(run), "Accuracy .896 → .995, tokens 31.8 → 7.3 (−77\u00a0%) in 4 min 10 s");
  ASSERT_EQ(run.traces.size(), 16);
  EXPECT_EQ(run.traces.front().before.stage, "sft");
  EXPECT_EQ(run.traces.back().difficulty, 8);
  EXPECT_TRUE(run.notes.empty());
}

// A mean over no samples is missing or null. It must not count as 0, which would be the lowest accuracy of the page.
TEST(RunData, WhatIsNotToldIsNotZero) {
  TemporaryFolder folder;
  std::ofstream(folder.path() / "metrics.jsonl")
      << R"({"stage":"sft","step":1,"eval/accuracy":0.5,"eval/mean_tokens":8,"eval/accuracy/difficulty_1":0.5,)"
      << R"("eval/mean_tokens/difficulty_1":8,"eval/accuracy/difficulty_2":0.25,"eval/mean_tokens/difficulty_3":4})"
      << "\n";
  std::ofstream(folder.path() / "summary.json")
      << R"({"stages":[{"stage":"eval","eval":{"accuracy":0.5,"mean_tokens":8,"by_difficulty":{)"
      << R"("1":{"n":4,"accuracy":0.5,"mean_tokens":8},"2":{"n":0,"accuracy":null,"mean_tokens":null}}}}]})";
  const RunData run = read_run(folder.path());
  ASSERT_EQ(run.evaluations.size(), 2);
  for (const Evaluation& evaluation : run.evaluations) {
    EXPECT_EQ(evaluation.by_difficulty.size(), 1) << evaluation.stage;
    EXPECT_EQ(evaluation.by_difficulty.at(1).mean_tokens, 8) << evaluation.stage;
  }
}

// The numbers of a mixture are there for each task as a whole, and for each of its difficulties.
TEST(RunData, TheTasksOfAMixtureAreKeptApart) {
  TemporaryFolder folder;
  std::ofstream(folder.path() / "metrics.jsonl")
      << R"({"stage":"sft","step":1,"eval/accuracy":0.5,"eval/mean_tokens":8,"eval/task/gsm/accuracy":0.25,)"
      << R"("eval/task/gsm/mean_tokens":7,"eval/task/gsm/accuracy/difficulty_2":0.125,)"
      << R"("eval/task/gsm/mean_tokens/difficulty_2":6,"eval/task/../accuracy":1,"eval/task/../mean_tokens":1})"
      << "\n";
  std::ofstream(folder.path() / "summary.json")
      << R"({"stages":[{"stage":"sft","steps":5},{"stage":"eval","eval":{"accuracy":0.5,"mean_tokens":8,"by_task":{"gsm":{"n":4,"accuracy":0.5,)"
      << R"("mean_tokens":3,"by_difficulty":{"2":{"n":2,"accuracy":0.75,"mean_tokens":2}}},"sums":[1],"<b>":{"n":1,)"
      << R"("accuracy":0,"mean_tokens":1},"own":{"n":9,"accuracy":0.4,"mean_tokens":5}}}}]})";
  const RunData run = read_run(folder.path());
  ASSERT_EQ(run.evaluations.size(), 2);
  const auto& first = run.at_before().by_difficulty;
  ASSERT_EQ(first.size(), 2);
  EXPECT_EQ(first.at({rl::kNoDifficulty, "gsm"}).accuracy, 0.25);
  EXPECT_EQ(first.at({2, "gsm"}).mean_tokens, 6);
  const auto& last = run.at_after().by_difficulty;
  ASSERT_EQ(last.size(), 3);
  EXPECT_EQ(last.at({rl::kNoDifficulty, "gsm"}).n, 4);
  EXPECT_EQ(last.at({2, "gsm"}).accuracy, 0.75);
  EXPECT_EQ(last.at({rl::kNoDifficulty, "own"}).mean_tokens, 5);
  EXPECT_TRUE(run.mixes());
  const std::string table = difficulty_table(run);
  for (const char* text :
       {"Before and after by task", ">Task</th>", "<th scope=\"row\">gsm</th>", "<th scope=\"row\">gsm 2</th>"})
    EXPECT_NE(table.find(text), std::string::npos) << text << " in " << table;
  EXPECT_NE(header_section({run}).find("Weakest task"), std::string::npos);
}

TEST(RunData, TornAndForeignLinesAreCountedAndTheRestIsRead) {
  TemporaryFolder folder;
  SyntheticRun().write(folder.path());
  std::ofstream(folder.path() / "metrics.jsonl", std::ios::app) << "[1]\n\xff\xfe\n{\"stage\":3}\n{\"time\":17,\"sta";
  std::ofstream(folder.path() / "traces" / "rl.jsonl", std::ios::app) << "{\"stage\":\"rl\",\"step\":";
  const RunData run = read_run(folder.path());
  EXPECT_EQ(run.evaluations.size(), 6);
  EXPECT_EQ(run.traces.size(), 16);
  EXPECT_THAT(run.notes, Contains("3 line(s) of metrics.jsonl could not be read."));
  EXPECT_THAT(run.notes, Contains("1 line(s) of traces/ could not be read."));
}

TEST(RunData, OlderNamesOfMetricsContinueTheirCurves) {
  TemporaryFolder folder;
  std::ofstream(folder.path() / "metrics.jsonl")
      << R"({"stage":"rl","step":1,"replay_loss":2,"practice/exam_accuracy":0.5})"
         "\n"
      << R"({"stage":"rl","step":2,"demonstration_loss":1,"student/gate_accuracy":0.75})"
         "\n";
  const RunData run = read_run(folder.path());
  ASSERT_EQ(run.stages.size(), 1);
  const auto curve = [&](const char* metric) { return run.stages[0].curves.at(metric).points(); };
  for (const char* metric : {"demonstration_loss", "student/gate_accuracy"})
    ASSERT_EQ(curve(metric).size(), 2) << metric;
  EXPECT_EQ(curve("demonstration_loss")[0].y, 2);
  EXPECT_EQ(curve("student/gate_accuracy")[1].y, 0.75);
  EXPECT_EQ(run.stages[0].curves.size(), 2);
}

TEST(RunData, AnInterruptedRunIsReportedFromItsMetrics) {
  TemporaryFolder folder;
  SyntheticRun run;
  run.stages = {"sft", "rl"};
  run.write(folder.path());
  std::filesystem::remove(folder.path() / "summary.json");
  const RunData read = read_run(folder.path());
  EXPECT_THAT(read.notes, Contains("Unfinished: stage rl is at step 250."));
  EXPECT_EQ(read.evaluations.size(), 6);
  write_report({folder.path()}, folder.path() / "report.html");
  EXPECT_THAT(content(folder.path() / "report.html"), HasSubstr("Unfinished: stage rl"));
}

TEST(RunData, HostileFilesAreNoReasonToFail) {
  TemporaryFolder folder;
  for (const char* summary :
       {"", "[]", "{", "null", "{\"stages\":3}", "{\"stages\":[3,{\"stage\":\"rl\",\"eval\":[1]}],\"wall_s\":\"x\"}",
        "{\"run\":7,\"stages\":[{\"stage\":\"rl\",\"steps\":1e308,\"eval\":{\"accuracy\":\"1\",\"mean_tokens\":2}}]}",
        "{\"stages\":[{\"stage\":\"rl\",\"eval\":{\"accuracy\":1,\"mean_tokens\":2,\"by_difficulty\":[1,{}],\"forms\":"
        "7}}]}"}) {
    std::ofstream(folder.path() / "summary.json") << summary;
    std::ofstream(folder.path() / "environment.json") << summary;
    std::ofstream(folder.path() / "metrics.jsonl") << R"({"stage":"rl","step":-5,"loss":1e308,"eval/accuracy":2})"
                                                   << "\n"
                                                   << R"({"stage":"rl","step":1e300,"loss":-1e308,"nonfinite":{}})"
                                                   << "\n";
    EXPECT_NO_THROW(write_report({folder.path()}, folder.path() / "report.html")) << summary;
  }
}

TEST(RunData, AFolderWithoutResultsIsTheUsersMistake) {
  TemporaryFolder folder;
  EXPECT_THROW(write_report({folder.path()}, folder.path() / "report.html"), UsageError);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "report.html"));
}

TEST(RunData, ValuesThatAreNotFiniteAreNoted) {
  TemporaryFolder folder;
  std::ofstream(folder.path() / "metrics.jsonl") << R"({"stage":"sft","step":1,"loss":null,"nonfinite":["loss"]})"
                                                 << "\n";
  EXPECT_THAT(read_run(folder.path()).notes, Contains(HasSubstr("1 record(s) contain values that are not finite")));
}

TEST(Charts, HugeMetricsStayBounded) {
  TemporaryFolder folder;
  {
    std::ofstream file(folder.path() / "metrics.jsonl");
    for (int i = 1; i <= 40000; ++i) file << R"({"stage":"pretrain","step":)" << i << R"(,"loss":)" << 1.0 / i << "}\n";
  }
  write_report({folder.path()}, folder.path() / "report.html");
  EXPECT_LT(std::filesystem::file_size(folder.path() / "report.html"), 120000);
  const auto charts = stage_charts({read_run(folder.path())}, "pretrain");
  ASSERT_EQ(charts.size(), 1);
  EXPECT_LE(charts[0].spec.at("series")[0].at("points").size(), 2000);
}

TEST(Charts, RunsWithoutEvaluationsShowTrainingRollouts) {
  TemporaryFolder folder;
  SyntheticRun().write(folder.path());
  std::filesystem::remove(folder.path() / "summary.json");
  std::ofstream cleaned(folder.path() / "clean");
  std::ifstream stream(folder.path() / "metrics.jsonl");
  for (std::string line; std::getline(stream, line);) {
    json record = json::parse(line);
    for (auto it = record.begin(); it != record.end();)
      it = it.key().starts_with("eval/") ? record.erase(it) : std::next(it);
    cleaned << record.dump() << "\n";
  }
  cleaned.close();
  std::filesystem::rename(folder.path() / "clean", folder.path() / "metrics.jsonl");
  const Runs runs = {read_run(folder.path())};
  const auto charts = progress_charts(runs);
  ASSERT_EQ(charts.size(), 2);
  EXPECT_EQ(charts[0].spec.at("series").size(), 8);
  EXPECT_EQ(charts[0].spec.at("series")[0].at("points").size(), 25);
  EXPECT_TRUE(phase_chart(runs).has_value());
  EXPECT_TRUE(forms_chart(runs[0], 0).has_value());
}

TEST(Charts, FormsAddUpAndGoFromTheFirstToTheLast) {
  TemporaryFolder folder;
  SyntheticRun().write(folder.path());
  const auto chart = forms_chart(read_run(folder.path()), 0);
  ASSERT_TRUE(chart.has_value());
  std::vector<std::string> names;
  std::vector<double> sums(26);
  for (const json& series : chart->spec.at("series")) {
    names.push_back(series.at("name"));
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += series.at("points")[i][1].get<double>();
  }
  EXPECT_THAT(names, testing::ElementsAre("recheck", "verbose", "compact", "states", "direct", "other"));
  for (double sum : sums) EXPECT_NEAR(sum, 1, 0.02);
}

TEST(Traces, ThePairsAreNotChosenByOutcomeAndLongOnesAreCut) {
  TemporaryFolder folder;
  std::ofstream file(folder.path() / "rl.jsonl");
  for (const int step : {0, 10, 20})
    for (int problem = 0; problem < 100; ++problem) {
      file << json{{"stage", "rl"},      {"step", step},
                   {"problem", problem}, {"difficulty", 1},
                   {"prompt", "p"},      {"response", std::string(9000, 'x')},
                   {"tokens", 5},        {"correct", problem % 2 == 0},
                   {"form", "f"},        {"logged_for", "eval"}}
                  .dump()
           << "\n";
    }
  file.close();
  int64_t skipped = 0;
  const auto pairs = read_trace_pairs(
      folder.path(), 10, [](const std::string&, int64_t step) { return step; }, skipped);
  ASSERT_EQ(pairs.size(), 16);
  EXPECT_EQ(pairs[0].before.step, 10);
  EXPECT_EQ(pairs[0].after.step, 20);
  EXPECT_TRUE(pairs[0].after.correct);
  EXPECT_FALSE(pairs[1].after.correct);
  EXPECT_LT(pairs[0].after.response.size(), 4100);
}

}  // namespace
}  // namespace terse::launch::report
