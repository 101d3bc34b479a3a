// The page's template, style and script, embedded by embed.cmake.
#pragma once

#include <string_view>

namespace terse::launch::report {

extern const std::string_view kPageHtml;
extern const std::string_view kPageCss;
extern const std::string_view kPageJs;

}  // namespace terse::launch::report
