// The line files of a run folder (metrics.jsonl, ledger.jsonl, traces/): one writer for them all. They have one
// position together, which every checkpoint keeps, so a resumed run has no line twice in any of them.
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
  // Bytes of each file, by its name in the folder.
  using Positions = std::map<std::string, int64_t>;

  // `names` are paths inside `folder`, such as "traces/rl.jsonl". No other file can be written: what a checkpoint does
  // not know of could not be taken back. The first of them is opened at once, the others by their first line. Throws
  // MetricsError, here and below.
  LineFiles(std::filesystem::path folder, const std::vector<std::string>& names);

  // As JsonlFile::append. Returns the number of lines that are missing when this one ends an outage, else 0. Throws
  // std::logic_error for a name that was not given.
  int64_t append(const std::string& name, const std::string& line);

  // Where every file stands, with everything before it on disk.
  Positions sync();
  // Cuts every file to its position; one that `positions` does not name is left as it is. Returns where the files stand
  // then: not at `positions` where lines are missing.
  Positions rewind(const Positions& positions);
  // Cuts every file to nothing.
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
