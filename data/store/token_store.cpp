// Opens and reads a store. Every claim of the file is checked before it is used.
#include "data/store/token_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/errors.h"
#include "base/utf8.h"
#include "data/store/content_hash.h"
#include "data/store/hdf5_reader.h"
#include "data/store/store_writer.h"
#include "data/tokenizers/tokenizer_factory.h"

namespace terse::data {

namespace {

constexpr int64_t kFormatVersion = 1;
constexpr int64_t kHashBlock = 1 << 20;  // tokens

// Widens stored tokens. Returns the index of the first that is not below `vocab_size`, or `out.size()`.
template <typename T>
size_t widen(const uint8_t* bytes, int64_t vocab_size, std::span<int32_t> out) {
  const T* in = reinterpret_cast<const T*>(bytes);
  size_t bad = out.size();
  for (size_t i = out.size(); i-- > 0;) {
    out[i] = static_cast<int32_t>(in[i]);
    if (static_cast<int64_t>(in[i]) >= vocab_size) bad = i;
  }
  return bad;
}

std::set<std::string> dataset_names(StoreContent content) {
  std::set<std::string> names = {"tokens", "documents", "tokenizer"};
  if (content == StoreContent::kConversations) names.insert({"learned", "keys"});
  return names;
}

}  // namespace

struct TokenStore::Impl {
  StoreContent content;
  StoreInfo info;
  std::optional<Hdf5Reader> file;  // closed once everything is in memory
  Hdf5Reader::Dataset tokens, learned;
  std::vector<uint8_t> memory, learned_memory;
  std::vector<int64_t> documents;
  std::vector<uint64_t> keys;
  std::shared_ptr<const Tokenizer> tokenizer;

  Impl(const std::filesystem::path& path, StoreContent kind)
      : content(kind), file(std::in_place, path, dataset_names(kind)) {
    info.path = path.string();
    info.file_bytes = file->file_bytes();
  }

  void read_attributes() {
    info.format_version = file->integer("format_version");
    if (info.format_version != kFormatVersion) {
      file->fail(fmt::format("the format version is {}, this program reads {}", info.format_version, kFormatVersion));
    }
    info.text_bytes = file->integer("text_bytes");
    if (info.text_bytes < 0)
      file->fail(fmt::format("attribute 'text_bytes' is {}, expected at least 0", info.text_bytes));
    info.tokenizer_id = file->text("tokenizer_id");
    info.content_sha256 = file->text("content_sha256");
    info.created_by = printable(file->text("created_by"));
    if (file->has("lines")) {
      info.lines = file->integer("lines");
      info.bad_lines = file->integer("bad_lines");
      if (info.bad_lines < 0 || info.bad_lines > info.lines) {
        file->fail(fmt::format("attribute 'bad_lines' is {} of {} lines", info.bad_lines, info.lines));
      }
    }
    try {
      info.separator = nlohmann::json::parse(file->text("separator")).get<std::string>();
      info.sources = nlohmann::json::parse(file->text("sources")).get<std::vector<std::string>>();
    } catch (const nlohmann::json::exception& error) {
      file->fail(fmt::format("attribute 'separator' or 'sources' is not the expected JSON: {}", error.what()));
    }
  }

  void read_tokenizer() {
    const Hdf5Reader::Dataset dataset = file->dataset("tokenizer", {H5T_STD_U8LE});
    std::string definition(static_cast<size_t>(dataset.size), '\0');
    file->read(dataset, 0, dataset.size, definition.data());
    tokenizer = parse_tokenizer(definition, info.path + ": dataset 'tokenizer'");
    info.vocab_size = tokenizer->vocab_size();
    if (tokenizer->id() != info.tokenizer_id) {
      file->fail(fmt::format("attribute 'tokenizer_id' is {}, but dataset 'tokenizer' defines {}",
                             printable(info.tokenizer_id), tokenizer->id()));
    }
  }

