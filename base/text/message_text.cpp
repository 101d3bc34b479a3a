// Cuts at a character first, so that the rest of a long text costs nothing.
#include "base/text/message_text.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace terse {

std::string message_text(std::string_view text, size_t most) {
  const bool is_long = text.size() > most;
  if (is_long) text = text.substr(0, whole_characters(text.substr(0, most)));
  std::string result;
  for (const char c : printable(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n') || byte == 0x7F) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return is_long ? result + "..." : result;
}

}  // namespace terse
