// A line that does not parse is no object; nothing is thrown for it.
#include "base/jsonl.h"

namespace terse {

bool JsonlReader::next() {
  if (!std::getline(stream_, text_)) return false;
  ++number_;
  object_ = nlohmann::json::parse(text_, nullptr, /*allow_exceptions=*/false);
  return true;
}

}  // namespace terse
