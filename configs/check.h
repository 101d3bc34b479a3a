// Checks the rules that tie several options together.
#pragma once

#include <string>
#include <vector>

#include "configs/run_config.h"

namespace terse::configs {

struct Violation {
  std::vector<std::string> keys;  // options that clash, the likeliest cause first
  std::string text;
};

// Returns one entry per violated rule. Ranges and choices of single options are not checked here.
std::vector<Violation> cross_field_violations(const RunConfig& config);

}  // namespace terse::configs
