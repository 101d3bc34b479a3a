// The end of a run in a few lines.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace terse::launch {

// From the object of summary.json: what the stages did, and accuracy and length before and after, where there was an
// evaluation. Lines end with a newline. Never throws: what the summary lacks is left out.
std::string outcome(const nlohmann::json& summary);

}  // namespace terse::launch
