// Reads blocks of lines. The threads share out the lines of a block, and the results are used in the order of the file,
// so the number of threads changes nothing.
#include "data/jsonl/read_json_lines.h"

#include <ATen/Parallel.h>

#include "base/errors.h"
#include "data/jsonl/file_kind.h"
#include "data/jsonl/line_reader.h"
#include "data/jsonl/parse_object.h"
#include "data/tokenizers/tokenizer.h"

namespace terse::data {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kBlockBytes = size_t{4} << 20;
constexpr size_t kBlockLines = 4096;

// Reads lines up to about kBlockBytes. Returns an empty block at the end of the file.
std::vector<TextLine> next_block(LineReader& reader) {
  std::vector<TextLine> lines;
  size_t bytes = 0;
  for (TextLine line; bytes < kBlockBytes && lines.size() < kBlockLines && reader.next(line);) {
    if (is_blank(line)) continue;
    bytes += line.text.size();
    lines.push_back(std::move(line));
  }
  return lines;
}

// Returns why the line is bad, or an empty text.
std::string work_on(const TextLine& line, size_t index, const LineWork& work) {
  try {
    work.parse(index, parse_object<Json>(line));
    return "";
  } catch (const DataError& error) {
    return error.what();
  } catch (const EncodeError& error) {
    return error.what();
  }
}

}  // namespace

void work_on_json_lines(const std::filesystem::path& path, const Progress& progress, const LineWork& work,
                        BadLines& bad) {
  refuse_packed_file(path);
  LineReader reader(path);
  for (std::vector<TextLine> lines; !(lines = next_block(reader)).empty();) {
    work.begin(lines.size());
    std::vector<std::string> reasons(lines.size());
    at::parallel_for(0, std::ssize(lines), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto index = static_cast<size_t>(i);
        reasons[index] = work_on(lines[index], index, work);
      }
    });
    for (size_t i = 0; i < lines.size(); ++i) {
      if (!reasons[i].empty()) {
        bad.add(lines[i].number, reasons[i]);
        continue;
      }
      bad.add_good();
      work.use(i);
    }
    if (progress) progress(reader.bytes_read(), reader.file_bytes());
  }
}

std::string document_text(const Json& object) {
  const auto text = object.find("text");
  if (text == object.end()) throw DataError("\"text\" is missing");
  if (!text->is_string()) throw DataError("\"text\" is not a text");
  if (text->get_ref<const std::string&>().empty()) throw DataError("\"text\" is empty");
  return text->get<std::string>();
}

}  // namespace terse::data
