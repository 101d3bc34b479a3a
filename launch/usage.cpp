// CLI11 reports the first rule that failed. The misspelt word that caused the failure helps a person more, so this file
// searches for such a word first.
#include "launch/usage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "configs/yaml/suggest.h"

namespace terse::launch {
namespace {

// Names that users of other tools may type, and the names of the stages.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kOtherNames = {{{"train", "run"},
                                                                                        {"resume", "run"},
                                                                                        {"start", "run"},
                                                                                        {"pretrain", "run"},
                                                                                        {"sft", "run"},
                                                                                        {"rl", "run"},
                                                                                        {"evaluate", "eval"},
                                                                                        {"sample", "generate"},
                                                                                        {"check", "verify"},
                                                                                        {"env", "doctor"},
                                                                                        {"info", "doctor"},
                                                                                        {"version", "--version"}}};

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> command_names(const CLI::App& parent) {
  std::vector<std::string> names;
  for (const CLI::App* command : parent.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::string unknown_option(const CLI::App& command, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  const std::string nearest = configs::nearest(name, option_names(command));
  return fmt::format("unknown option {}{}", name,
                     nearest.empty() ? ". Put an argument that begins with '-' after `--`."
                                     : fmt::format("; did you mean {}?", nearest));
}

std::string unknown_command(const CLI::App& parent, const std::string& word) {
  std::error_code ignored;
  if (parent.get_parent() == nullptr && std::filesystem::is_regular_file(word, ignored))
    return fmt::format("'{0}' is a file, not a command; did you mean `terse run {0}`?", word);
  std::string nearest;
  if (parent.get_parent() == nullptr)
    for (const auto& [other, ours] : kOtherNames)
      if (word == other) nearest = ours;
  if (nearest.empty()) nearest = configs::nearest(word, command_names(parent));
  return fmt::format("unknown command '{}'{} Known: {}.", word,
                     nearest.empty() ? "." : fmt::format("; did you mean `{} {}`?", full_name(parent), nearest),
                     fmt::join(command_names(parent), ", "));
}

std::string explain_words(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App& command = named_command(root);
  const std::vector<std::string> unread = root.remaining(/*recurse=*/true);
  const auto mark = std::find(unread.begin(), unread.end(), "--");
  if (mark != unread.end() && mark + 1 != unread.end()) {
    return fmt::format("unexpected argument{} {}: everything after `--` is an argument. Put options before it.",
                       unread.end() - mark > 2 ? "s" : "", fmt::join(mark + 1, unread.end(), " "));
  }
  const auto option =
      std::find_if(unread.begin(), mark, [](const std::string& w) { return w.size() > 1 && w[0] == '-'; });
  if (option != mark) return unknown_option(command, *option);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr) return std::string(error.what()) + ".";
  if (!command_names(command).empty()) return unknown_command(command, unread.front());
  return fmt::format("unexpected argument{} {}.", unread.size() > 1 ? "s" : "", fmt::join(unread, " "));
}

}  // namespace

const CLI::App& named_command(const CLI::App& root) {
  const CLI::App* command = &root;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

std::string full_name(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : full_name(*parent) + " " + command.get_name();
}

std::string help_text(const CLI::App& root) {
  std::string text = root.help();
  for (size_t at = 0; (at = text.find("\n\n\n")) != std::string::npos;) text.erase(at, 1);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text + "\n";
}

std::string explain(const CLI::App& root, const CLI::ParseError& error) {
  return fmt::format("{}\nSee `{} --help`.", explain_words(root, error), full_name(named_command(root)));
}

}  // namespace terse::launch
