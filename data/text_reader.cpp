// Reads files in blocks. At the end of a block it holds back the possible start of a separator, and text that cannot be
// encoded alone.
#include "data/text_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/errors.h"
#include "data/jsonl/file_kind.h"
#include "data/jsonl/read_json_lines.h"
#include "data/tokenizers/tokenizer.h"

namespace terse::data {

namespace {

using Use = std::function<void(std::string_view piece, bool last)>;

// Holds the part of a file that is in memory: from `begin_` (the first unused byte) to the end of the last block.
class Pieces {
 public:
  Pieces(const std::filesystem::path& path, const TextOptions& options, const Use& use)
      : path_(path), options_(options), use_(use) {}

  void add(std::string_view block) {
    buffer_.erase(0, begin_);
    searched_ -= begin_;
    begin_ = 0;
    buffer_ += block;
    const std::string& separator = options_.separator;
    if (!separator.empty()) {
      for (size_t at; (at = buffer_.find(separator, searched_)) != std::string::npos;) {
        give(at - begin_, true);
        skip(separator.size());
        searched_ = begin_;
      }
      const size_t hold = separator.size() - 1;
      searched_ = std::max(begin_, buffer_.size() > hold ? buffer_.size() - hold : 0);
    } else {
      searched_ = buffer_.size();
    }
    const size_t n = options_.split_point(std::string_view(buffer_).substr(begin_, searched_ - begin_));
    if (n > 0) give(n, false);
  }

  void finish() { give(buffer_.size() - begin_, true); }

 private:
  void give(size_t size, bool last) {
    const std::string_view piece = std::string_view(buffer_).substr(begin_, size);
    try {
      use_(piece, last);
    } catch (const EncodeError& error) {
      const auto line = line_ + std::count(piece.begin(), piece.begin() + error.offset(), '\n');
      throw DataError(fmt::format("{}:{}: {} at byte {} of the file", path_.string(), line, error.reason(),
                                  offset_ + error.offset()));
    }
    skip(size);
  }

  void skip(size_t size) {
    line_ += std::count(buffer_.begin() + begin_, buffer_.begin() + begin_ + size, '\n');
    offset_ += static_cast<int64_t>(size);
    begin_ += size;
  }

  const std::filesystem::path& path_;
  const TextOptions& options_;
  const Use& use_;
  std::string buffer_;
  size_t begin_ = 0;
  size_t searched_ = 0;  // no separator starts before this
  int64_t offset_ = 0;   // offset of begin_ in the file
  int64_t line_ = 1;
};

void read_json_texts(const std::filesystem::path& path, const Progress& progress, const Use& use) {
  BadLines ignored(path.string());
  read_json_lines<std::string>(
      path, progress, document_text, [&](const std::string& text) { use(text, true); }, ignored);
}

int64_t total_bytes(const std::vector<std::filesystem::path>& files) {
  int64_t total = 0;
  for (const auto& path : files) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status)) throw DataError(fmt::format("{}: no such file", path.string()));
    if (!std::filesystem::is_regular_file(status)) {
      throw DataError(fmt::format("{}: not a regular file", path.string()));
    }
    refuse_packed_file(path);
    total += static_cast<int64_t>(std::filesystem::file_size(path));
  }
  return total;
}

}  // namespace

void read_documents(const std::vector<std::filesystem::path>& files, const TextOptions& options, const Use& use) {
  const int64_t total = total_bytes(files);
  int64_t done = 0;
  std::string block(options.block_bytes, '\0');
  for (const auto& path : files) {
    if (is_json_lines(path)) {
      read_json_texts(
          path,
          [&](int64_t bytes, int64_t) {
            if (options.progress) options.progress(done + bytes, total);
          },
          use);
      done += static_cast<int64_t>(std::filesystem::file_size(path));
      continue;
    }
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
    if (!file) throw DiskError(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)), errno);
    Pieces pieces(path, options, use);
    while (const size_t got = std::fread(block.data(), 1, block.size(), file.get())) {
      pieces.add(std::string_view(block).substr(0, got));
      done += static_cast<int64_t>(got);
      if (options.progress) options.progress(done, total);
    }
    if (std::ferror(file.get()))
      throw DiskError(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)), errno);
    pieces.finish();
  }
}

}  // namespace terse::data
