// The record of all files is small, so it is written as a whole whenever one of the files changes.
#include "data/jsonl/bad_lines.h"

#include <fmt/format.h>

#include "base/durable.h"
#include "base/errors.h"
#include "base/jsonl.h"
#include "base/utf8.h"

namespace terse::data {

namespace {

constexpr size_t kMaxReason = 300;  // bytes
constexpr size_t kNamed = 3;        // lines in an error message

std::string shortened(const std::string& reason) {
  std::string text = printable(reason);
  if (text.size() > kMaxReason) text = text.substr(0, whole_characters(text.substr(0, kMaxReason))) + "...";
  return text;
}

std::string line_of(const nlohmann::ordered_json& object) {
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

void BadLines::add(int64_t line, const std::string& reason) {
  ++lines_;
  ++count_;
  if (kept_.size() < kMaxKept) kept_.push_back({line, shortened(reason)});
}

void write_bad_lines(const std::filesystem::path& path, const BadLines& bad) {
  const std::string file = printable(bad.file());
  std::string content;
  bool had_some = false;
  for (JsonlReader reader(path); reader.next();) {
    const bool same = reader.is_object() && reader.object().value("file", nlohmann::json()) == file;
    had_some = had_some || same;
    if (reader.is_object() && !same) content += reader.text() + "\n";
  }
  if (bad.count() == 0 && !had_some) return;
  for (const BadLine& line : bad.kept()) {
    content += line_of({{"file", file}, {"line", line.line}, {"reason", line.reason}});
  }
  const int64_t more = bad.count() - std::ssize(bad.kept());
  if (more > 0) content += line_of({{"file", file}, {"more", more}});
  write_durably(path, content);
}

void require_few_bad_lines(const std::string& file, int64_t lines, int64_t bad, double most,
                           const std::filesystem::path& path) {
  if (static_cast<double>(bad) <= most * static_cast<double>(lines)) return;
  std::string first;
  size_t named = 0;
  for (JsonlReader reader(path); named < kNamed && reader.next();) {
    const nlohmann::json& entry = reader.object();
    if (!reader.is_object() || entry.value("file", nlohmann::json()) != printable(file)) continue;
    if (!entry.contains("line") || !entry.contains("reason") || !entry["reason"].is_string()) continue;
    first += fmt::format("\n  line {}: {}", entry["line"].dump(), entry["reason"].get<std::string>());
    ++named;
  }
  throw DataError(
      fmt::format("{} of {} lines of {} are bad, more than the share {} that data.max_bad_lines (or --max-bad-lines) "
                  "allows. Correct "
                  "them, or allow more. {} has them all; the first are:{}",
                  bad, lines, file, most, path.string(), first));
}

std::string bad_lines_note(const std::string& file, int64_t lines, int64_t bad, const std::filesystem::path& path) {
  return fmt::format("{} of {} lines of {} are bad and were left out; {} tells why", bad, lines, file, path.string());
}

}  // namespace terse::data
