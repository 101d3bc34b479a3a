// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace terse::launch {

std::string with_thousands(int64_t number);  // "9,600"
std::string duration(double seconds);        // "8.2 s", "4 min 12 s", "3 h 05 min"
std::string byte_size(int64_t bytes);        // "512 B", "3.4 GiB"

// Columns as wide as their widest cell, right-aligned except those in `left`; two spaces between, no trailing space.
std::string table(const std::vector<std::vector<std::string>>& rows, const std::vector<size_t>& left = {});

// Turns \n, \t, \r, \0 and \\ into the characters they name, as a shell passes them on. Throws UsageError on any other.
std::string unescape(const std::string& text);

}  // namespace terse::launch
