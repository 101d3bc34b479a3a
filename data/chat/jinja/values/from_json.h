// Makes values of JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "data/chat/jinja/values/value.h"

namespace terse::data::jinja {

// All text of the result, keys included, has this origin. Fails for a number that does not fit into 64 bits. The caller
// has checked the depth and that all text is UTF-8 (check_json() in data/chat/message.h).
Value from_json(Context& context, const nlohmann::ordered_json& json, Origin origin);

}  // namespace terse::data::jinja
