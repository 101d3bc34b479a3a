// Shows how a run was made and how to repeat it.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "launch/report/html.h"
#include "launch/report/sections.h"
#include "launch/text.h"

namespace terse::launch::report {
namespace {

std::string shell_word(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("_-./=:,+@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string out = "'";
  for (char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
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
