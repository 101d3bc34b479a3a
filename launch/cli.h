// The command line: defines the commands, runs the one that the arguments name, and explains mistakes.
#pragma once

namespace terse::launch {

// Parses the arguments, runs the command and returns the exit code. Never throws; errors are printed to standard error.
int run_program(int argc, const char* const* argv) noexcept;

}  // namespace terse::launch
