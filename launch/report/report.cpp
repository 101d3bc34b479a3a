// Reads the runs, orders the sections, and fills the template.
#include "launch/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/durable.h"
#include "launch/output_file.h"
#include "launch/report/assets.h"
#include "launch/report/charts.h"
#include "launch/report/html.h"
#include "launch/report/run_data.h"
#include "launch/report/sections.h"

namespace terse::launch {
namespace {

using namespace report;  // the parts of this page

struct Page {
  std::string nav, sections;
  nlohmann::json charts = nlohmann::json::array();

  void add(const std::string& id, const std::string& title, const std::string& note, const std::string& content) {
    if (content.empty()) return;
    link(id, title);
    sections += section(id, title, note, content);
  }
  void link(const std::string& id, const std::string& title) {
    nav += fmt::format("<a href=\"#{}\">{}</a>", escape(id), escape(title));
  }
  // Adds the charts to the page's data and returns the figures that the script fills.
  std::string place(const std::vector<Chart>& list) {
    for (const Chart& chart : list) {
      nlohmann::json spec = chart.spec;
      spec["id"] = chart.id;
      spec["title"] = chart.title;
      charts.push_back(std::move(spec));
    }
    return figures(list);
  }
};

// Replaces each {{name}} once. The inserted text is not searched again.
std::string fill(std::string_view text, const std::map<std::string, std::string>& values) {
  std::string out;
  for (size_t open; (open = text.find("{{")) != std::string_view::npos;) {
    const size_t close = text.find("}}", open);
    out += text.substr(0, open);
    out += values.at(std::string(text.substr(open + 2, close - open - 2)));
    text.remove_prefix(close + 2);
  }
  return out.append(text);
}

std::string stage_title(const std::string& stage) {
  if (stage == "rl") return "Reinforcement learning";
  if (stage == "sft") return "Supervised fine-tuning";
  if (stage == "pretrain") return "Pretraining";
  return "Stage " + stage;
}

// Returns the stages of all runs. The last stage comes first, because its curves explain the outcome.
std::vector<std::string> stage_names(const Runs& runs) {
  std::vector<std::string> names;
  for (const RunData& run : runs)
    for (const Stage& stage : run.stages)
      if (std::find(names.begin(), names.end(), stage.name) == names.end()) names.push_back(stage.name);
  std::reverse(names.begin(), names.end());
  return names;
}

// Gives runs of the same name their paths as names.
void name_apart(Runs& runs) {
  std::map<std::string, int> count;
  for (const RunData& run : runs) ++count[run.name];
  for (RunData& run : runs)
    if (count[run.name] > 1) run.name = run.dir.string();
}

bool is_report(const std::filesystem::path& file) {
  std::string head(2048, '\0');
  std::ifstream(file, std::ios::binary).read(head.data(), static_cast<std::streamsize>(head.size()));
  return head.find(R"(<meta name="generator" content="terse">)") != std::string::npos;
}

Page build(const Runs& runs) {
  Page page;
  if (runs.size() > 1) {
    page.link("comparison", "Comparison");
    page.sections += comparison_section(runs);
  }
  if (const auto chart = phase_chart(runs)) page.add("outcome", "Accuracy and length", "", page.place({*chart}));
  std::string by_difficulty = page.place(progress_charts(runs));
  by_difficulty += runs.size() == 1 ? difficulty_table(runs.front()) : difficulty_comparison(runs);
  page.add("difficulty",
           runs.size() > 1        ? "Over the steps"
           : runs.front().mixes() ? "By task"
                                  : "By difficulty",
           "", by_difficulty);

  std::string forms;
  for (size_t i = 0; i < runs.size(); ++i) {
    auto chart = forms_chart(runs[i], i);
    if (!chart) continue;
    if (runs.size() > 1) chart->title += " of " + runs[i].name;
    forms += page.place({*chart});
  }
  if (runs.size() == 1) forms += forms_table(runs.front());
  page.add("forms", "Forms of reasoning", "", forms);

  if (const std::string traces = traces_section(runs); !traces.empty()) {
    page.link("traces", "Traces");
    page.sections += traces;
  }
  for (const std::string& stage : stage_names(runs))
    page.add("stage-" + stage, stage_title(stage), "", page.place(stage_charts(runs, stage)));
  page.link("setup", "Reproduce");
  page.sections += setup_section(runs);
  return page;
}

}  // namespace

void write_report(const std::vector<std::filesystem::path>& run_dirs, const std::filesystem::path& output) {
  require_output({output, {}, "a report", is_report, /*overwrite=*/true});
  Runs runs;
  for (const auto& dir : run_dirs) runs.push_back(read_run(dir));
  name_apart(runs);
  Page page = build(runs);
  const std::string title = runs.size() == 1 ? runs.front().name + ": " + plain_headline(runs.front())
                                             : fmt::format("{} runs compared", runs.size());
  write_durably(output,
                fill(kPageHtml, {{"title", escape(title)},
                                 {"style-hash", csp_hash(kPageCss)},
                                 {"script-hash", csp_hash(kPageJs)},
                                 {"style", std::string(kPageCss)},
                                 {"header", header_section(runs)},
                                 {"nav", page.nav},
                                 {"sections", page.sections},
                                 {"footer", "Written by terse. This file is self-contained: it loads nothing else."},
                                 {"data", json_for_script({{"charts", page.charts}})},
                                 {"script", std::string(kPageJs)}}));
}

}  // namespace terse::launch
