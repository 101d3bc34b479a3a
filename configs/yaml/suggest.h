// Suggests the nearest known word for an unknown one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "configs/fields.h"

namespace terse::configs {

// Returns the edit distance, in which a transposition of neighbours counts as one edit (optimal string alignment). It
// ignores case and treats '-' as '_'.
size_t edit_distance(std::string_view a, std::string_view b);

// Returns the known word nearest to `word`, or "" when none is near enough.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

// Returns the dotted paths that `key`, which is unknown in `section`, may have meant. The result is empty when nothing
// is near.
std::vector<std::string> nearest_paths(const FieldTable& table, std::string_view section, std::string_view key);

}  // namespace terse::configs
