// Reads the evaluations of a run from its records and its summary.
#pragma once

#include "launch/report/run_data.h"

namespace terse::launch::report {

// Returns the evaluation in a record of metrics.jsonl. Its names begin with "eval/".
std::optional<Evaluation> evaluation_in(const nlohmann::json& record);
// Returns the evaluation in the `eval` object of a stage in summary.json.
std::optional<Evaluation> evaluation_after(const nlohmann::json& stage);

}  // namespace terse::launch::report
