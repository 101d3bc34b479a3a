// Makes text safe in HTML, and formats the numbers of a report.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

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

}  // namespace terse::launch::report
