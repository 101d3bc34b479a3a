// The command line: what exists, what it says about itself, and what a mistake is answered with.
#pragma once

namespace terse::launch {

// Parses, runs the command and returns the exit code. Never throws; errors are printed to standard error.
int run_program(int argc, const char* const* argv) noexcept;

}  // namespace terse::launch
