// Tells files of training data apart by their names and first bytes.
#pragma once

#include <filesystem>

namespace terse::data {

// Returns whether the name ends in .jsonl. Each line of such a file is a JSON object.
bool is_json_lines(const std::filesystem::path& file);

// Throws DataError for a Parquet file and for a compressed file, whatever their names. The message has the command that
// converts it. A file that cannot be read passes, because its reader says more about that.
void refuse_packed_file(const std::filesystem::path& file);

}  // namespace terse::data
