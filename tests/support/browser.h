// Opens a page in headless Chromium, in frames of given widths, and reports what a reader would see.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/run_program.h"

namespace terse::support {

inline std::string browser() {
  if (const char* chosen = std::getenv("CHROMIUM")) return chosen;
  for (const std::string name : {"chromium", "chromium-browser", "google-chrome"}) {
    std::string paths = std::getenv("PATH");
    for (size_t begin = 0, end; begin <= paths.size(); begin = end + 1) {
      end = std::min(paths.find(':', begin), paths.size());
      const std::string program = paths.substr(begin, end - begin) + "/" + name;
      if (::access(program.c_str(), X_OK) == 0) return program;
    }
  }
  return "";
}

// The script that inspects every frame. Its result has "frames" with one object for each width:
//   {"width", "dark", "overflow": px of horizontal scroll, "owned": a script in the page's data ran, "images", "text",
//    "charts": {id: {"marks", "drawn": shapes that are not empty, "tip": text at the pointer}}}
inline constexpr const char* kInspect = R"js(
function inspect(frame) {
  const page = frame.contentDocument, root = page.documentElement, charts = {};
  for (const figure of page.querySelectorAll('[data-chart]')) {
    const svg = figure.querySelector('.plot > svg'), chart = {marks: Number(figure.dataset.marks), drawn: 0, tip: ''};
    charts[figure.dataset.chart] = chart;
    if (!svg) continue;
    for (const shape of svg.querySelectorAll('path, circle')) {
      const box = shape.getBBox();
      chart.drawn += box.width + box.height > 1 ? 1 : 0;
      for (const name of ['d', 'cx', 'cy'])
        if (/NaN|Infinity|undefined/.test(shape.getAttribute(name) || '')) throw new Error(figure.dataset.chart + ': ' + name);
    }
    const box = svg.getBoundingClientRect();
    svg.dispatchEvent(new frame.contentWindow.PointerEvent('pointermove', {clientX: box.left + box.width / 2, clientY: box.top + box.height / 2}));
    chart.tip = (figure.querySelector('.tip:not([hidden])') || {}).textContent || '';
  }
  for (const fold of page.querySelectorAll('details')) fold.open = true;
  return {width: frame.width, dark: frame.contentWindow.matchMedia('(prefers-color-scheme: dark)').matches,
          overflow: root.scrollWidth - root.clientWidth, owned: root.dataset.owned || '', images: page.images.length,
          text: page.body.innerText, charts};
}
addEventListener('load', () => setTimeout(() => {
  document.getElementById('result').textContent = JSON.stringify({frames: [...document.querySelectorAll('iframe')].map(inspect)});
}, 500));
)js";

inline std::string html_escaped(const std::string& text) {
  std::string out;
  for (char c : text)
    out += c == '&' ? "&amp;" : c == '"' ? "&quot;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

inline std::string html_unescaped(std::string text) {
  for (const auto& [code, character] :
       {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&nbsp;", "\xC2\xA0"}, {"&amp;", "&"}}) {
    for (size_t at = 0; (at = text.find(code, at)) != std::string::npos; ++at)
      text.replace(at, std::string(code).size(), character);
  }
  return text;
}

// Returns the result of kInspect, or null after a test failure. The page is shown in frames, because a window cannot be
// narrower than about 500 pixels. `scratch` is a folder for temporary files.
inline nlohmann::json open_in_browser(const std::string& page, const std::vector<int>& widths, bool dark,
                                      const std::filesystem::path& scratch) {
  const std::string program = browser();
  if (program.empty()) {
    ADD_FAILURE() << "no Chromium or Chrome: run scripts/setup.sh, or point to one with CHROMIUM=/path/to/chromium";
    return {};
  }
  std::string wrapper =
      "<!doctype html><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\"><pre "
      "id=\"result\"></pre>";
  for (int width : widths)
    wrapper += "<iframe width=\"" + std::to_string(width) + "\" height=\"900\" frameborder=\"0\" srcdoc=\"" +
               html_escaped(page) + "\"></iframe>";
  wrapper += std::string("<script>") + kInspect + "</script>";
  std::ofstream(scratch / "wrapper.html") << wrapper;
  const std::string errors = (scratch / "browser.log").string();
  std::vector<std::string> command = {program,
                                      "--headless",
                                      "--no-sandbox",
                                      "--disable-gpu",
                                      "--dump-dom",
                                      "--enable-logging=stderr",
                                      "--virtual-time-budget=5000",
                                      "--window-size=1400,1000",
                                      "--user-data-dir=" + (scratch / "profile").string()};
  if (dark) command.push_back("--force-dark-mode");
  command.push_back("file://" + (scratch / "wrapper.html").string());
  const ProgramResult result = run_program(command, errors);

  std::ifstream log(errors);
  for (std::string line; std::getline(log, line);) {
    if (line.find(":CONSOLE") != std::string::npos) ADD_FAILURE() << "on the console: " << line;
  }
  const std::string open = "<pre id=\"result\">";
  const size_t begin = result.output.find(open), end = result.output.find("</pre>", begin);
  if (begin == std::string::npos || end == std::string::npos) {
    ADD_FAILURE() << program << " gave no page; its messages are in " << errors;
    return {};
  }
  const std::string text = html_unescaped(result.output.substr(begin + open.size(), end - begin - open.size()));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  EXPECT_TRUE(json.is_object()) << "the page was not inspected: " << text.substr(0, 200);
  return json.is_object() ? json : nlohmann::json();
}

}  // namespace terse::support
