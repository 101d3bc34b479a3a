// The few pieces of HTML that all sections are made of.
#pragma once

#include <string>
#include <vector>

#include "launch/report/charts.h"

namespace terse::launch::report {

// A cell of a table; the text is escaped, and a dash stands for an empty one.
std::string cell(const std::string& text);
// A table that may be wider than a phone: it scrolls by itself, not the page.
std::string scroll(const std::string& label, const std::string& table);
// A title and its content; without a note when that is empty.
std::string section(const std::string& id, const std::string& title, const std::string& note,
                    const std::string& content);
// Empty places that charts.js fills.
std::string figures(const std::vector<Chart>& charts);

}  // namespace terse::launch::report
