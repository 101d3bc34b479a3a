// The parts of the page that are text. They can be read without JavaScript.
#pragma once

#include <string>
#include <vector>

#include "launch/report/charts.h"

namespace terse::launch::report {

// The outcome in one sentence, as HTML. It starts with a capital and ends without a full stop.
std::string headline(const RunData& run);
std::string plain_headline(const RunData& run);  // the same as text

std::string header_section(const Runs& runs);         // title, outcome, key figures, what is missing
std::string comparison_section(const Runs& runs);     // of several runs
std::string difficulty_table(const RunData& run);     // before and after; empty without two evaluations by difficulty
std::string difficulty_comparison(const Runs& runs);  // the last evaluations of several runs
std::string forms_table(const RunData& run);
std::string traces_section(const Runs& runs);  // empty when no run has a pair
std::string setup_section(const Runs& runs);   // stages, how to reproduce, environment, configuration

}  // namespace terse::launch::report
