// Summarises the end of a run in a few lines.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace terse::launch {

// Formats the object of summary.json: the stages and their steps, the validation loss, and accuracy and length before
// and after, where there was an evaluation. Each line ends with a newline. Never throws: the text ends at the first
// line whose fields are missing or have the wrong type.
std::string outcome(const nlohmann::json& summary);

}  // namespace terse::launch
