// Serializes values to bytes for messages between ranks. The format depends on the byte order of the machine. This is
// safe, because all ranks run the same program on machines of one byte order. A vector or a string is preceded by its
// length. WireReader throws std::logic_error when a message is too short.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace terse {

class WireWriter {
 public:
  template <class T>
  void value(const T& v) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&v), sizeof(v));
  }
  template <class Sequence>
  void sequence(const Sequence& s) {
    value(static_cast<uint64_t>(s.size()));
    bytes_.append(reinterpret_cast<const char*>(s.data()), s.size() * sizeof(s[0]));
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}
  template <class T>
  void value(T& v) {
    copy(&v, sizeof(v));
  }
  template <class Sequence>
  void sequence(Sequence& s) {
    uint64_t count = 0;
    value(count);
    if (count > bytes_.size() / sizeof(s[0])) throw std::logic_error("a message from another rank is truncated");
    s.resize(count);
    copy(s.data(), count * sizeof(s[0]));
  }
  bool done() const { return bytes_.empty(); }

 private:
  void copy(void* to, size_t count) {
    if (count > bytes_.size()) throw std::logic_error("a message from another rank is truncated");
    if (count > 0) std::memcpy(to, bytes_.data(), count);
    bytes_.remove_prefix(count);
  }
  std::string_view bytes_;
};

}  // namespace terse