  void read_documents() {
    const Hdf5Reader::Dataset dataset = file->dataset("documents", {H5T_STD_I64LE});
    documents.resize(static_cast<size_t>(dataset.size));
    file->read(dataset, 0, dataset.size, documents.data());
    try {
      check_documents(documents, info.tokens);
    } catch (const std::invalid_argument& error) {
      file->fail(fmt::format("dataset 'documents': {}", error.what()));
    }
    info.documents = dataset.size;
    info.shortest_document = info.tokens;
    for (size_t i = 0; i < documents.size(); ++i) {
      const int64_t length = (i + 1 < documents.size() ? documents[i + 1] : info.tokens) - documents[i];
      info.longest_document = std::max(info.longest_document, length);
      info.shortest_document = std::min(info.shortest_document, length);
    }
  }

  void open_tokens(int64_t max_in_memory_bytes) {
    tokens = file->dataset("tokens", {H5T_STD_U8LE, H5T_STD_U16LE, H5T_STD_U32LE});
    info.tokens = tokens.size;
    info.token_bytes = tokens.width;
    if (tokens.width != token_width(info.vocab_size)) {
      file->fail(fmt::format("dataset 'tokens' has {} bytes per token, but a vocabulary of {} needs {}", tokens.width,
                             info.vocab_size, token_width(info.vocab_size)));
    }
    if (content == StoreContent::kConversations) open_learned();
    if (tokens.size * tokens.width > max_in_memory_bytes) return;
    memory.resize(static_cast<size_t>(tokens.size * tokens.width));
    file->read(tokens, 0, tokens.size, memory.data());
    if (content != StoreContent::kConversations) return;
    learned_memory.resize(static_cast<size_t>(learned.size));
    file->read(learned, 0, learned.size, learned_memory.data());
  }

  void open_learned() {
    learned = file->dataset("learned", {H5T_STD_U8LE});
    if (learned.size != tokens.size) {
      file->fail(fmt::format("dataset 'learned' has {} marks for {} tokens", learned.size, tokens.size));
    }
  }

  void read_keys() {
    const Hdf5Reader::Dataset dataset = file->dataset("keys", {H5T_STD_U64LE});
    if (dataset.size != info.documents) {
      file->fail(fmt::format("dataset 'keys' has {} keys for {} conversations", dataset.size, info.documents));
    }
    keys.resize(static_cast<size_t>(dataset.size));
    file->read(dataset, 0, dataset.size, keys.data());
  }

