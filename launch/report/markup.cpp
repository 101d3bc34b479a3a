// Everything is escaped here, except `content` and `table`, which are HTML already.
#include "launch/report/markup.h"

#include <fmt/format.h>

#include "launch/report/html.h"

namespace terse::launch::report {
namespace {

std::string figure(const Chart& chart) {
  return fmt::format(
      "<figure class=\"chart {1}\" id=\"chart-{0}\" data-chart=\"{0}\" aria-labelledby=\"caption-{0}\">"
      "<figcaption id=\"caption-{0}\"><h3>{2}</h3><p>{3}</p></figcaption><div class=\"plot\"></div></figure>\n",
      escape(chart.id), escape(chart.size), escape(chart.title), escape(chart.note));
}

}  // namespace

std::string cell(const std::string& text) {
  return "<td>" + escape(text.empty() ? "–" : text) + "</td>";
}

std::string scroll(const std::string& label, const std::string& table) {
  return fmt::format("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">{}</div>\n", escape(label),
                     table);
}

std::string section(const std::string& id, const std::string& title, const std::string& note,
                    const std::string& content) {
  return fmt::format(
      "<section id=\"{0}\" aria-labelledby=\"{0}-title\">\n<h2 id=\"{0}-title\">{1}</h2>\n{2}{3}</section>\n",
      escape(id), escape(title), note.empty() ? "" : "<p class=\"note\">" + escape(note) + "</p>\n", content);
}

std::string figures(const std::vector<Chart>& charts) {
  std::string html;
  for (const Chart& chart : charts) html += figure(chart);
  return html.empty() ? "" : "<div class=\"charts\">\n" + html + "</div>\n";
}

}  // namespace terse::launch::report
