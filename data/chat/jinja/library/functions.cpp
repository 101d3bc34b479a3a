// strftime_now() formats a date that the caller of the renderer sets, so that a conversation has the same text on every
// day.
#include "data/chat/jinja/library/functions.h"

#include <fmt/format.h>

#include <array>
#include <chrono>

#include "data/chat/jinja/values/python_text.h"

namespace terse::data::jinja {

namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};

Value range(Context& context, const CallArguments& call) {
  const Arguments arguments(context, "range()", call, {"start", "stop", "step"}, 1);
  const int64_t start = arguments.has(1) ? arguments.integer(0, 0) : 0;
  const int64_t stop = arguments.integer(arguments.has(1) ? 1 : 0, 0);
  const int64_t step = arguments.integer(2, 1);
  if (step == 0) context.fail("the step of range() is 0");
  std::vector<Value> items;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<int64_t>(items.size()) >= Limits::kRange) {
      context.fail(fmt::format("range() has more than {} items", Limits::kRange));
    }
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return make_list(context, std::move(items));
}

// Returns the pairs of name and value that dict() and namespace() take.
std::vector<std::pair<Value, Value>> pairs(Context& context, std::string_view what, const CallArguments& call) {
  std::vector<std::pair<Value, Value>> items;
  if (call.positional.size() > 1) context.fail(fmt::format("{}() takes at most one dict", what));
  if (!call.positional.empty()) {
    const Value& source = call.positional.front();
    if (source.dict() != nullptr) {
      items = source.dict()->items;
    } else {
      for (const Value& pair : iterate(context, source)) {
        const List* list = pair.list();
        if (list == nullptr || list->items.size() != 2) context.fail(fmt::format("{}() needs pairs", what));
        items.emplace_back(list->items[0], list->items[1]);
      }
    }
  }
  for (const auto& [name, value] : call.named) items.emplace_back(Value(Text(name)), value);
  return items;
}

Value make_namespace(Context& context, const CallArguments& call) {
  auto space = std::make_shared<Namespace>();
  for (auto& [name, value] : pairs(context, "namespace", call)) {
    if (name.text() == nullptr) context.fail("the names of a namespace must be texts");
    set_attribute(context, *space, name.text()->bytes(), std::move(value));
  }
  return Value(std::move(space));
}

std::string date_part(Context& context, const Date& date, char code) {
  using namespace std::chrono;
  const year_month_day day = year(date.year) / month(static_cast<unsigned>(date.month)) / date.day;
  const size_t weekday_index = weekday(sys_days(day)).c_encoding();
  const auto month_name = kMonths[static_cast<size_t>(date.month - 1)];
  const int hour12 = date.hour % 12 == 0 ? 12 : date.hour % 12;
  switch (code) {
    case 'Y':
      return fmt::format("{:04d}", date.year);
    case 'y':
      return fmt::format("{:02d}", date.year % 100);
    case 'm':
      return fmt::format("{:02d}", date.month);
    case 'd':
      return fmt::format("{:02d}", date.day);
    case 'e':
      return fmt::format("{:2d}", date.day);
    case 'B':
      return std::string(month_name);
    case 'b':
      return std::string(month_name.substr(0, 3));
    case 'A':
      return std::string(kDays[weekday_index]);
    case 'a':
      return std::string(kDays[weekday_index].substr(0, 3));
    case 'H':
      return fmt::format("{:02d}", date.hour);
    case 'I':
      return fmt::format("{:02d}", hour12);
    case 'M':
      return fmt::format("{:02d}", date.minute);
    case 'S':
      return fmt::format("{:02d}", date.second);
    case 'p':
      return date.hour < 12 ? "AM" : "PM";
    case 'F':
      return fmt::format("{:04d}-{:02d}-{:02d}", date.year, date.month, date.day);
    case 'T':
      return fmt::format("{:02d}:{:02d}:{:02d}", date.hour, date.minute, date.second);
    case '%':
      return "%";
    default:
      context.refuse(fmt::format("'%{}' in strftime_now()", code));
  }
}

Value format_date(Context& context, const CallArguments& call) {
  const Arguments arguments(context, "strftime_now()", call, {"format"}, 1);
  const std::string& format = arguments.text(0).bytes();
  context.spend(format.size() * 8);
  std::string result;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] == '%' && i + 1 < format.size()) {
      result += date_part(context, *context.date(), format[++i]);
    } else {
      result += format[i];
    }
  }
  return Value(Text(result));
}

}  // namespace

bool is_function(const Context& context, std::string_view name) {
  if (name == "strftime_now") return context.date().has_value();
  return name == "range" || name == "dict" || name == "namespace" || name == "raise_exception";
}

Value call_function(Context& context, std::string_view name, const CallArguments& call) {
  context.spend();
  if (name == "range") return range(context, call);
  if (name == "dict") return make_dict(context, pairs(context, "dict", call));
  if (name == "namespace") return make_namespace(context, call);
  if (name == "strftime_now") return format_date(context, call);
  if (name != "raise_exception") context.refuse(fmt::format("calling '{}' in this way", name));
  const Arguments arguments(context, "raise_exception()", call, {"message"}, 1);
  context.fail("the template refuses the conversation: " + to_text(context, arguments.value(0)).bytes());
}

void set_attribute(Context& context, Namespace& space, const std::string& name, Value value) {
  if (name.starts_with('_')) context.fail(fmt::format("the attribute '{}' is not allowed in a namespace", name));
  check_part(context, value);
  context.spend(space.attributes.size() * 8);
  for (auto& [key, held] : space.attributes) {
    if (key == name) {
      held = std::move(value);
      return;
    }
  }
  space.attributes.emplace_back(name, std::move(value));
}

}  // namespace terse::data::jinja