  const Impl& conversations() const {
    if (content != StoreContent::kConversations) throw std::logic_error(info.path + " holds no conversations");
    return *this;
  }
};

std::shared_ptr<const TokenStore> TokenStore::open(const std::filesystem::path& path, const StoreOptions& options) {
  if (!is_hdf5(path)) throw DataError(fmt::format("{}: not a token store (no HDF5 signature)", path.string()));
  auto impl = std::make_unique<Impl>(path, options.content);
  impl->read_attributes();
  impl->read_tokenizer();
  impl->open_tokens(options.max_in_memory_bytes);
  impl->read_documents();
  if (options.content == StoreContent::kConversations) impl->read_keys();
  if (!impl->memory.empty()) {
    impl->tokens.handle.close();
    impl->learned.handle.close();
    impl->file.reset();
  }
  return std::shared_ptr<const TokenStore>(new TokenStore(std::move(impl)));
}

TokenStore::TokenStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TokenStore::~TokenStore() = default;

int64_t TokenStore::size() const {
  return impl_->info.tokens;
}
const std::vector<int64_t>& TokenStore::documents() const {
  return impl_->documents;
}
std::string TokenStore::content_hash() const {
  return impl_->info.content_sha256;
}
const StoreInfo& TokenStore::info() const {
  return impl_->info;
}
std::shared_ptr<const Tokenizer> TokenStore::tokenizer() const {
  return impl_->tokenizer;
}

void TokenStore::read(int64_t begin, std::span<int32_t> out) const {
  check_read(begin, out.size(), size());
  const StoreInfo& info = impl_->info;
  std::vector<uint8_t> buffer;
  const uint8_t* bytes = impl_->memory.data() + begin * info.token_bytes;
  if (impl_->memory.empty()) {
    buffer.resize(out.size() * static_cast<size_t>(info.token_bytes));
    impl_->file->read(impl_->tokens, begin, static_cast<int64_t>(out.size()), buffer.data());
    bytes = buffer.data();
  }
  const size_t bad = info.token_bytes == 1   ? widen<uint8_t>(bytes, info.vocab_size, out)
                     : info.token_bytes == 2 ? widen<uint16_t>(bytes, info.vocab_size, out)
                                             : widen<uint32_t>(bytes, info.vocab_size, out);
  if (bad < out.size()) {
    throw DataError(fmt::format("{}: dataset 'tokens': token {} has id {}, but the vocabulary has {} tokens", info.path,
                                begin + static_cast<int64_t>(bad), static_cast<uint32_t>(out[bad]), info.vocab_size));
  }
}

void TokenStore::read_learned(int64_t begin, std::span<uint8_t> out) const {
  const Impl& impl = impl_->conversations();
  check_read(begin, out.size(), size());
  if (impl.memory.empty()) {
    impl.file->read(impl.learned, begin, std::ssize(out), out.data());
  } else {
    std::copy_n(impl.learned_memory.begin() + begin, out.size(), out.begin());
  }
  const auto bad = std::find_if(out.begin(), out.end(), [](uint8_t mark) { return mark > 1; });
  if (bad != out.end()) {
    throw DataError(fmt::format("{}: dataset 'learned': the mark of token {} is {}, expected 0 or 1", impl.info.path,
                                begin + (bad - out.begin()), *bad));
  }
}

const std::vector<uint64_t>& TokenStore::keys() const {
  return impl_->conversations().keys;
}

void TokenStore::verify(const Progress& progress) const {
  const bool conversations = impl_->content == StoreContent::kConversations;
  ContentHash hash(impl_->info.tokenizer_id, conversations);
  std::vector<int32_t> block(static_cast<size_t>(std::min(size(), kHashBlock)));
  std::vector<uint8_t> marks(conversations ? block.size() : 0);
  for (int64_t begin = 0; begin < size(); begin += kHashBlock) {
    const std::span<int32_t> part(block.data(), static_cast<size_t>(std::min(kHashBlock, size() - begin)));
    read(begin, part);
    hash.add(part);
    if (conversations) {
      const std::span<uint8_t> part_marks(marks.data(), part.size());
      read_learned(begin, part_marks);
      hash.add_learned(part_marks);
    }
    if (progress) progress(begin + static_cast<int64_t>(part.size()), size());
  }
  const std::string found = hash.finish(impl_->documents, impl_->keys);
  if (found != content_hash()) {
    throw DataError(fmt::format("{}: the SHA-256 of its content is {}, but attribute 'content_sha256' is {}",
                                impl_->info.path, found, printable(content_hash())));
  }
}

bool is_hdf5(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    const char* what = std::filesystem::exists(path, error) ? "not a regular file" : "no such file";
    throw DataError(fmt::format("{}: {}", path.string(), what));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw DiskError(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)), errno);
  char start[8] = {};
  file.read(start, sizeof(start));
  return std::string_view(start, sizeof(start)) == std::string_view("\x89HDF\r\n\x1a\n", 8);
}

StoreInfo describe_store(const std::filesystem::path& path) {
  return TokenStore::open(path, {.max_in_memory_bytes = 0})->info();
}

std::string to_text(const StoreInfo& info) {
  std::string text;
  const auto line = [&](const char* name, const std::string& value) { text += fmt::format("{:<18}{}\n", name, value); };
  line("file", fmt::format("{} ({} bytes)", printable(info.path), info.file_bytes));
  line("tokens", fmt::format("{} ({} bytes each)", info.tokens, info.token_bytes));
  line("documents", fmt::format("{} ({} to {} tokens)", info.documents, info.shortest_document, info.longest_document));
  line("text", fmt::format("{} bytes, {:.3f} per token", info.text_bytes,
                           static_cast<double>(info.text_bytes) / static_cast<double>(info.tokens)));
  if (info.lines > 0) line("lines", fmt::format("{} ({} bad ones left out)", info.lines, info.bad_lines));
  line("tokenizer", fmt::format("{} (vocabulary of {})", info.tokenizer_id, info.vocab_size));
  line("separator", info.separator.empty() ? "none" : nlohmann::json(info.separator).dump());
  for (const std::string& source : info.sources) line("source", source);
  line("content SHA-256", info.content_sha256);
  line("created by", fmt::format("{}, format version {}", info.created_by, info.format_version));
  return text;
}

}  // namespace terse::data
