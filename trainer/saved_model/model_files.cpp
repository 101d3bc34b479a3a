// Chooses the reader of a format.
#include "trainer/saved_model/model_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "trainer/saved_model/gguf_model.h"
#include "trainer/saved_model/hf_model.h"

namespace terse::trainer {

namespace {

// Of whole rows that are read at a time. The pages of a mapped file can be given back after each piece.
constexpr int64_t kPieceElements = 4 << 20;

}  // namespace

void read_by_rows(int64_t columns, int64_t begin, int64_t end, float* out,
                  const std::function<void(int64_t, int64_t, std::span<float>)>& read_rows) {
  std::vector<float> row;
  while (begin < end) {
    const int64_t first = begin / columns, skipped = begin % columns;
    if (skipped == 0 && end - begin >= columns) {
      const int64_t most = std::max<int64_t>(1, kPieceElements / columns);
      const int64_t rows = std::min(most, (end - begin) / columns), count = rows * columns;
      read_rows(first, rows, {out, static_cast<size_t>(count)});
      out += count;
      begin += count;
      continue;
    }
    row.resize(static_cast<size_t>(columns));
    read_rows(first, 1, row);
    const int64_t count = std::min(columns - skipped, end - begin);
    out = std::copy_n(row.begin() + skipped, count, out);
    begin += count;
  }
}

bool is_model_files(const std::filesystem::path& path) {
  return is_hf_model(path) || is_gguf_file(path);
}

std::unique_ptr<ModelFiles> open_model_files(const std::filesystem::path& path) {
  if (is_hf_model(path)) return open_hf_model(path);
  if (is_gguf_file(path)) return open_gguf_model(path);
  throw DataError(fmt::format("{} is no model: expected a folder with a config.json and *.safetensors, or a GGUF file",
                              path.string()));
}

}  // namespace terse::trainer
