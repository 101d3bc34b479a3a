// Tokens are narrowed and written in blocks of whole chunks.
#include "data/store/store_writer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace terse::data {

namespace {

constexpr hsize_t kTokenChunk = 16384;  // tokens; small, so that a random read checks little more than it needs
constexpr hsize_t kDocumentChunk = 1024;
constexpr hsize_t kTokenizerChunk = 1024;
constexpr size_t kBlock = 16 * kTokenChunk;  // tokens written at once
constexpr size_t kMaxSourceList = 30000;     // bytes; the list is for people

template <typename T>
std::vector<uint8_t> narrow(const std::vector<int32_t>& tokens) {
  std::vector<uint8_t> bytes(tokens.size() * sizeof(T));
  T* out = reinterpret_cast<T*>(bytes.data());
  for (size_t i = 0; i < tokens.size(); ++i) out[i] = static_cast<T>(tokens[i]);
  return bytes;
}

std::string source_list(const std::vector<std::string>& sources) {
  nlohmann::json list = nlohmann::json::array();
  size_t bytes = 0;
  for (size_t i = 0; i < sources.size(); ++i) {
    const std::string name = printable(sources[i]);
    bytes += nlohmann::json(name).dump().size() + 1;
    if (bytes > kMaxSourceList) {
      list.push_back(fmt::format("and {} more", sources.size() - i));
      break;
    }
    list.push_back(name);
  }
  return list.dump();
}

}  // namespace

int64_t token_width(int64_t vocab_size) {
  return vocab_size <= 0x100 ? 1 : vocab_size <= 0x10000 ? 2 : 4;
}

StoreWriter::StoreWriter(const std::filesystem::path& output, const Tokenizer& tokenizer, StoreContent content)
    : temporary_(output),
      tokenizer_(tokenizer),
      content_(content),
      hash_(tokenizer.id(), content == StoreContent::kConversations),
      file_(temporary_.path()) {
  const int64_t width = token_width(tokenizer.vocab_size());
  type_ = width == 1 ? H5T_STD_U8LE : width == 2 ? H5T_STD_U16LE : H5T_STD_U32LE;
  tokens_ = file_.dataset("tokens", type_, kTokenChunk);
  if (content == StoreContent::kConversations) learned_ = file_.dataset("learned", H5T_STD_U8LE, kTokenChunk);
  pending_.reserve(kBlock);
}

void StoreWriter::append(std::span<const int32_t> tokens) {
  for (const int32_t id : tokens) {
    if (id < 0 || id >= tokenizer_.vocab_size()) {
      throw std::invalid_argument(
          fmt::format("token id {} is outside the vocabulary of {}", id, tokenizer_.vocab_size()));
    }
    pending_.push_back(id);
    if (pending_.size() == kBlock) flush();
  }
  size_ += static_cast<int64_t>(tokens.size());
}

void StoreWriter::add_conversation(std::span<const int32_t> tokens, const std::vector<bool>& learned, uint64_t key) {
  if (content_ != StoreContent::kConversations || tokens.empty() || tokens.size() != learned.size()) {
    throw std::invalid_argument(fmt::format("a conversation of {} tokens with {} marks does not fit into this store",
                                            tokens.size(), learned.size()));
  }
  pending_learned_.insert(pending_learned_.end(), learned.begin(), learned.end());
  append(tokens);
  end_document();
  keys_.push_back(key);
}

void StoreWriter::flush() {
  hash_.add(pending_);
  const int64_t width = token_width(tokenizer_.vocab_size());
  const std::vector<uint8_t> bytes = width == 1   ? narrow<uint8_t>(pending_)
                                     : width == 2 ? narrow<uint16_t>(pending_)
                                                  : narrow<uint32_t>(pending_);
  file_.append(tokens_, type_, static_cast<int64_t>(pending_.size()), bytes.data());
  pending_.clear();
  if (pending_learned_.empty()) return;
  hash_.add_learned(pending_learned_);
  file_.append(learned_, H5T_STD_U8LE, std::ssize(pending_learned_), pending_learned_.data());
  pending_learned_.clear();
}

void StoreWriter::end_document() {
  if (document_is_empty()) return;
  documents_.push_back(document_begin_);
  document_begin_ = size_;
}

void StoreWriter::write_documents() {
  const Hdf5Handle documents = file_.dataset("documents", H5T_STD_I64LE, kDocumentChunk);
  file_.append(documents, H5T_STD_I64LE, std::ssize(documents_), documents_.data());
  if (content_ != StoreContent::kConversations) return;
  const Hdf5Handle keys = file_.dataset("keys", H5T_STD_U64LE, kDocumentChunk);
  file_.append(keys, H5T_STD_U64LE, std::ssize(keys_), keys_.data());
}

void StoreWriter::finish(const Origin& origin) {
  end_document();
  if (size_ == 0) throw std::invalid_argument("a token store needs at least one token");
  flush();
  tokens_.close();
  learned_.close();
  write_documents();
  {
    const std::string definition = tokenizer_.definition();
    const Hdf5Handle tokenizer = file_.dataset("tokenizer", H5T_STD_U8LE, kTokenizerChunk);
    file_.append(tokenizer, H5T_STD_U8LE, static_cast<int64_t>(definition.size()), definition.data());
  }
  file_.integer("format_version", 1);
  file_.integer("text_bytes", origin.text_bytes);
  if (origin.lines > 0) {
    file_.integer("lines", origin.lines);
    file_.integer("bad_lines", origin.bad_lines);
  }
  file_.text("tokenizer_id", tokenizer_.id());
  file_.text("content_sha256", hash_.finish(documents_, keys_));
  file_.text("sources", source_list(origin.sources));
  file_.text("separator", nlohmann::json(origin.separator).dump());
  file_.text("created_by", "terse " TERSE_VERSION);
  file_.close();
  temporary_.publish();
}

}  // namespace terse::data
