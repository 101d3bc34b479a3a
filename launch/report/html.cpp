// All text from run folders reaches the page through escape() or json_for_script(). The pieces of HTML that sections
// share escape everything except `content` and `table`, which are HTML already.
#include "launch/report/html.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "base/utf8.h"
#include "launch/text.h"

namespace terse::launch::report {
namespace {

std::string figure(const Chart& chart) {
  return fmt::format(
      "<figure class=\"chart {1}\" id=\"chart-{0}\" data-chart=\"{0}\" aria-labelledby=\"caption-{0}\">"
      "<figcaption id=\"caption-{0}\"><h3>{2}</h3><p>{3}</p></figcaption><div class=\"plot\"></div></figure>\n",
      escape(chart.id), escape(chart.size), escape(chart.title), escape(chart.note));
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  for (char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '\n':
      case '\t':
        out += c;
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += "\xEF\xBF\xBD";
        } else {
          out += c;
        }
    }
  }
  return out;
}

std::string json_for_script(const nlohmann::json& json) {
  std::string out;
  for (char c : json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) {
    if (c == '<' || c == '>' || c == '&') {
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string accuracy_text(double accuracy) {
  const std::string text = fmt::format("{:.3f}", accuracy);
  return text.starts_with("0.") ? text.substr(1) : text;
}

std::string tokens_text(double tokens) {
  return tokens < 999.95 ? fmt::format("{:.1f}", tokens) : with_thousands(std::llround(tokens));
}

std::string percent_change(double before, double after) {
  if (before == 0) return "";
  const auto percent = std::llround(100 * (after - before) / before);
  if (percent == 0) return "±0\u00a0%";
  return fmt::format("{}{}\u00a0%", percent < 0 ? "−" : "+", std::abs(percent));
}

std::string csp_hash(std::string_view content) {
  const std::string hex = sha256_bytes(content);
  unsigned char digest[32], text[48];
  for (size_t i = 0; i < 32; ++i) digest[i] = static_cast<unsigned char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  const int size = EVP_EncodeBlock(text, digest, 32);
  return fmt::format("'sha256-{}'", std::string_view(reinterpret_cast<char*>(text), static_cast<size_t>(size)));
}

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
