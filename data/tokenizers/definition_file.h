// Reads the text files that define a tokenizer, and chat templates.
#pragma once

#include <filesystem>
#include <string>

namespace terse::data {

// Returns the content of a file. Throws DataError when the file is missing, is not a regular file or has more than 64
// MiB, and DiskError when it cannot be read.
std::string read_definition_file(const std::filesystem::path& path);

}  // namespace terse::data
