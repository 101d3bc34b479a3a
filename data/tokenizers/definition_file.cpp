// Looks at the size before it allocates memory.
#include "data/tokenizers/definition_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/errors.h"

namespace terse::data {

namespace {

constexpr int64_t kMaxDefinitionBytes = int64_t{64} << 20;

}  // namespace

std::string read_definition_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) {
    throw DataError(fmt::format("cannot read {}: {}", path.string(),
                                std::filesystem::exists(path, ignored) ? "not a regular file" : "no such file"));
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw DiskError(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)), errno);
  const auto size = static_cast<int64_t>(file.tellg());
  if (size > kMaxDefinitionBytes) {
    throw DataError(
        fmt::format("{}: {} bytes are too many, at most {} are allowed", path.string(), size, kMaxDefinitionBytes));
  }
  std::string text(static_cast<size_t>(size), '\0');
  if (!file.seekg(0).read(text.data(), size)) throw DiskError(fmt::format("cannot read {}", path.string()));
  return text;
}

}  // namespace terse::data
