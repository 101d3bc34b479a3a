// Fields one after the other, vectors and strings behind their lengths.
#include "rl/rollout_codec.h"

#include <cstring>
#include <stdexcept>
#include <type_traits>

namespace terse::rl {

namespace {

class Writer {
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

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  template <class T>
  void value(T& v) {
    copy(&v, sizeof(v));
  }
  template <class Sequence>
  void sequence(Sequence& s) {
    uint64_t count = 0;
    value(count);
    if (count > bytes_.size() / sizeof(s[0])) throw std::runtime_error("rollouts from another rank are cut short");
    s.resize(count);
    copy(s.data(), count * sizeof(s[0]));
  }
  bool done() const { return bytes_.empty(); }

 private:
  void copy(void* to, size_t count) {
    if (count > bytes_.size()) throw std::runtime_error("rollouts from another rank are cut short");
    if (count > 0) std::memcpy(to, bytes_.data(), count);
    bytes_.remove_prefix(count);
  }
  std::string_view bytes_;
};

// The one list of fields, for both ways.
template <class Coder, class R>
void code(Coder& coder, R& rollout) {
  coder.value(rollout.sample);
  coder.sequence(rollout.tokens);
  coder.sequence(rollout.logprobs);
  coder.sequence(rollout.entropies);
  coder.value(rollout.weight_version);
  coder.value(rollout.finish);
  coder.value(rollout.status);
  coder.value(rollout.correct);
  coder.sequence(rollout.form);
}

}  // namespace

std::string encode_rollouts(const std::vector<Rollout>& rollouts) {
  Writer writer;
  for (const Rollout& rollout : rollouts) code(writer, rollout);
  return writer.take();
}

std::vector<Rollout> decode_rollouts(std::string_view bytes) {
  Reader reader(bytes);
  std::vector<Rollout> rollouts;
  while (!reader.done()) code(reader, rollouts.emplace_back());
  return rollouts;
}

}  // namespace terse::rl
