// Makes text safe in HTML, formats the numbers of a report, and builds the pieces of HTML that all sections share.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "launch/report/charts.h"

namespace terse::launch::report {

// Escapes text for element content and quoted attribute values. Invalid UTF-8 and control characters other than newline
// and tab become U+FFFD.
std::string escape(std::string_view text);
// Serialises JSON that cannot end the <script> element around it.
std::string json_for_script(const nlohmann::json& json);

std::string accuracy_text(double accuracy);  // ".915", "1.000"
std::string tokens_text(double tokens);      // "32.0", "1,204"
std::string percent_change(
    double before, double after);  // "−77 %", "+3 %", "±0 %", with a space that does not break; empty when before is 0

// Hashes an inline script or style for the page's content security policy: "'sha256-...'".
std::string csp_hash(std::string_view content);

// A cell of a table. The text is escaped, and a dash replaces an empty one.
std::string cell(const std::string& text);
// A table that may be wider than a phone. It scrolls by itself, so the page does not. `table` is HTML.
std::string scroll(const std::string& label, const std::string& table);
// A title and its content, which is HTML. An empty note is left out.
std::string section(const std::string& id, const std::string& title, const std::string& note,
                    const std::string& content);
// Empty figures that charts.js fills.
std::string figures(const std::vector<Chart>& charts);

}  // namespace terse::launch::report
