// Builds the tables of numbers: before and after, and several runs side by side.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "launch/report/html.h"
#include "launch/report/sections.h"
#include "launch/text.h"

namespace terse::launch::report {

std::string comparison_section(const Runs& runs) {
  std::string rows;
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunData& run = runs[i];
    rows += fmt::format("<tr><th scope=\"row\"><i class=\"swatch c{}\"></i>{}</th>", i % 8, escape(run.name));
    std::string lowest;
    if (run.after) {
      for (const auto& [k, c] : run.at_after().by_difficulty)
        if (lowest.empty() || std::stod("0" + lowest) > c.accuracy) lowest = accuracy_text(c.accuracy);
    }
    rows += cell(run.compares() ? accuracy_text(run.at_before().accuracy) : "");
    rows += cell(run.after ? accuracy_text(run.at_after().accuracy) : "");
    rows += cell(lowest);
    rows += cell(run.compares() ? tokens_text(run.at_before().mean_tokens) : "");
    rows += cell(run.after ? tokens_text(run.at_after().mean_tokens) : "");
    rows += cell(run.compares() ? percent_change(run.at_before().mean_tokens, run.at_after().mean_tokens) : "");
    rows += cell(run.wall_s > 0 ? duration(run.wall_s) : "") + "</tr>\n";
  }
  std::string list;
  for (const RunData& run : runs) list += "<li><b>" + escape(run.name) + "</b>: " + headline(run) + "</li>\n";
  return section(
      "comparison", "Comparison", "",
      "<ul class=\"outcomes\">" + list +
          "</ul>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Comparison of runs\"><table>"
          "<thead><tr><th scope=\"col\" rowspan=\"2\">Run</th><th scope=\"colgroup\" colspan=\"3\">Accuracy</th>"
          "<th scope=\"colgroup\" colspan=\"3\">Tokens per response</th><th scope=\"col\" rowspan=\"2\">Time</th></tr>"
          "<tr><th scope=\"col\">before</th><th scope=\"col\">after</th><th scope=\"col\">weakest</th>"
          "<th scope=\"col\">before</th><th scope=\"col\">after</th><th "
          "scope=\"col\">change</th></tr></thead>\n<tbody>" +
          rows + "</tbody></table></div>\n");
}

std::string difficulty_table(const RunData& run) {
  if (!run.compares()) return "";
  const Evaluation &a = run.at_before(), &b = run.at_after();
  std::string rows;
  for (const auto& [k, last] : b.by_difficulty) {
    if (!a.by_difficulty.contains(k)) continue;
    const Evaluation::Cell& first = a.by_difficulty.at(k);
    rows += fmt::format("<tr><th scope=\"row\">{}</th>", k) + "<td class=\"roomy\">" +
            (last.n > 0 ? with_thousands(std::llround(last.n)) : "–") + "</td>" + cell(accuracy_text(first.accuracy)) +
            cell(accuracy_text(last.accuracy)) + cell(tokens_text(first.mean_tokens)) +
            cell(tokens_text(last.mean_tokens)) + cell(percent_change(first.mean_tokens, last.mean_tokens)) + "</tr>\n";
  }
  if (rows.empty()) return "";
  return scroll("Before and after by difficulty",
                "<table><thead><tr><th scope=\"col\" rowspan=\"2\">Difficulty</th><th scope=\"col\" rowspan=\"2\" "
                "class=\"roomy\">samples</th>"
                "<th scope=\"colgroup\" colspan=\"2\">Accuracy</th><th scope=\"colgroup\" colspan=\"3\">Tokens per "
                "response</th></tr>"
                "<tr><th scope=\"col\">before</th><th scope=\"col\">after</th><th scope=\"col\">before</th><th "
                "scope=\"col\">after</th>"
                "<th scope=\"col\">change</th></tr></thead>\n<tbody>" +
                    rows + "</tbody></table>");
}

std::string difficulty_comparison(const Runs& runs) {
  std::set<int64_t> difficulties;
  std::string names, columns, rows;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].after) continue;
    for (const auto& [k, cell_of_k] : runs[i].at_after().by_difficulty) difficulties.insert(k);
    names += fmt::format("<th scope=\"colgroup\" colspan=\"2\"><i class=\"swatch c{}\"></i>{}</th>", i % 8,
                         escape(runs[i].name));
    columns += "<th scope=\"col\">accuracy</th><th scope=\"col\">tokens</th>";
  }
  for (int64_t k : difficulties) {
    rows += fmt::format("<tr><th scope=\"row\">{}</th>", k);
    for (const RunData& run : runs) {
      if (!run.after) continue;
      const auto& cells = run.at_after().by_difficulty;
      const auto found = cells.find(k);
      rows += found == cells.end()
                  ? cell("–") + cell("–")
                  : cell(accuracy_text(found->second.accuracy)) + cell(tokens_text(found->second.mean_tokens));
    }
    rows += "</tr>\n";
  }
  if (rows.empty()) return "";
  return scroll("The last evaluations by difficulty",
                "<table><thead><tr><th scope=\"col\" rowspan=\"2\">Difficulty</th>" + names + "</tr><tr>" + columns +
                    "</tr></thead>\n<tbody>" + rows + "</tbody></table>");
}

std::string forms_table(const RunData& run) {
  if (!run.compares()) return "";
  const Evaluation &a = run.at_before(), &b = run.at_after();
  std::set<std::string> names;
  for (const Evaluation* e : {&a, &b})
    for (const auto& [form, share] : e->forms) names.insert(form);
  if (names.empty()) return "";
  const auto percent = [](const std::map<std::string, double>& shares, const std::string& form) {
    return shares.contains(form) ? fmt::format("{:.1f} %", 100 * shares.at(form)) : std::string("0 %");
  };
  const auto right = [](const Evaluation& e, const std::string& form) {
    return e.form_accuracy.contains(form) ? accuracy_text(e.form_accuracy.at(form)) : std::string("–");
  };
  std::string rows;
  for (const std::string& form : names) {
    rows += "<tr><th scope=\"row\">" + escape(form) + "</th>" + cell(percent(a.forms, form)) +
            cell(percent(b.forms, form)) + cell(right(a, form)) + cell(right(b, form)) + "</tr>\n";
  }
  return scroll(
      "Trace forms before and after",
      "<table><thead><tr><th scope=\"col\" rowspan=\"2\">Form</th><th scope=\"colgroup\" colspan=\"2\">Share</th>"
      "<th scope=\"colgroup\" colspan=\"2\">Accuracy</th></tr><tr><th scope=\"col\">before</th><th "
      "scope=\"col\">after</th>"
      "<th scope=\"col\">before</th><th scope=\"col\">after</th></tr></thead>\n<tbody>" +
          rows + "</tbody></table>");
}

}  // namespace terse::launch::report
