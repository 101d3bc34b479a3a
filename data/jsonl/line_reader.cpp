// The rest of a line that is too long is read and dropped.
#include "data/jsonl/line_reader.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/errors.h"

namespace terse::data {

namespace {

constexpr size_t kBlock = size_t{1} << 20;
constexpr std::string_view kMark = "\xEF\xBB\xBF";

}  // namespace

LineReader::LineReader(const std::filesystem::path& path, size_t max_line_bytes)
    : path_(path.string()), max_line_bytes_(max_line_bytes), file_(nullptr, std::fclose), buffer_(kBlock) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) throw DataError(fmt::format("{}: no such file", path_));
  if (!std::filesystem::is_regular_file(status)) throw DataError(fmt::format("{}: not a regular file", path_));
  file_bytes_ = static_cast<int64_t>(std::filesystem::file_size(path));
  file_.reset(std::fopen(path_.c_str(), "rbe"));
  if (!file_) throw DiskError(fmt::format("cannot read {}: {}", path_, std::strerror(errno)), errno);
}

bool LineReader::fill() {
  begin_ = 0;
  end_ = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
  if (std::ferror(file_.get())) throw DiskError(fmt::format("cannot read {}: {}", path_, std::strerror(errno)), errno);
  if (bytes_read_ == 0 && std::string_view(buffer_.data(), end_).starts_with(kMark)) begin_ = kMark.size();
  bytes_read_ += static_cast<int64_t>(end_);
  return end_ > begin_;
}

bool LineReader::next(TextLine& line) {
  line = {number_ + 1, {}, false};
  if (begin_ == end_ && !fill()) return false;
  ++number_;
  do {
    const char* start = buffer_.data() + begin_;
    const auto* newline = static_cast<const char*>(std::memchr(start, '\n', end_ - begin_));
    const size_t size = newline != nullptr ? static_cast<size_t>(newline - start) : end_ - begin_;
    line.too_long = line.too_long || line.text.size() + size > max_line_bytes_;
    if (line.too_long) {
      line.text = {};
    } else {
      line.text.append(start, size);
    }
    begin_ += size;
    if (newline != nullptr) {
      ++begin_;
      return true;
    }
  } while (fill());
  return true;
}

}  // namespace terse::data
