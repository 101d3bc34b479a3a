// What a mistake on the command line is answered with.
#pragma once

#include <string>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace terse::launch {

// The innermost command that the arguments named, and its full name, "terse data build".
const CLI::App& named_command(const CLI::App& root);
std::string full_name(const CLI::App& command);

// The help text of that command.
std::string help_text(const CLI::App& root);

// A paragraph about a failed parse: what was wrong, the nearest thing that exists, and where to read on.
std::string explain(const CLI::App& root, const CLI::ParseError& error);

}  // namespace terse::launch
