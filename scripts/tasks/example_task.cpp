// An external task in C++: sums of two numbers. docs/external_tasks.md describes the protocol.
//
//   g++ -std=c++20 -O2 scripts/tasks/example_task.cpp -o sums
//   terse run configs/gsm8k.yaml --set task.name=external --set 'task.command=[./sums]'
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

using nlohmann::json;

// Depends on its arguments alone, so that every copy of this program serves the same items.
json item(int64_t seed, const std::string& split, int64_t index) {
  std::seed_seq key{seed, int64_t{split == "eval"}, index};
  std::mt19937 random(key);
  const unsigned a = random() % 1000, b = random() % 1000;
  const std::string sum = std::to_string(a + b);
  return {{"prompt", std::to_string(a) + " + " + std::to_string(b) + " ="}, {"answer", sum}, {"solution", " " + sum}};
}

json judge(const json& request) {
  if (request["final"].is_null() || !request["finished"]) return {{"correct", false}};  // the thinking has not ended
  std::string text = request["final"];
  text.erase(0, text.find_first_not_of(" \n"));
  text.erase(text.find_last_not_of(" \n") + 1);
  return {{"correct", text == request["answer"]}};
}

int main() {
  std::string line;
  std::getline(std::cin, line);
  const int64_t seed = json::parse(line)["seed"];
  std::cout << R"({"protocol": 1, "task": "sums", "train": 5000, "eval": 200, "demonstrations": true})" << std::endl;
  while (std::getline(std::cin, line)) {
    const json request = json::parse(line);
    json reply = request["request"] == "item" ? item(seed, request["split"], request["index"]) : judge(request);
    reply["id"] = request["id"];
    std::cout << reply << std::endl;
  }
}
