// Builds the outcome and the key figures at the top of the page, and the tables of numbers: before and after, and
// several runs side by side.
#include "launch/report/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "launch/report/html.h"
#include "launch/text.h"

namespace terse::launch::report {
namespace {

std::string arrow(const std::string& from, const std::string& to) {
  return from + " → " + to;
}

// The parts of a sentence. The odd ones are numbers, which are printed in bold: text, number, text, number, ...
using Parts = std::vector<std::string>;

// The first and the last validation loss of the first stage that has one. Without any, the same of the training loss.
Parts loss_parts(const RunData& run) {
  const std::pair<const char*, const char*> losses[] = {{"val_loss", "Validation loss "}, {"loss", "Loss "}};
  for (const auto& [metric, label] : losses) {
    for (const Stage& stage : run.stages) {
      const auto found = stage.curves.find(metric);
      if (found == stage.curves.end() || found->second.empty()) continue;
      const auto points = found->second.points();
      const std::string last = fmt::format("{:.3f}", points.back().y);
      if (points.size() == 1) return {label, last};
      return {label, arrow(fmt::format("{:.3f}", points.front().y), last)};
    }
  }
  return {"No results yet", ""};
}

Parts outcome_parts(const RunData& run) {
  Parts parts;
  if (run.compares()) {
    const Evaluation &a = run.at_before(), &b = run.at_after();
    parts = {"Accuracy ", arrow(accuracy_text(a.accuracy), accuracy_text(b.accuracy)), ", tokens ",
             arrow(tokens_text(a.mean_tokens), tokens_text(b.mean_tokens))};
    if (const std::string change = percent_change(a.mean_tokens, b.mean_tokens); !change.empty())
      parts.insert(parts.end(), {" (" + change + ")", ""});
  } else if (run.after) {
    parts = {"Accuracy ", accuracy_text(run.at_after().accuracy),
             " at ",      tokens_text(run.at_after().mean_tokens),
             " tokens",   ""};
  } else {
    parts = loss_parts(run);
  }
  if (run.wall_s > 0) parts.insert(parts.end(), {" in " + duration(run.wall_s), ""});
  return parts;
}

std::string tile(const std::string& label, const std::string& value, const std::string& note) {
  return fmt::format(R"(<div class="tile"><dt>{}</dt><dd>{}<small>{}</small></dd></div>)", escape(label), escape(value),
                     escape(note));
}

// The cells of an evaluation that can be compared: the difficulties of a task, or the tasks of a mixture.
std::map<rl::Difficulty, Evaluation::Cell> comparable(const Evaluation& evaluation) {
  std::map<rl::Difficulty, Evaluation::Cell> cells = evaluation.by_difficulty;
  std::erase_if(cells, [](const auto& cell) { return !cell.first.task.empty() && cell.first.value >= 0; });
  return cells;
}

std::string lowest_tile(const RunData& run) {
  const std::map<rl::Difficulty, Evaluation::Cell> cells = comparable(run.at_after());
  if (cells.size() < 2) return "";
  const auto lowest = std::min_element(
      cells.begin(), cells.end(), [](const auto& a, const auto& b) { return a.second.accuracy < b.second.accuracy; });
  std::string note = (run.mixes() ? "on " : "at difficulty ") + label_of(lowest->first);
  if (run.compares() && run.at_before().by_difficulty.contains(lowest->first))
    note += ", was " + accuracy_text(run.at_before().by_difficulty.at(lowest->first).accuracy);
  return tile(run.mixes() ? "Weakest task" : "Weakest difficulty", accuracy_text(lowest->second.accuracy), note);
}

std::string time_tile(const RunData& run) {
  if (run.wall_s <= 0) return "";
  std::string parts;
  for (const Stage& stage : run.stages)
    if (stage.wall_s > 0) parts += (parts.empty() ? "" : ", ") + stage.name + " " + duration(stage.wall_s);
  return tile("Time", duration(run.wall_s), parts);
}

std::string loss_tiles(const RunData& run) {
  const std::pair<const char*, const char*> losses[] = {
      {"val_loss", "Validation loss"}, {"loss", "Training loss"}, {"bits_per_byte", "Bits per byte"}};
  std::string tiles;
  const Stage& stage = run.stages.front();
  for (const auto& [metric, label] : losses) {
    const auto found = stage.curves.find(metric);
    if (found != stage.curves.end() && !found->second.empty())
      tiles +=
          tile(label, fmt::format("{:.3f}", found->second.last().y),
               fmt::format("{} step {}", stage.name, with_thousands(static_cast<int64_t>(found->second.last().x))));
  }
  if (stage.tokens > 0) tiles += tile("Tokens", with_thousands(stage.tokens), stage.name);
  return tiles;
}

std::string tiles(const RunData& run) {
  std::string out;
  if (run.after) {
    const Evaluation& b = run.at_after();
    out += tile("Accuracy", accuracy_text(b.accuracy),
                run.compares() ? "was " + accuracy_text(run.at_before().accuracy) : "share of correct answers");
    out += tile("Tokens per response", tokens_text(b.mean_tokens),
                run.compares() ? fmt::format("was {}, {}", tokens_text(run.at_before().mean_tokens),
                                             percent_change(run.at_before().mean_tokens, b.mean_tokens))
                               : "mean");
    out += lowest_tile(run);
  } else if (!run.stages.empty()) {
    out += loss_tiles(run);
  }
  out += time_tile(run);
  return out.empty() ? "" : "<dl class=\"tiles\">" + out + "</dl>\n";
}

// Returns one sentence that lists what the report lacks.
std::string missing(const RunData& run) {
  Parts gone;
  if (run.stage("rl") == nullptr) gone.push_back("no RL stage");
  if (!run.after)
    gone.push_back("no evaluation on a task");
  else if (!run.compares())
    gone.push_back("only one evaluation, so nothing to compare it with");
  if (run.after && run.traces.empty()) gone.push_back("no pairs of traces");
  if (run.config.empty()) gone.push_back("no config.yaml");
  if (run.environment.is_null()) gone.push_back("no environment.json");
  if (gone.empty()) return "";
  std::string text = "This run has ";
  for (size_t i = 0; i < gone.size(); ++i) text += (i == 0 ? "" : i + 1 == gone.size() ? " and " : ", ") + gone[i];
  return text + ".";
}

std::string stages_text(const RunData& run) {
  std::string text;
  for (const Stage& stage : run.stages) {
    text += (text.empty() ? "" : ", ") + stage.name;
    if (stage.steps > 0) text += " " + with_thousands(stage.steps) + " steps";
  }
  return text;
}

std::string notes(const Runs& runs) {
  std::string out;
  for (const RunData& run : runs) {
    Parts lines = run.notes;
    if (const std::string text = missing(run); !text.empty()) lines.insert(lines.begin(), text);
    for (const std::string& line : lines)
      out += "<li>" + (runs.size() > 1 ? "<b>" + escape(run.name) + ":</b> " : "") + escape(line) + "</li>";
  }
  return out.empty() ? "" : "<ul class=\"notes\">" + out + "</ul>\n";
}

}  // namespace

std::string headline(const RunData& run) {
  std::string html;
  const Parts parts = outcome_parts(run);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) continue;
    html += i % 2 == 0 ? escape(parts[i]) : "<b>" + escape(parts[i]) + "</b>";
  }
  return html;
}

