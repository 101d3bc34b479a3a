// The meta text of an item is JSON: the split and the index under which the program has served it, its solution and
// what the program wants to see again.
#include "rl/tasks/external/protocol.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "rl/tasks/messages.h"

namespace terse::rl {

namespace {

using Json = nlohmann::json;

constexpr size_t kMostParts = 100;    // of a score
constexpr size_t kLongestName = 100;  // bytes of the name of a part

const char* name_of(Split split) {
  return split == Split::kTrain ? "train" : "eval";
}

// The members of an object, each read at most once.
class Members {
 public:
  Members(const Json& object, const char* what, std::initializer_list<std::string_view> known)
      : object_(object), what_(what) {
    if (!object.is_object()) throw ProtocolError(fmt::format("{} is {}; expected an object", what, shown_json(object)));
    for (const auto& [key, value] : object.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end())
        throw ProtocolError(fmt::format("{} has the unknown key \"{}\"; known: {}", what, key, fmt::join(known, ", ")));
    }
  }

  const Json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  std::string text(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr || !value->is_string()) fail(key, value, "a string");
    return value->get<std::string>();
  }
  std::string text_or(const char* key, const char* absent) const { return find(key) ? text(key) : absent; }
  bool flag(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr || !value->is_boolean()) fail(key, value, "true or false");
    return value->get<bool>();
  }
  bool flag_or_false(const char* key) const { return find(key) != nullptr && flag(key); }
  int64_t whole(const char* key, int64_t least, int64_t most) const {
    const Json* value = find(key);
    const bool fits = value != nullptr && value->is_number_integer() &&
                      (!value->is_number_unsigned() || value->get<uint64_t>() <= static_cast<uint64_t>(most));
    if (!fits || value->get<int64_t>() < least || value->get<int64_t>() > most)
      fail(key, value, fmt::format("a whole number from {} to {}", least, most));
    return value->get<int64_t>();
  }
  double number(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr || !value->is_number() || !std::isfinite(value->get<double>()))
      fail(key, value, "a finite number");
    return value->get<double>();
  }
  [[noreturn]] void fail(const char* key, const Json* value, const std::string& expected) const {
    throw ProtocolError(
        fmt::format("{}: \"{}\" is {}; expected {}", what_, key, value ? shown_json(*value) : "missing", expected));
  }

 private:
  const Json& object_;
  const char* what_;
};

std::vector<Message> read_prompt(const Json& value) {
  if (value.is_string()) return {{"user", value.get<std::string>()}};
  if (!value.is_array() || value.empty()) {
    throw ProtocolError(
        fmt::format("item: \"prompt\" is {}; expected a string or a list of messages", shown_json(value)));
  }
  std::vector<Message> messages;
  if (const std::string wrong = read_messages(value, messages); !wrong.empty())
    throw ProtocolError("item: \"prompt\": " + wrong);
  return messages;
}

Json messages_of(const std::vector<Message>& prompt) {
  Json out = Json::array();
  for (const Message& message : prompt) out.push_back({{"role", message.role}, {"content", message.content}});
  return out;
}

Json meta_of(const Item& item) {
  Json meta = Json::parse(item.meta, nullptr, /*allow_exceptions=*/false);
  if (!meta.is_object() || !meta.contains("split") || !meta.contains("index") || !meta.contains("solution"))
    throw ProtocolError("the item was not made by this task");
  return meta;
}

}  // namespace

Json greeting_of(int64_t seed) {
  return {{"hello", "terse"}, {"protocol", kExternalProtocol}, {"seed", seed}};
}

Json item_request(Split split, int64_t index) {
  return {{"request", "item"}, {"split", name_of(split)}, {"index", index}};
}

Json judge_request(const Item& item, const Response& response) {
  const Json meta = meta_of(item);
  Json request = {{"request", "judge"}, {"split", meta.at("split")}, {"index", meta.at("index")}};
  request["prompt"] = messages_of(item.prompt);
  request["answer"] = item.answer;
  request["meta"] = meta.value("meta", Json());
  request["thinking"] = response.text.substr(0, response.answer_begin);
  request["final"] = response.answer() ? Json(*response.answer()) : Json();
  request["finished"] = response.finished;
  return request;
}

std::string solution_of(const Item& item) {
  return meta_of(item).at("solution").get<std::string>();
}

ExternalGreeting read_greeting(const Json& reply) {
  const Members members(reply, "greeting",
                        {"protocol", "task", "train", "eval", "concurrency", "demonstrations", "difficulty"});
  ExternalGreeting greeting;
  members.whole("protocol", kExternalProtocol, kExternalProtocol);
  greeting.task = members.text("task");
  greeting.train = members.whole("train", 1, kMostExternalItems);
  greeting.eval = members.whole("eval", 1, kMostExternalItems);
  if (members.find("concurrency") != nullptr) greeting.concurrency = members.whole("concurrency", 1, 64);
  greeting.demonstrations = members.flag_or_false("demonstrations");
  greeting.difficulty = members.flag_or_false("difficulty");
  return greeting;
}

Item read_item(const Json& reply, Split split, int64_t index, const ExternalGreeting& greeting) {
  const Members members(reply, "item", {"id", "prompt", "answer", "difficulty", "solution", "meta", "error"});
  if (members.find("error") != nullptr) throw ProtocolError("the program replied: " + members.text("error"));
  if (members.find("prompt") == nullptr) members.fail("prompt", nullptr, "a string or a list of messages");
  Item item{.index = index, .prompt = read_prompt(*members.find("prompt")), .answer = members.text_or("answer", "")};
  if (greeting.difficulty) item.difficulty = members.whole("difficulty", 0, 1'000'000);
  Json meta = {{"split", name_of(split)}, {"index", index}};
  meta["solution"] = greeting.demonstrations ? members.text("solution") : "";
  if (members.find("meta") != nullptr) meta["meta"] = *members.find("meta");
  item.meta = meta.dump(-1, ' ', false, Json::error_handler_t::replace);
  return item;
}

Verdict read_verdict(const Json& reply, std::string& error) {
  const Members members(reply, "verdict", {"id", "correct", "score", "parts", "error"});
  if (members.find("error") != nullptr) {
    error = members.text("error");
    return {.status = VerifyStatus::kError};
  }
  Verdict out = verdict(members.flag("correct"));
  if (members.find("score") != nullptr) {
    const double score = members.number("score");
    if (out.correct && score < 0) members.fail("score", members.find("score"), "at least 0 for a correct response");
    out.score = out.correct ? score : 0;
  }
  const Json* parts = members.find("parts");
  if (parts == nullptr) return out;
  if (!parts->is_object() || parts->size() > kMostParts)
    members.fail("parts", parts, fmt::format("an object of at most {} numbers", kMostParts));
  for (const auto& [name, value] : parts->items()) {
    if (name.empty() || name.size() > kLongestName || !value.is_number() || !std::isfinite(value.get<double>()))
      throw ProtocolError(
          fmt::format("verdict: the part \"{}\" is {}; expected a finite number", name, shown_json(value)));
    out.parts[name] = value.get<double>();
  }
  return out;
}

}  // namespace terse::rl
