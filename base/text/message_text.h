// Makes what a file says fit for a message, which may go to a terminal, a log and a page.
#pragma once

#include <string>
#include <string_view>

namespace terse {

// Returns a text with U+FFFD in place of bytes that are not UTF-8, "\x1b" in place of control characters except for
// line breaks, and "..." in place of what follows `most` bytes.
std::string message_text(std::string_view text, size_t most = 1000);

}  // namespace terse
