// Adapts the events of nlohmann's parser, and refuses what it tolerates: text after a NUL character, a byte order mark.
#include "base/formats/strict_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/formats/tensor_shape.h"

namespace terse {

namespace {

using nlohmann::json;

class Adapter : public nlohmann::json_sax<json> {
 public:
  Adapter(JsonEvents& events, int max_depth, const std::string& where)
      : events_(events), max_depth_(max_depth), where_(where) {}

  bool null() override { return pass({JsonScalar::Kind::kNull, 0, {}}); }
  bool boolean(bool) override { return pass({JsonScalar::Kind::kBoolean, 0, {}}); }
  bool number_integer(number_integer_t) override { return pass({JsonScalar::Kind::kNumber, 0, {}}); }
  bool number_unsigned(number_unsigned_t number) override { return pass({JsonScalar::Kind::kWhole, number, {}}); }
  bool number_float(number_float_t, const string_t&) override { return pass({JsonScalar::Kind::kNumber, 0, {}}); }
  bool string(string_t& text) override { return pass({JsonScalar::Kind::kText, 0, std::move(text)}); }
  bool binary(binary_t&) override { throw std::logic_error("JSON holds no binary values"); }

  bool start_object(size_t) override { return open(true); }
  bool start_array(size_t) override { return open(false); }
  bool key(string_t& name) override {
    events_.key(std::move(name));
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool parse_error(size_t position, const std::string& token, const json::exception&) override {
    throw DataError(fmt::format("{}: it is not JSON: unexpected {} at byte {}", where_,
                                token.empty() ? "end" : quote(token), position));
  }

 private:
  bool pass(JsonScalar scalar) {
    if (depth_ == 0) throw DataError(fmt::format("{}: it is not a JSON object", where_));
    events_.value(std::move(scalar));
    return true;
  }
  bool open(bool is_object) {
    if (depth_ == 0 && !is_object) throw DataError(fmt::format("{}: it is not a JSON object", where_));
    if (++depth_ > max_depth_) {
      throw DataError(fmt::format("{}: it is nested more than {} levels deep", where_, max_depth_));
    }
    events_.begin(is_object);
    return true;
  }
  bool close() {
    --depth_;
    events_.end();
    return true;
  }

  JsonEvents& events_;
  const int max_depth_;
  const std::string& where_;
  int depth_ = 0;
};

}  // namespace

void read_json_object(std::string_view text, int max_depth, const std::string& where, JsonEvents& events) {
  const size_t nul = text.find('\0');
  if (nul != std::string_view::npos) {
    throw DataError(fmt::format("{}: it is not JSON: byte {} is 0", where, nul));
  }
  if (text.starts_with("\xEF\xBB\xBF")) throw DataError(fmt::format("{}: it begins with a byte order mark", where));
  Adapter adapter(events, max_depth, where);
  json::sax_parse(text.begin(), text.end(), &adapter);
}

}  // namespace terse
