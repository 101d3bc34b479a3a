// Passes the documents of text files to a StoreWriter one piece at a time, and those of JSON Lines one line at a time.
#include "data/store/build_store.h"

#include <fmt/format.h>

#include <optional>

#include "base/errors.h"
#include "base/utf8.h"
#include "data/jsonl/content_key.h"
#include "data/jsonl/file_kind.h"
#include "data/jsonl/read_json_lines.h"
#include "data/store/store_writer.h"
#include "data/text_reader.h"

namespace terse::data {

namespace {

namespace fs = std::filesystem;

struct Document {
  std::vector<int32_t> tokens;
  int64_t text_bytes = 0;
  uint64_t key = 0;
};

Document encode_document(const nlohmann::ordered_json& object, const Tokenizer& tokenizer) {
  const std::string text = document_text(object);
  Document document{tokenizer.encode(text), std::ssize(text), content_key(text)};
  if (document.tokens.empty()) throw DataError("\"text\" has no tokens");
  if (tokenizer.eos() >= 0) document.tokens.push_back(tokenizer.eos());
  return document;
}

// Builds one store, or two with documents that are held out.
class StoreBuilder {
 public:
  StoreBuilder(const std::vector<fs::path>& inputs, const fs::path& output, const Tokenizer& tokenizer,
               const BuildOptions& options)
      : inputs_(inputs), output_(output), tokenizer_(tokenizer), options_(options), writer_(output, tokenizer) {
    if (options.held_out_share > 0) held_out_.emplace(options.held_out, tokenizer);
    for (const fs::path& path : inputs) {
      std::error_code unknown;  // the reader reports it
      const auto size = fs::file_size(path, unknown);
      if (!unknown) total_ += static_cast<int64_t>(size);
    }
  }

  void add(const fs::path& path) {
    Progress progress;
    if (options_.progress) {
      progress = [&, before = done_](int64_t done, int64_t) {
        done_ = before + done;
        options_.progress(done_, total_);
      };
    }
    if (is_json_lines(path)) {
      add_json_lines(path, progress);
    } else {
      add_text(path, progress);
    }
  }

  void finish() {
    const std::string others = inputs_.size() > 1 ? " and the other inputs" : "";
    if (writer_.size() == 0) throw DataError(fmt::format("{}{}: there is no text", inputs_[0].string(), others));
    if (held_out_ && held_out_->size() == 0) {
      throw DataError(fmt::format("{}{}: the held-out share {} is too small for so few documents: none was chosen",
                                  inputs_[0].string(), others, options_.held_out_share));
    }
    for (const fs::path& path : inputs_) origin_.sources.push_back(path.filename().string());
    origin_.separator = options_.separator;
    if (held_out_) {
      StoreWriter::Origin origin = origin_;
      origin.text_bytes = held_out_bytes_;
      held_out_->finish(origin);
    }
    writer_.finish(origin_);
  }

 private:
  void add_text(const fs::path& path, const Progress& progress) {
    const bool many = inputs_.size() > 1 || !options_.separator.empty();
    const std::vector<int32_t> end =
        many && tokenizer_.eos() >= 0 ? std::vector<int32_t>{tokenizer_.eos()} : std::vector<int32_t>{};
    TextOptions text;
    text.separator = options_.separator;
    text.split_point = [&](std::string_view piece) { return tokenizer_.split_point(piece); };
    text.progress = progress;
    read_documents({path}, text, [&](std::string_view piece, bool last) {
      writer_.append(tokenizer_.encode(piece));
      origin_.text_bytes += std::ssize(piece);
      if (last && !writer_.document_is_empty()) {
        writer_.append(end);
        writer_.end_document();
      }
    });
  }

  void add_json_lines(const fs::path& path, const Progress& progress) {
    BadLines bad(path.string());
    read_json_lines<Document>(
        path, progress, [&](const nlohmann::ordered_json& object) { return encode_document(object, tokenizer_); },
        [&](const Document& document) {
          const bool held_out = held_out_ && is_held_out(document.key, options_.held_out_share);
          StoreWriter& writer = held_out ? *held_out_ : writer_;
          (held_out ? held_out_bytes_ : origin_.text_bytes) += document.text_bytes;
          writer.append(document.tokens);
          writer.end_document();
        },
        bad);
    fs::path record = options_.bad_lines;
    if (record.empty()) record = output_.string() + "." + kBadLinesFile;
    write_bad_lines(record, bad);
    require_few_bad_lines(bad.file(), bad.lines(), bad.count(), options_.max_bad_lines, record);
    origin_.lines += bad.lines();
    origin_.bad_lines += bad.count();
  }

  const std::vector<fs::path>& inputs_;
  const fs::path& output_;
  const Tokenizer& tokenizer_;
  const BuildOptions& options_;
  StoreWriter writer_;
  std::optional<StoreWriter> held_out_;
  StoreWriter::Origin origin_;
  int64_t held_out_bytes_ = 0;
  int64_t done_ = 0, total_ = 0;  // bytes of the inputs
};

}  // namespace

StoreInfo build_store(const std::vector<fs::path>& inputs, const fs::path& output, const Tokenizer& tokenizer,
                      const BuildOptions& options) {
  if (inputs.empty()) throw DataError("a token store needs at least one text file");
  if (!options.overwrite && fs::exists(output)) {
    throw DataError(fmt::format("{} exists already, and this call may not replace it", output.string()));
  }
  if (printable(options.separator) != options.separator) {
    throw DataError(fmt::format("the separator \"{}\" is not UTF-8", printable(options.separator)));
  }
  StoreBuilder builder(inputs, output, tokenizer, options);
  for (const fs::path& path : inputs) builder.add(path);
  builder.finish();
  return describe_store(output);
}

}  // namespace terse::data
