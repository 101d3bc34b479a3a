// Changes one member of a JSON text and leaves every other byte as it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace terse::data {

// Returns the text with `value`, itself JSON, as the member at `path`. All members of the path but the last must be
// there already, as objects. `text` must be JSON, without a key twice in one object.
std::string with_member(const std::string& text, const std::vector<std::string>& path, std::string_view value);

}  // namespace terse::data
