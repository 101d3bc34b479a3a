// Passes the documents from read_documents() to a StoreWriter, one piece at a time.
#include "data/store/build_store.h"

#include <fmt/format.h>

#include "base/errors.h"
#include "base/utf8.h"
#include "data/store/store_writer.h"
#include "data/text_reader.h"

namespace terse::data {

StoreInfo build_store(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& output,
                      const Tokenizer& tokenizer, const BuildOptions& options) {
  if (inputs.empty()) throw DataError("a token store needs at least one text file");
  if (!options.overwrite && std::filesystem::exists(output)) {
    throw DataError(fmt::format("{} exists already, and this call may not replace it", output.string()));
  }
  if (printable(options.separator) != options.separator) {
    throw DataError(fmt::format("the separator \"{}\" is not UTF-8", printable(options.separator)));
  }
  TextOptions text;
  text.separator = options.separator;
  text.split_point = [&](std::string_view piece) { return tokenizer.split_point(piece); };
  text.progress = options.progress;

  const bool many = inputs.size() > 1 || !options.separator.empty();
  const std::vector<int32_t> end =
      many && tokenizer.eos() >= 0 ? std::vector<int32_t>{tokenizer.eos()} : std::vector<int32_t>{};
  StoreWriter writer(output, tokenizer);
  int64_t text_bytes = 0;
  read_documents(inputs, text, [&](std::string_view piece, bool last) {
    writer.append(tokenizer.encode(piece));
    text_bytes += static_cast<int64_t>(piece.size());
    if (last && !writer.document_is_empty()) {
      writer.append(end);
      writer.end_document();
    }
  });
  if (writer.size() == 0) {
    throw DataError(
        fmt::format("{}{}: there is no text", inputs[0].string(), inputs.size() > 1 ? " and the other inputs" : ""));
  }
  std::vector<std::string> sources;
  for (const auto& path : inputs) sources.push_back(path.filename().string());
  writer.finish(sources, options.separator, text_bytes);
  return describe_store(output);
}

}  // namespace terse::data
