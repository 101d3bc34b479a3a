// Builds the pieces of HTML that all sections share.
#pragma once

#include <string>
#include <vector>

#include "launch/report/charts.h"

namespace terse::launch::report {

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