std::string plain_headline(const RunData& run) {
  std::string text;
  for (const std::string& part : outcome_parts(run)) text += part;
  return text;
}

std::string header_section(const Runs& runs) {
  const RunData& first = runs.front();
  std::string html = "<header class=\"top\">\n";
  if (runs.size() == 1) {
    html += fmt::format(
        "<p class=\"eyebrow\">terse run report</p>\n<h1>{}</h1>\n<p class=\"lede\">Run <b>{}</b>{}: {}.</p>\n",
        headline(first), escape(first.name), first.task.empty() ? "" : " on task <b>" + escape(first.task) + "</b>",
        escape(stages_text(first)));
    html += tiles(first);
  } else {
    html += fmt::format("<p class=\"eyebrow\">terse run report</p>\n<h1>{} runs compared</h1>\n", runs.size());
  }
  return html + notes(runs) + "</header>\n";
}

std::string comparison_section(const Runs& runs) {
  std::string rows;
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunData& run = runs[i];
    rows += fmt::format("<tr><th scope=\"row\"><i class=\"swatch c{}\"></i>{}</th>", i % 8, escape(run.name));
    std::string lowest;
    if (run.after) {
      for (const auto& [k, c] : comparable(run.at_after()))
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
    rows += "<tr><th scope=\"row\">" + escape(label_of(k)) + "</th>" + "<td class=\"roomy\">" +
            (last.n > 0 ? with_thousands(std::llround(last.n)) : "–") + "</td>" + cell(accuracy_text(first.accuracy)) +
            cell(accuracy_text(last.accuracy)) + cell(tokens_text(first.mean_tokens)) +
            cell(tokens_text(last.mean_tokens)) + cell(percent_change(first.mean_tokens, last.mean_tokens)) + "</tr>\n";
  }
  if (rows.empty()) return "";
  return scroll(run.mixes() ? "Before and after by task" : "Before and after by difficulty",
                std::string("<table><thead><tr><th scope=\"col\" rowspan=\"2\">") +
                    (run.mixes() ? "Task" : "Difficulty") +
                    "</th><th scope=\"col\" rowspan=\"2\" "
                    "class=\"roomy\">samples</th>"
                    "<th scope=\"colgroup\" colspan=\"2\">Accuracy</th><th scope=\"colgroup\" colspan=\"3\">Tokens per "
                    "response</th></tr>"
                    "<tr><th scope=\"col\">before</th><th scope=\"col\">after</th><th scope=\"col\">before</th><th "
                    "scope=\"col\">after</th>"
                    "<th scope=\"col\">change</th></tr></thead>\n<tbody>" +
                    rows + "</tbody></table>");
}

std::string difficulty_comparison(const Runs& runs) {
  std::set<rl::Difficulty> difficulties;
  std::string names, columns, rows;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].after) continue;
    for (const auto& [k, cell_of_k] : runs[i].at_after().by_difficulty) difficulties.insert(k);
    names += fmt::format("<th scope=\"colgroup\" colspan=\"2\"><i class=\"swatch c{}\"></i>{}</th>", i % 8,
                         escape(runs[i].name));
    columns += "<th scope=\"col\">accuracy</th><th scope=\"col\">tokens</th>";
  }
  for (const rl::Difficulty& k : difficulties) {
    rows += "<tr><th scope=\"row\">" + escape(label_of(k)) + "</th>";
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
  const bool mixes = std::any_of(runs.begin(), runs.end(), [](const RunData& run) { return run.mixes(); });
  return scroll(mixes ? "The last evaluations by task" : "The last evaluations by difficulty",
                std::string("<table><thead><tr><th scope=\"col\" rowspan=\"2\">") + (mixes ? "Task" : "Difficulty") +
                    "</th>" + names + "</tr><tr>" + columns + "</tr></thead>\n<tbody>" + rows + "</tbody></table>");
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
