// The rules that tie several options together.
#pragma once

#include <string>
#include <vector>

#include "configs/run_config.h"

namespace terse::configs {

struct Violation {
  std::vector<std::string> keys;  // the options that clash, the likeliest culprit first
  std::string text;
};

std::vector<Violation> cross_field_violations(const RunConfig& config);

}  // namespace terse::configs
