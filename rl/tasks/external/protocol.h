// The messages of an external task (docs/external_tasks.md): what terse writes, and strict readers of what a program
// replies. A reader refuses a key that it does not know, because it is probably misspelt.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "rl/tasks/task.h"

namespace terse::rl {

constexpr int64_t kExternalProtocol = 1;
constexpr int64_t kMostExternalItems = 1'000'000;  // of a split

struct ExternalGreeting {
  std::string task;  // its name for people
  int64_t train = 0, eval = 0;
  int64_t concurrency = 1;
  bool demonstrations = false, difficulty = false;
  bool operator==(const ExternalGreeting&) const = default;
};

// Thrown by the readers. what() says what was found and what was expected.
class ProtocolError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

nlohmann::json greeting_of(int64_t seed);
nlohmann::json item_request(Split split, int64_t index);
// `meta` is that of an item that read_item has returned. Throws ProtocolError for another one.
nlohmann::json judge_request(const Item& item, const Response& response);
// The solution of such an item. Throws ProtocolError for another one.
std::string solution_of(const Item& item);

ExternalGreeting read_greeting(const nlohmann::json& reply);
Item read_item(const nlohmann::json& reply, Split split, int64_t index, const ExternalGreeting& greeting);
// A reply with "error" becomes VerifyStatus::kError, and its text goes to `error`.
Verdict read_verdict(const nlohmann::json& reply, std::string& error);

}  // namespace terse::rl
