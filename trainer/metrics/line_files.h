// One writer for all line files of a run folder (metrics.jsonl, ledger.jsonl, traces/). A checkpoint stores the
// positions of all files together, so that after a resume no file has a line twice.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trainer/metrics/jsonl_file.h"

namespace terse::trainer {

class LineFiles {
 public:
  // The position of each file in bytes, by its name in the folder.
  using Positions = std::map<std::string, int64_t>;

  // `names` are paths inside `folder`, such as "traces/rl.jsonl". No other file can be written, because a checkpoint
  // could not restore its position. The first file is opened at once, and each other file by its first line. All
  // functions throw MetricsError.
  LineFiles(std::filesystem::path folder, const std::vector<std::string>& names);

  // Appends a line as JsonlFile::append does. When this line ends an outage, returns the number of lines that were lost
  // in it, else 0. Throws std::logic_error for a name that was not given to the constructor.
  int64_t append(const std::string& name, const std::string& line);

  // Syncs all files to disk and returns their positions.
  Positions sync();
  // Truncates every file to its position, and leaves files alone that `positions` does not name. Returns the new
  // positions. They are smaller than `positions` where lines are missing.
  Positions rewind(const Positions& positions);
  // Truncates every file to 0 bytes.
  void clear();

 private:
  struct Entry {
    std::optional<JsonlFile> file;
    int64_t unopened = 0;  // lines lost because the file could not be opened
  };
  bool is_missing(const std::string& name, const Entry& entry) const;
  JsonlFile& open(const std::string& name, Entry& entry);

  std::filesystem::path folder_;
  std::map<std::string, Entry> entries_;
};

}  // namespace terse::trainer
