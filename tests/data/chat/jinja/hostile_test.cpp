// Tests that templates which try to use up time, memory or the stack end with an error, and that damaged ones do.
#include <gmock/gmock.h>

#include "tests/data/chat/jinja/support.h"

namespace terse::data::jinja {
namespace {

using testing::HasSubstr;

std::string repeat(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(HostileTemplate, EndsWhenItTakesTooLong) {
  const std::vector<std::string> templates = {
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
      "{% for a in range(100000) %}{% for b in range(100000) %}{% set x = a * b %}{% endfor %}{% endfor %}",
      "{% set ns = namespace(x='ab') %}{% for a in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x='ab') %}{% for a in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for a in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = ns.x | replace('a', ns.x) %}{% endfor %}",
      "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = [ns.x, ns.x] | join(ns.x) %}{% endfor %}",
      "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = '{0}{0}'.format(ns.x) %}{% endfor %}",
      "{% set ns = namespace(x='a\n') %}{% for a in range(99) %}{% set ns.x = (ns.x * 9) | indent(9) %}{% endfor %}",
      "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = [ns.x, ns.x] | tojson %}{% endfor %}",
      "{% set ns = namespace(x='a') %}{% for a in range(99) %}{% set ns.x = [[ns.x], ns.x] ~ ns.x %}{% endfor %}",
      "{{ 'x' * 1000000000000 }}",
      "{{ [1] * 1000000000000 }}",
      "{{ ('x' * 1000000) | replace('', 'y' * 1000) }}",
      "{{ 'a\nb' | indent(1000000000000) }}",
      "{{ range(100000) | map('string') | map('indent', 100000, true) | join }}",
      "{% set x = 'a' * 1000000 %}{% for a in range(100000) %}{% if 'b' in x %}{% endif %}{% endfor %}",
      "{% set x = 'a' * 1000000 %}{% for a in range(100000) %}{{ x == x ~ '' }}{% endfor %}",
      "{{ 'a' * 1000 * 100 ~ 'b' in 'a' * 1000 * 1000 }}",
      "{{ ('a' * 1000 * 1000).find('a' * 1000 * 100 ~ 'b') }}",
      "{{ ('a' * 1000 * 1000).rfind('b' ~ 'a' * 1000 * 100) }}",
      "{{ ('a' * 1000 * 1000).count('a' * 1000 * 100 ~ 'b') }}",
      "{{ ('a' * 1000 * 1000).split('a' * 1000 * 100 ~ 'b') }}",
      "{{ ('a' * 1000 * 1000).replace('a' * 1000 * 100 ~ 'b', '') }}",
      "{% set x = 'é' * 1000000 %}{% for a in range(100000) %}{{ x[a] }}{% endfor %}",
      "{% set x = range(100000) | list %}{% for a in x %}{% if -1 in x %}{% endif %}{% endfor %}",
      "{% for a in range(100000) %}{{ range(100000) | sum }}{% endfor %}",
      "{{ range(100000) | unique | list | length }}",
      "{% macro f() %}{% for a in range(99999) %}{{ caller() }}{% endfor %}{% endmacro %}"
      "{% call f() %}{% for b in range(99999) %}{% endfor %}{% endcall %}",
      "{% set x = {'a': 'b' * 1000000} %}{% for a in range(100000) %}{{ x | tojson }}{% endfor %}",
      "{% set x %}{{ 'ab' * 1000000 }}{% endset %}{% for a in range(99999) %}{{ x | upper | trim }}{% endfor %}",
      "{% set x = [1, 2] %}{% for a in range(99999) %}{{ x | tojson(indent=1000) }}{{ x | tojson(indent='x' * 99999) }}"
      "{% endfor %}",
  };
  for (const std::string& source : templates) {
    SCOPED_TRACE(source);
    EXPECT_THAT(problem(source), HasSubstr("the template takes more than 1000000 units of work, so it was stopped"));
  }
}

TEST(HostileTemplate, CannotUseUpTheStack) {
  const std::vector<std::pair<std::string, std::string>> templates = {
      {"{{ " + repeat("(", 100000) + "1" + repeat(")", 100000) + " }}", "nested"},
      {"{{ " + repeat("[", 100000) + repeat("]", 100000) + " }}", "nested"},
      {"{{ " + repeat("{1:", 50000) + "1" + repeat("}", 50000) + " }}", "nested"},
      {"{{ " + repeat("-", 100000) + "1 }}", "nested"},
      {"{{ " + repeat("not ", 60000) + "1 }}", "nested"},
      {"{{ 1" + repeat(" + 1", 60000) + " }}", "nested"},
      {"{{ 1" + repeat(" and 1", 40000) + " }}", "nested"},
      {"{{ 1" + repeat(" ** 1", 40000) + " }}", "nested"},
      {"{{ x" + repeat(".x", 100000) + " }}", "nested"},
      {"{{ x" + repeat("[0]", 80000) + " }}", "nested"},
      {"{{ x" + repeat("()", 100000) + " }}", "nested"},
      {"{{ x" + repeat("|trim", 50000) + " }}", "nested"},
      {"{{ x" + repeat(" if x", 40000) + " }}", "nested"},
      {"{{ x" + repeat(" if x else x", 20000) + " }}", "nested"},
      {"{{ " + repeat("x is eq (", 20000) + "1" + repeat(")", 20000) + " }}", "nested"},
      {repeat("{% if x %}", 20000), "nested"},
      {repeat("{% for x in y %}", 15000), "nested"},
      {repeat("{% set x %}", 20000), "nested"},
      {repeat("{% filter trim %}", 15000), "nested"},
      {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "does a macro call itself without end?"},
      {"{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}", "without end?"},
      {"{% macro f(x=f()) %}{% endmacro %}{{ f() }}", "without end?"},
      {"{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}", "without end?"},
      {"{% macro f() %}{{ caller() }}{% endmacro %}{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro %}"
       "{{ g() }}",
       "without end?"},
      {"{% set ns = namespace(x=[]) %}{% for a in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}", "nested"},
      {"{% set ns = namespace(x=1) %}{% for a in range(1000) %}{% set ns.x = {'a': ns.x} %}{% endfor %}", "nested"},
      {"{% set ns = namespace(x=1) %}{% for a in range(1000) %}{% set ns.x = namespace(x=ns) %}{% endfor %}",
       "a namespace inside another value"},
  };
  for (const auto& [source, expected] : templates) {
    SCOPED_TRACE(source.substr(0, 100));
    EXPECT_THAT(problem(source), HasSubstr(expected));
  }
}

TEST(HostileTemplate, AllowsWhatIsNestedAsDeepAsItMay) {
  EXPECT_EQ(render("{{ " + repeat("[", 90) + "1" + repeat("]", 90) + " }}").size(), 181u);
  EXPECT_EQ(render("{{ 1" + repeat(" + 1", 140) + " }}").bytes(), "141");
  EXPECT_EQ(render(repeat("{% if true %}", 100) + "x" + repeat("{% endif %}", 100)).bytes(), "x");
  EXPECT_EQ(render("{% if z %}" + repeat("{% elif z %}", 20000) + "{% else %}x{% endif %}").bytes(), "x");
  EXPECT_EQ(render("{{ ''" + repeat(" ~ 'x'", 20000) + " }}").size(), 20000u);
  EXPECT_EQ(render("{% macro f(n) %}{% if n %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(50) }}").size(), 91u);
}

TEST(HostileTemplate, FailsWhereNumbersDoNotFit) {
  const std::vector<std::string> templates = {
      "{{ 99999999999999999999 }}",
      "{{ 1e999 }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ -9223372036854775807 - 2 }}",
      "{{ 9223372036854775807 * 2 }}",
      "{{ 2 ** 64 }}",
      "{{ 10 ** 10 ** 10 }}",
      "{{ -(-9223372036854775807 - 1) }}",
      "{{ (-9223372036854775807 - 1) // -1 }}",
      "{{ (-9223372036854775807 - 1) % -1 }}",
      "{{ (-9223372036854775807 - 1) | abs }}",
      "{{ 1e30 | int }}",
      "{{ '1e30' | int }}",
      "{{ range(1000000000) }}",
      "{{ range(-9223372036854775807, 9223372036854775807) }}",
      "{{ '{99999999999999999999}'.format(1) }}",
      "{{ '{999}'.format(1) }}",
      "{{ [1][::0] }}",
  };
  for (const std::string& source : templates) EXPECT_THROW(render(source), DataError) << source;
  EXPECT_EQ(render("{{ range(9223372036854775800, 9223372036854775807, 5) | list | length }}").bytes(), "2");
  EXPECT_EQ(render("{{ 'abc'[-9223372036854775807:9223372036854775807:9223372036854775807] }}").bytes(), "a");
  EXPECT_EQ(render("{{ 'abc'[9223372036854775807::-9223372036854775807] }}").bytes(), "c");
  EXPECT_EQ(render("{{ [1, 2][9223372036854775807] }}{{ 'a'[-9223372036854775807] }}").bytes(), "");
  EXPECT_EQ(render("{{ 'a,b'.split(',', 9223372036854775807) | length }}").bytes(), "2");
}

const std::vector<std::string> kDamaged = {
    "{{ '\\ud83d' }}",
    "{{ '\\x4' }}",
    "{{ '\\U00110000' }}",
    "{{ '\\",
    "{{ '\\u12",
    "{{ $ }}",
    "{{ é }}",
    "{{ a! }}",
    "{{ ( ] }}",
    "{{ [ ) }}",
    "{{ } }}",
    "{{ 1.2.3.4 }}",
    "{{ 1a }}",
    "{%",
    "{{",
    "{#",
    "{%-",
    "{{-",
    "{% %}",
    "{% if %}{% endif %}",
    "{% for %}",
    "{% for x in %}{% endfor %}",
    "{% for 1 in x %}{% endfor %}",
    "{% set 1 = 2 %}",
    "{% set true = 2 %}",
    "{% set x.y.z = 2 %}",
    "{% set x[0] = 1 %}",
    "{% macro %}",
    "{% macro f %}",
    "{% macro f(1) %}{% endmacro %}",
    "{% call %}{% endcall %}",
    "{% filter %}{% endfilter %}",
    "{% filter nope %}",
    "{% with x %}{% endwith %}",
    "{% raw %}{% endraw",
    "{% raw x %}{% endraw %}",
    "{% else %}",
    "{% endif x %}",
    "{% if 1 %}{% else %}{% else %}{% endif %}",
    "{% generation %}",
    "{% endgeneration %}",
    "{{ a b }}",
    "{{ a, , }}",
    "{{ {1} }}",
    "{{ {1: } }}",
    "{{ [1 2] }}",
    "{{ f(1 2) }}",
    "{{ f(, ) }}",
    "{{ a[ }}",
    "{{ a[] }}",
    "{{ a. }}",
    "{{ a.1b }}",
    "{{ a if }}",
    "{{ not }}",
    "{{ 1 + }}",
    "{{ * 1 }}",
    "{{ 1 is not }}",
    "{{ 'a' 1 }}",
    "{{ ;}}",
    "{{ 1 }",
    "{% if 1 }}",
    "{{ 1 %}",
    "{% continue %}",
    "{% for x in y %}{% set z %}{% break %}{% endset %}{% endfor %}",
};

TEST(HostileTemplate, FailsWhenItIsDamaged) {
  for (const std::string& source : kDamaged) EXPECT_THROW(render(source), DataError) << source;
}

TEST(HostileTemplate, FailsWhenItIsNoText) {
  EXPECT_THAT(problem("ab\xff"), HasSubstr("the template is not UTF-8 at byte 2"));
  EXPECT_THAT(problem(std::string(size_t{1} << 18, 'x') + "x"),
              HasSubstr("the template has 262145 bytes, more than 262144"));
  EXPECT_EQ(render(std::string("a\0b", 3)).size(), 3u);
  EXPECT_THROW(render(std::string("{{ \0 }}", 7)), DataError);
}

// Every prefix of a large template and every template with one byte changed either renders or fails; neither crashes.
TEST(HostileTemplate, SurvivesCutsAndChanges) {
  const std::string source =
      read_file(std::filesystem::path(TERSE_SOURCE_DIR) / "tests/data/chat/templates/llama3_style.jinja");
  const Json variables = {
      {"messages", Json::parse(R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b",
                      "tool_calls": [{"function": {"name": "f", "arguments": {"x": "y"}}}]}])")},
      {"tools", Json::parse(R"([{"a": [1, {"b": null}]}])")},
      {"bos_token", "<s>"},
      {"add_generation_prompt", true}};
  int64_t rendered = 0;
  const auto attempt = [&](const std::string& text) {
    try {
      render(text, variables);
      ++rendered;
    } catch (const DataError&) {
    }
  };
  attempt(source);
  ASSERT_EQ(rendered, 1);
  for (size_t length = 0; length < source.size(); length += 7) attempt(source.substr(0, length));
  std::mt19937_64 random(1);
  const std::string alphabet = "{}%#-+'\"()[].,:|~=<> \n\\0a_ifx\xff";
  for (int i = 0; i < 1500; ++i) {
    std::string changed = source;
    for (int n = 0; n < 1 + i % 3; ++n) {
      changed[static_cast<size_t>(below(random, static_cast<int64_t>(source.size())))] =
          alphabet[static_cast<size_t>(below(random, static_cast<int64_t>(alphabet.size())))];
    }
    attempt(changed);
  }
  EXPECT_GT(rendered, 100);
}

}  // namespace
}  // namespace terse::data::jinja
