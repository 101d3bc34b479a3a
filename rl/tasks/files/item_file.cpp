// Reads whole files into memory: the sets of problems that people train on have some megabytes.
#include "rl/tasks/files/item_file.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/checksum.h"
#include "base/errors.h"
#include "data/jsonl/file_kind.h"
#include "data/jsonl/parse_object.h"
#include "rl/tasks/messages.h"

namespace terse::rl {

namespace {

constexpr uint64_t kHeldOutShare = 20;  // one in this many items is for evaluation, without an eval_path

struct File {
  std::vector<Item> items;
  std::vector<int64_t> lines;
};

File read_file(const char* option, const std::string& path, const std::function<Item(const ItemLine&)>& parse) {
  std::error_code missing;
  if (!std::filesystem::is_regular_file(path, missing))
    throw DiskError(fmt::format("{}: {} cannot be opened for reading", option, path));
  data::refuse_packed_file(path);
  data::LineReader reader(path);
  File file;
  for (data::TextLine line; reader.next(line);) {
    if (data::is_blank(line)) continue;
    file.items.push_back(parse(ItemLine(path, line)));
    file.lines.push_back(line.number);
  }
  return file;
}

bool is_held_out(const Item& item) {
  // The hash of a lone message of the user is that of its plain text, so that gsm8k holds out what it always has.
  const bool lone = item.prompt.size() == 1 && item.prompt[0].role == "user";
  const std::string text = lone ? item.prompt[0].content + item.plain_separator : text_of_prompt(item.prompt);
  return xxh3(text.data(), text.size(), 0) % kHeldOutShare == 0;
}

void number(std::vector<Item>& items) {
  for (size_t i = 0; i < items.size(); ++i) items[i].index = static_cast<int64_t>(i);
}

}  // namespace

ItemLine::ItemLine(const std::string& path, const data::TextLine& line) : path_(path), number_(line.number) {
  try {
    object_ = data::parse_object<nlohmann::json>(line);
  } catch (const DataError& error) {
    fail(error.what());
  }
}

const nlohmann::json* ItemLine::find(const char* key) const {
  const auto found = object().find(key);
  return found == object().end() ? nullptr : &*found;
}

std::string ItemLine::text(const char* key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr || !value->is_string()) fail(fmt::format("expected a string \"{}\"", key));
  return value->get<std::string>();
}

std::string ItemLine::place() const {
  return fmt::format("{}, line {}", path_, number_);
}

void ItemLine::fail(const std::string& what) const {
  throw DataError(fmt::format("{}: {}", place(), what));
}

const Item& ItemFiles::item(Split split, int64_t index, const std::string& task) const {
  const std::vector<Item>& items = of(split);
  if (index < 0 || index >= std::ssize(items))
    throw std::invalid_argument(fmt::format("{}: no problem {}; expected 0 to {}", task, index, items.size() - 1));
  return items[static_cast<size_t>(index)];
}

ItemFiles read_item_files(const configs::Task& config, const std::string& keys,
                          const std::function<Item(const ItemLine&)>& parse) {
  if (config.path.empty()) {
    throw ConfigError(
        fmt::format("task.path is empty, but task {} reads its problems from there; name a JSON Lines file with {}",
                    config.name, keys));
  }
  ItemFiles out;
  File all = read_file("task.path", config.path, parse);
  const size_t read = all.items.size();
  for (size_t i = 0; i < read; ++i) {
    const bool held_out = config.eval_path.empty() && is_held_out(all.items[i]);
    (held_out ? out.eval : out.train).push_back(std::move(all.items[i]));
    (held_out ? out.eval_lines : out.train_lines).push_back(all.lines[i]);
  }
  if (!config.eval_path.empty()) {
    File eval = read_file("task.eval_path", config.eval_path, parse);
    out.eval = std::move(eval.items);
    out.eval_lines = std::move(eval.lines);
  }
  if (out.train.empty()) throw DataError(fmt::format("{} has no problem to train on", config.path));
  if (out.eval.empty() && config.eval_path.empty()) {
    throw DataError(fmt::format(
        "{} has no problem to evaluate on: without task.eval_path, about 1 of {} problems is held out, chosen by a "
        "hash of its text, and none of the {} here is; set task.eval_path",
        config.path, kHeldOutShare, read));
  }
  if (out.eval.empty()) throw DataError(fmt::format("{} has no problem to evaluate on", config.eval_path));
  number(out.train);
  number(out.eval);
  return out;
}

}  // namespace terse::rl
