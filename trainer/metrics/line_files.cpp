// A file without lines need not exist; its position is 0.
#include "trainer/metrics/line_files.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "base/durable.h"
#include "base/errors.h"

namespace terse::trainer {

LineFiles::LineFiles(std::filesystem::path folder, const std::vector<std::string>& names) : folder_(std::move(folder)) {
  for (const std::string& name : names) entries_[name];
  if (!names.empty()) open(names.front(), entries_.at(names.front()));
}

bool LineFiles::is_missing(const std::string& name, const Entry& entry) const {
  std::error_code error;
  return !entry.file && !std::filesystem::exists(folder_ / name, error);
}

JsonlFile& LineFiles::open(const std::string& name, Entry& entry) {
  if (entry.file) return *entry.file;
  const std::filesystem::path path = folder_ / name;
  try {
    if (std::filesystem::path(name).has_parent_path()) make_folders(path.parent_path());
  } catch (const DiskError& error) {
    throw MetricsError(error.what(), error.error());
  }
  return entry.file.emplace(path);
}

int64_t LineFiles::append(const std::string& name, const std::string& line) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) throw std::logic_error(fmt::format("{} is not one of the line files of this run", name));
  Entry& entry = found->second;
  try {
    open(name, entry);
  } catch (const MetricsError&) {
    if (entry.unopened++ == 0) throw;
    return 0;
  }
  JsonlFile& file = *entry.file;
  const int64_t lost = entry.unopened + file.lost();
  file.append(line);
  if (file.lost() > 0) return 0;
  entry.unopened = 0;
  return lost;
}

LineFiles::Positions LineFiles::sync() {
  Positions positions;
  for (auto& [name, entry] : entries_) positions[name] = is_missing(name, entry) ? 0 : open(name, entry).sync();
  return positions;
}

LineFiles::Positions LineFiles::rewind(const Positions& positions) {
  Positions kept;
  for (const auto& [name, bytes] : positions) {
    const auto found = entries_.find(name);
    if (found == entries_.end()) continue;
    kept[name] = is_missing(name, found->second) ? 0 : open(name, found->second).rewind(bytes);
  }
  return kept;
}

void LineFiles::clear() {
  Positions start;
  for (const auto& [name, entry] : entries_) start[name] = 0;
  rewind(start);
}

}  // namespace terse::trainer
