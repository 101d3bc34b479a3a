// Shows the responses to the same problem side by side.
#include <fmt/format.h>

#include <algorithm>
#include <set>

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

std::string pair_html(const TracePair& pair) {
  const int64_t longest = std::max(pair.before.tokens, pair.after.tokens);
  return fmt::format(
      "<article class=\"pair\"><p class=\"problem\"><span>difficulty {}</span><code>{}</code></p>{}{}</article>\n",
      pair.difficulty, escape(pair.prompt), trace_html("before", pair.before, longest),
      trace_html("after", pair.after, longest));
}

// Shows the first problem of each difficulty and folds the others. For a task of few difficulties it shows the first
// problems instead.
std::string pairs_html(const std::vector<TracePair>& pairs) {
  std::set<int64_t> difficulties;
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

}  // namespace terse::launch::report
