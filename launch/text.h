// Formats numbers and tables for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace terse::launch {

std::string with_thousands(int64_t number);  // "9,600"
std::string duration(double seconds);        // "8.2 s", "4 min 12 s", "3 h 05 min"
std::string byte_size(int64_t bytes);        // "512 B", "3.4 GiB"

// Formats columns that are as wide as their widest cell. Cells are right-aligned, except in the columns `left`. Two
// spaces separate the columns, and lines have no trailing space.
std::string table(const std::vector<std::vector<std::string>>& rows, const std::vector<size_t>& left = {});

// Replaces the escapes \n, \t, \r, \0 and \\, which a shell passes on unchanged, by the characters that they stand for.
// Throws UsageError for any other escape.
std::string unescape(const std::string& text);

// Returns the word as a shell takes it, in quotes where it needs any.
std::string shell_word(const std::string& word);

}  // namespace terse::launch
