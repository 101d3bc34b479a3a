// The nearest known word for one that is unknown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "configs/fields.h"

namespace terse::configs {

// Edit distance with transpositions of neighbours counted as one edit (optimal string alignment); case and '-' against
// '_' are no difference.
size_t edit_distance(std::string_view a, std::string_view b);

// The known word nearest to `word`, or "" when none is near enough to be what was meant.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

// Dotted paths of what `key`, unknown in `section`, may have meant, best first; empty when nothing is near.
std::vector<std::string> nearest_paths(const FieldTable& table, std::string_view section, std::string_view key);

}  // namespace terse::configs
