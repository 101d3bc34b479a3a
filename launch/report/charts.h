// The charts of a report as data for charts.js. A chart exists only if there is something to draw.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "launch/report/run_data.h"

namespace terse::launch::report {

struct Chart {
  std::string id;  // unique in the page; part of an element's id
  std::string title;
  std::string note;  // unit, or how to read it
  std::string size;  // share of a row on a wide screen: "wide", "half", "third"
  nlohmann::json spec;
};

using Runs = std::vector<RunData>;

// Accuracy against mean tokens: one point per evaluation, and small ones for the training steps between.
std::optional<Chart> phase_chart(const Runs& runs);
// Mean tokens and accuracy over the steps. One run gets a curve for each difficulty, several runs get one curve each.
std::vector<Chart> progress_charts(const Runs& runs);
// Share of each trace form over the steps. The id contains `index`, the number of the run among several.
std::optional<Chart> forms_chart(const RunData& run, size_t index);
// Training curves of a stage: "pretrain", "sft", "rl" or any other.
std::vector<Chart> stage_charts(const Runs& runs, const std::string& stage);

}  // namespace terse::launch::report
