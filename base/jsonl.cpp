// Parses without exceptions: a line that is not valid JSON is not an object.
#include "base/jsonl.h"

namespace terse {

bool JsonlReader::next() {
  if (!std::getline(stream_, text_)) return false;
  ++number_;
  object_ = nlohmann::json::parse(text_, nullptr, /*allow_exceptions=*/false);
  return true;
}

}  // namespace terse
