// Has the filters that select, order and change the items of lists and dicts. Each takes the value before the "|" and
// the arguments of the filter.
#pragma once

#include "data/chat/jinja/library/arguments.h"

namespace terse::data::jinja {

// For these two, a value that counts as false has no items.
Value map_items(Context& context, const Value& input, const CallArguments& call);
// Keeps the items for which a test holds (select), or does not hold (reject). With `by_attribute`, the test is about an
// attribute of the item, whose name is the first argument. Without a test, the truth of the item counts.
Value select_items(Context& context, const Value& input, const CallArguments& call, bool keep, bool by_attribute);

Value sort_items(Context& context, const Value& input, const Arguments& arguments);
Value sort_dict(Context& context, const Value& input, const Arguments& arguments);
Value unique_items(Context& context, const Value& input, const Arguments& arguments);
// Returns the largest or the smallest item, or undefined when there is none.
Value extreme_item(Context& context, const Value& input, const Arguments& arguments, bool largest);
Value sum_items(Context& context, const Value& input, const Arguments& arguments);

}  // namespace terse::data::jinja
