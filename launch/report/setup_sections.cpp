// Builds the end of the page: the responses to the same problems side by side, and how a run was made and can be
// repeated.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "launch/report/html.h"
#include "launch/report/sections.h"
#include "launch/text.h"

namespace terse::launch::report {
namespace {

constexpr size_t kOpenPairs = 8;  // pairs that are visible; the rest is folded

// Sets the answer that follows the thinking apart from it.
std::string response_html(const std::string& response) {
  static const std::string kClose = "</think>";
  const size_t close = response.rfind(kClose);
  if (close == std::string::npos) return escape(response);
  const std::string_view text = response;
  return escape(text.substr(0, close)) + "<span class=\"mark\">" + escape(kClose) + "</span><b>" +
         escape(text.substr(close + kClose.size())) + "</b>";
}

std::string trace_html(const char* when, const Trace& trace, int64_t longest) {
  const double share = longest > 0 ? 100.0 * static_cast<double>(trace.tokens) / static_cast<double>(longest) : 0;
  return fmt::format(
      R"(<div class="trace {0}"><p class="verdict"><span class="when">{1}</span> <span class="sign">{2}</span> <b>{3}</b> tokens)"
      R"( <span class="form">{4}</span></p><svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width="{5:.1f}" height="1"/></svg>)"
      R"(<pre>{6}</pre></div>)",
      trace.correct ? "right" : "wrong", when, trace.correct ? "✓ right" : "✗ wrong", with_thousands(trace.tokens),
      escape(trace.form), std::clamp(share, 0.0, 100.0), response_html(trace.response));
}

// Returns the kind of problem that a trace answers, or nothing where the kind is not known.
std::string kind_of(const rl::Difficulty& difficulty) {
  if (!difficulty.task.empty()) return label_of(difficulty);
  return difficulty.value < 0 ? "" : "difficulty " + label_of(difficulty);
}

std::string pair_html(const TracePair& pair) {
  const int64_t longest = std::max(pair.before.tokens, pair.after.tokens);
  return fmt::format("<article class=\"pair\"><p class=\"problem\"><span>{}</span><code>{}</code></p>{}{}</article>\n",
                     escape(kind_of(pair.difficulty)), escape(pair.prompt), trace_html("before", pair.before, longest),
                     trace_html("after", pair.after, longest));
}

// Shows the first problem of each difficulty and folds the others. For a task of few difficulties it shows the first
// problems instead.
std::string pairs_html(const std::vector<TracePair>& pairs) {
  std::set<rl::Difficulty> difficulties;
  for (const TracePair& pair : pairs) difficulties.insert(pair.difficulty);
  const bool spread = difficulties.size() * 2 >= kOpenPairs;
  std::string open, folded;
  size_t opened = 0;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const bool first = i == 0 || pairs[i].difficulty != pairs[i - 1].difficulty;
    const bool show = opened < kOpenPairs && (first || !spread);
    (show ? open : folded) += pair_html(pairs[i]);
    opened += show ? 1 : 0;
  }
  if (folded.empty()) return open;
  return open + fmt::format("<details class=\"more\"><summary>{} more problems</summary>\n{}</details>\n",
                            pairs.size() - opened, folded);
}

std::string reproduce(const RunData& run) {
  std::string text;
  const std::string commit = text_of(run.environment, "commit");
  if (!commit.empty() && commit != "unknown") text += "git checkout " + shell_word(commit) + "\n";
  std::string command;
  if (run.environment.is_object() && run.environment.contains("command")) {
    const nlohmann::json& words = run.environment["command"];
    if (words.is_string()) command = words.get<std::string>();
    if (words.is_array())
      for (const auto& word : words)
        if (word.is_string()) command += (command.empty() ? "" : " ") + shell_word(word.get<std::string>());
  }
  if (command.empty())
    command = "terse run " + shell_word((run.dir / "config.yaml").string()) + " --run-dir NEW_FOLDER";
  std::string html = "<pre class=\"command\">" + escape(text + command) + "</pre>\n";
  if (flag_of(run.environment, "dirty"))
    html += "<p class=\"note\">The working tree had changes that were not committed.</p>\n";
  return html;
}

// Nested objects become dotted names. A long list is replaced by its length.
void flatten(const std::string& name, const nlohmann::json& value,
             std::vector<std::pair<std::string, std::string>>& rows) {
  if (rows.size() > 200) return;
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) flatten(name.empty() ? key : name + "." + key, inner, rows);
  } else if (value.is_array()) {
    std::string text;
    bool simple = value.size() <= 32;
    for (const auto& item : value) {
      simple = simple && !item.is_structured();
      if (simple) text += (text.empty() ? "" : " ") + (item.is_string() ? item.get<std::string>() : item.dump());
    }
    rows.emplace_back(name, simple ? text : fmt::format("{} entries", value.size()));
  } else if (!value.is_null()) {
    rows.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  }
}

std::string environment_html(const RunData& run) {
  std::vector<std::pair<std::string, std::string>> rows;
  flatten("", run.environment, rows);
  if (rows.empty()) return "";
  std::string body;
  for (const auto& [name, value] : rows)
    body += "<tr><th scope=\"row\">" + escape(name) + "</th>" + cell(value) + "</tr>\n";
  return "<details><summary>Environment</summary><div class=\"scroll\"><table class=\"plain\"><tbody>" + body +
         "</tbody></table></div></details>\n";
}

std::string stages_table(const RunData& run) {
  std::string rows;
  for (const Stage& stage : run.stages) {
    rows += "<tr><th scope=\"row\">" + escape(stage.name) + "</th>" +
            cell(stage.steps > 0 ? with_thousands(stage.steps) : "–") +
            cell(stage.tokens > 0 ? with_thousands(stage.tokens) : "–") +
            cell(stage.wall_s > 0 ? duration(stage.wall_s) : "–") + cell(stage.finished ? "finished" : "unfinished") +
            "</tr>\n";
  }
  return scroll(
      "Stages",
      "<table><thead><tr><th scope=\"col\">Stage</th><th scope=\"col\">steps</th><th scope=\"col\">tokens</th>"
      "<th scope=\"col\">time</th><th scope=\"col\"></th></tr></thead><tbody>" +
          rows + "</tbody></table>");
}

}  // namespace

std::string traces_section(const Runs& runs) {
  std::string html;
  size_t shown = 0;
  for (const RunData& run : runs) {
    if (run.traces.empty()) continue;
    if (runs.size() == 1) {
      html += pairs_html(run.traces);
    } else {
      html += fmt::format("<details{}><summary>{}</summary>\n{}</details>\n", shown == 0 ? " open" : "",
                          escape(run.name), pairs_html(run.traces));
    }
    ++shown;
  }
  if (html.empty()) return "";
  return section("traces", "The same problems, before and after",
                 "The first problems of each difficulty at the first and the last evaluation, not chosen by their "
                 "outcome. The bar shows the length relative to the longer of the two.",
                 html);
}

std::string setup_section(const Runs& runs) {
  std::string html;
  for (const RunData& run : runs) {
    if (runs.size() > 1) html += "<h3>" + escape(run.name) + "</h3>\n";
    html += stages_table(run) + reproduce(run) + environment_html(run);
    if (!run.config.empty())
      html += "<details><summary>Resolved configuration</summary><pre class=\"config\">" + escape(run.config) +
              "</pre></details>\n";
  }
  return section("setup", "How to reproduce", "", html);
}

}  // namespace terse::launch::report
