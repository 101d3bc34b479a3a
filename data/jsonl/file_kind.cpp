// A packed file that is read as text would give millions of meaningless tokens, so it is refused before anything else.
#include "data/jsonl/file_kind.h"

#include <fmt/format.h>

#include <fstream>
#include <string>
#include <string_view>

#include "base/errors.h"

namespace terse::data {

namespace {

struct Packing {
  std::string_view extension;
  std::string_view start;  // first bytes
  const char* name;
  const char* advice;  // {0} is the file, {1} the name of the result
};

constexpr Packing kPackings[] = {
    {".parquet", "PAR1", "a Parquet file",
     "Convert it to JSON Lines: python3 -c \"import json, pyarrow.parquet as p; [print(json.dumps(r)) for r in "
     "p.read_table('{0}').to_pylist()]\" > '{1}'"},
    {".gz", "\x1f\x8b", "compressed with gzip", "Decompress it first: gunzip --keep '{0}'"},
    {".zst", "\x28\xb5\x2f\xfd", "compressed with Zstandard", "Decompress it first: zstd --decompress '{0}'"},
};

}  // namespace

bool is_json_lines(const std::filesystem::path& file) {
  return file.extension() == ".jsonl";
}

void refuse_packed_file(const std::filesystem::path& file) {
  std::error_code missing;
  if (!std::filesystem::is_regular_file(file, missing)) return;
  char bytes[4] = {};
  std::ifstream stream(file, std::ios::binary);
  stream.read(bytes, sizeof(bytes));
  const std::string_view start(bytes, static_cast<size_t>(stream.gcount()));
  for (const Packing& packing : kPackings) {
    if (file.extension() != packing.extension && !start.starts_with(packing.start)) continue;
    const std::string result = std::filesystem::path(file).replace_extension(".jsonl").string();
    throw DataError(fmt::format("{}: this file is {}, which terse does not read. {}", file.string(), packing.name,
                                fmt::format(fmt::runtime(packing.advice), file.string(), result)));
  }
}

}  // namespace terse::data
