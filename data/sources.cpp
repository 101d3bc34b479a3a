// Stores the record as one JSON object. File names need not be UTF-8, so bytes that JSON cannot hold are replaced.
#include "data/sources.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/durable.h"
#include "base/errors.h"
#include "base/utf8.h"

namespace terse::data {

namespace {

constexpr const char* kFile = "sources.json";

}  // namespace

Sources load_sources(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kFile;
  std::ifstream stream(path, std::ios::binary);
  Sources sources;
  if (!stream) {
    const int error = errno;
    std::error_code ignored;
    if (std::filesystem::status(path, ignored).type() == std::filesystem::file_type::not_found) return sources;
    throw DiskError(fmt::format("cannot read {}: {}", path.string(), std::strerror(error)), error);
  }
  try {
    const nlohmann::json record = nlohmann::json::parse(stream);
    for (const auto& [key, entry] : record.items())
      sources[key] = {entry.at("file"), entry.at("sha256"), entry.at("store")};
  } catch (const nlohmann::json::exception& error) {
    throw DataError(fmt::format("{}: not a record of input files: {}", path.string(), error.what()));
  }
  return sources;
}

void save_sources(const std::filesystem::path& folder, const Sources& sources) {
  nlohmann::json record = nlohmann::json::object();
  for (const auto& [key, source] : sources)
    record[key] = {{"file", printable(source.file)}, {"sha256", source.sha256}, {"store", source.store}};
  write_durably(folder / kFile, record.dump(2) + "\n");
}

}  // namespace terse::data
