// Reads the items of a task from files of JSON Lines: its two splits, and the mistakes in a file. A task says what a
// line means.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/jsonl/line_reader.h"
#include "rl/tasks/task.h"

namespace terse::rl {

// One line of a file. It is an object.
class ItemLine {
 public:
  // Throws DataError that names file and line for a line that data::parse_object() refuses.
  ItemLine(const std::string& path, const data::TextLine& line);

  const nlohmann::json& object() const { return object_; }
  const nlohmann::json* find(const char* key) const;  // null: there is no such key
  // Throws DataError when the value is missing or is no string.
  std::string text(const char* key) const;
  // "FILE, line N"
  std::string place() const;
  // Throws DataError that names file and line.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  const std::string& path_;
  int64_t number_;
  nlohmann::json object_;
};

// The items of both splits. The index of an item is its place in its split.
struct ItemFiles {
  std::vector<Item> train, eval;
  std::vector<int64_t> train_lines, eval_lines;  // of the files, parallel to the items

  const std::vector<Item>& of(Split split) const { return split == Split::kTrain ? train : eval; }
  // Throws std::invalid_argument when the split has no such item. `task` is for the message.
  const Item& item(Split split, int64_t index, const std::string& task) const;
};

// Reads task.path and task.eval_path. Empty lines are left out. Without eval_path, about 1 of 20 items of `path` is
// held out for evaluation, chosen by a hash of its prompt, so that an item stays in its split when others are added or
// removed. `keys` names the keys of a line, for messages. Throws ConfigError when task.path is empty, DiskError when a
// file cannot be read, and DataError for a line that is no object, when a split is empty, and what `parse` throws.
ItemFiles read_item_files(const configs::Task& config, const std::string& keys,
                          const std::function<Item(const ItemLine&)>& parse);

}  // namespace terse::rl
