// Explains mistakes on the command line.
#pragma once

#include <string>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace terse::launch {

// Return the innermost command that the arguments named, and its full name, "terse data build".
const CLI::App& named_command(const CLI::App& root);
std::string full_name(const CLI::App& command);

// Returns the help text of the command that the arguments named.
std::string help_text(const CLI::App& root);

// Returns a paragraph about a failed parse: the mistake, the nearest name that exists, and which help to read.
std::string explain(const CLI::App& root, const CLI::ParseError& error);

}  // namespace terse::launch
