// Words the errors of templates, and enforces the budget.
#include "data/chat/jinja/values/context.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "base/text/message_text.h"

namespace terse::data::jinja {

Context::Context(std::string name, std::optional<Date> date, uint64_t most_work)
    : name_(std::move(name)), date_(date), most_work_(most_work) {
  if (!date_) return;
  const std::chrono::year_month_day day = std::chrono::year(date_->year) /
                                          static_cast<int>(std::clamp(date_->month, 0, 13)) /
                                          std::clamp(date_->day, 0, 32);
  const bool is_time = date_->hour >= 0 && date_->hour < 24 && date_->minute >= 0 && date_->minute < 60 &&
                       date_->second >= 0 && date_->second < 60;
  const bool has_four_digits = date_->year >= 1000 && date_->year <= 9999;
  if (!day.ok() || !is_time || !has_four_digits) throw std::invalid_argument("jinja::Context: no such date");
}

void Context::fail(std::string_view problem) const {
  throw DataError(fmt::format("{}, line {}: {}", name_, line, message_text(problem)));
}

void Context::refuse(std::string_view construct) const {
  fail(fmt::format("{} is not supported; give the model a chat template that does without it", construct));
}

void Context::spend(size_t bytes) {
  work_ += 1 + bytes / 8;
  if (work_ > most_work_) {
    fail(fmt::format("the template takes more than {} units of work, so it was stopped", most_work_));
  }
}

Nesting::Nesting(Context& context) : context_(context) {
  if (context_.depth >= Limits::kCallDepth) {
    context_.fail(fmt::format("more than {} calls and expressions are nested; does a macro call itself without end?",
                              Limits::kCallDepth));
  }
  ++context_.depth;
}

}  // namespace terse::data::jinja
