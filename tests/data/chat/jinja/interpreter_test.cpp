// Tests the template language against Jinja2 itself (tests/data/chat/jinja/make_language.py).
#include "data/chat/jinja/interpreter.h"

#include <gmock/gmock.h>

#include "tests/data/chat/jinja/support.h"

namespace terse::data::jinja {
namespace {

using testing::HasSubstr;

TEST(Interpreter, RendersAsJinja2Does) {
  const Json expected =
      Json::parse(read_file(std::filesystem::path(TERSE_SOURCE_DIR) / "tests/data/chat/jinja/language.json"));
  int64_t rendered = 0;
  for (const Json& item : expected["cases"]) {
    const auto source = item["template"].get<std::string>();
    SCOPED_TRACE(source);
    if (item.contains("error")) {
      EXPECT_THROW(render(source, expected["variables"]), DataError) << item["error"];
      continue;
    }
    EXPECT_EQ(render(source, expected["variables"]).bytes(), item["text"].get<std::string>());
    ++rendered;
  }
  EXPECT_GT(rendered, 500);
}

TEST(Interpreter, KeepsTheMarksOfInput) {
  const Json variables = {{"s", "Ab c"}, {"l", {"x", "y"}}, {"d", {{"k", "v"}}}, {"n", 5}, {"u", "é'\n"}};
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{{ s }}", "{Ab c}"},
      {"a{{ s ~ 'x' }}b", "a{Ab c}xb"},
      {"{{ s + 'x' + s }}", "{Ab c}x{Ab c}"},
      {"{{ s | upper }}{{ s.lower() }}", "{AB Cab c}"},
      {"{{ (s ~ '!') | title }}", "{Ab C}!"},
      {"{{ ('  ' ~ s ~ ' ') | trim }}", "{Ab c}"},
      {"{{ s[1:] }}|{{ s[0] }}|{{ s[::-1] }}", "{b c}|{A}|{c bA}"},
      {"{{ s.split(' ')[0] }}|{{ s.split()[1] }}|{{ s.rsplit('b', 1)[0] }}", "{Ab}|{c}|{A}"},
      {"{{ s.split('b') | join('b') }}", "{A}b{ c}"},
      {"{{ s | replace('b', 'X') }}", "{A}X{ c}"},
      {"{{ 'a-b' | replace('-', s) }}", "a{Ab c}b"},
      {"{{ l | join(', ') }}", "{x}, {y}"},
      {"{{ ', '.join(l) }}", "{x}, {y}"},
      {"{{ s.join(['1', '2']) }}", "1{Ab c}2"},
      {"{{ [s] }}{{ d }}", "['{Ab c}']{'{k}': '{v}'}"},
      {"{{ [u] }}", "[\"{é'\\n}\"]"},
      {"{{ d | tojson }}", "{\"{k}\": \"{v}\"}"},
      {"{{ [u, n, true, none] | tojson }}", "[\"{é'\\n}\", {5}, {true}, {null}]"},
      {"{{ u | tojson(ensure_ascii=true) }}", "\"{\\u00e9'\\n}\""},
      {"{{ d | tojson(indent=1) }}", "{\n \"{k}\": \"{v}\"\n}"},
      {"{{ s | reverse }}{{ s | first }}{{ s | last }}", "{c bAAc}"},
      {"{% for c in s %}[{{ c }}]{% endfor %}", "[{A}][{b}][{ }][{c}]"},
      {"{% for k in d %}{{ k }}{% endfor %}", "{k}"},
      {"{{ s * 2 }}", "{Ab cAb c}"},
      {"{{ ('a\n' ~ s) | indent(2) }}", "a\n  {Ab c}"},
      {"{% set x %}a{{ s }}{% endset %}{{ x }}", "a{Ab c}"},
      {"{% filter upper %}a{{ s }}{% endfilter %}", "A{AB C}"},
      {"{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(s) }}{{ f(s) | upper }}", "<{Ab c}><{AB C}>"},
      {"{{ '<{}>'.format(s) }}{{ s.format() }}", "<{Ab c}>{Ab c}"},
      {"{{ ('<' | safe) + s + '&' }}", "<{Ab c}&amp;"},
      {"{{ '&' | safe + u }}", "&{é&#39;\n}"},
      {"{{ s | default('x') }}{{ nope | default(s) }}", "{Ab cAb c}"},
      {"{{ l | sort | first }}{{ d | dictsort | first }}{{ l | map('upper') | join }}", "{x}('{k}', '{v}'){XY}"},
      {"{{ s.splitlines()[0] }}{{ s.removeprefix('A') }}{{ s.removesuffix('c') }}", "{Ab cb cAb }"},
      {"{{ s if n else 'x' }}{{ s or 'x' }}{{ n and s }}", "{Ab cAb cAb c}"},
  };
  for (const auto& [source, expected] : cases) EXPECT_EQ(marked(render(source, variables)), expected) << source;
}

TEST(Interpreter, RefusesWhatItDoesNotKnowByName) {
  const Json variables = {{"l", {1, 2}}, {"s", "x"}, {"d", Json::object()}, {"u", "İ"}};
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{{ l | groupby('x') }}", "the filter 'groupby'"},
      {"{{ s | escape }}", "the filter 'escape'"},
      {"{{ s | truncate(5) }}", "the filter 'truncate'"},
      {"{{ s is filter }}", "the test 'filter'"},
      {"{% include 'x' %}", "the statement 'include'"},
      {"{% import 'x' as y %}", "the statement 'import'"},
      {"{% from 'x' import y %}", "the statement 'from'"},
      {"{% extends 'x' %}", "the statement 'extends'"},
      {"{% block x %}{% endblock %}", "the statement 'block'"},
      {"{% for x in l recursive %}{% endfor %}", "a recursive loop"},
      {"{% macro f() %}{{ varargs }}{% endmacro %}", "'varargs' in a macro"},
      {"{{ f(*l) }}", "an argument with * or **"},
      {"{{ f(**d) }}", "an argument with * or **"},
      {"{{ cycler(1, 2) }}", "the function 'cycler'"},
      {"{{ s.encode() }}", "str.encode"},
      {"{{ s.zfill(3) }}", "str.zfill"},
      {"{{ '%s' % s }}", "formatting text with '%'"},
      {"{{ 0x10 }}", "a number that is not decimal"},
      {"{{ '\\N{BULLET}' }}", "the escape \\N{...}"},
      {"{{ u | lower }}", "changing the case of 'İ' (U+0130)"},
      {"{{ 'ß' | upper }}", "changing the case of 'ß' (U+00DF)"},
      {"{{ 'é b'.title() }}", "title() of text that is not ASCII"},
      {"{{ '١'.isdigit() }}", "isdigit() of text that is not ASCII"},
      {"{{ range }}", "printing a function"},
      {"{{ namespace() }}", "printing a namespace"},
      {"{{ l | map('string') }}", "printing a iterator"},
      {"{{ d.keys() }}", "printing a view of a dict"},
      {"{% set x = l | map('string') %}{{ x | list }}{{ x | list }}", "reading the result of a filter such as map"},
      {"{{ [namespace()] }}", "a namespace inside another value"},
      {"{% set ns = namespace() %}{% set ns.x = ns %}", "a namespace inside another value"},
      {"{% macro f() %}{% endmacro %}{{ [f] }}", "a macro inside another value"},
      {"{% for x in l %}{{ {'a': loop} }}{% endfor %}", "a loop inside another value"},
      {"{{ '{:>5}'.format(s) }}", "the field {:>5} in format()"},
      {"{{ (s | safe).replace('a', 'b') }}", "replace() after the filter safe"},
      {"{{ '7' | int(0, 16) }}", "the filter 'int' with another base than 10"},
      {"{{ 2.55 | round(1) }}", "the filter 'round' with a precision"},
      {"{{ s is sameas('x') }}", "the test 'sameas'"},
      {"{{ l[1, 2] }}", "a subscript of several values"},
      {"{% set f = s.upper %}{{ f() }}", "calling 'upper' in this way"},
  };
  for (const auto& [source, expected] : cases) {
    const std::string message = problem(source, variables);
    EXPECT_THAT(message, HasSubstr(expected)) << source;
    EXPECT_THAT(message, HasSubstr("is not supported; give the model a chat template that does without it")) << source;
  }
}

TEST(Interpreter, NamesTheLine) {
  EXPECT_THAT(problem("a\n{% if true %}\n{{ nope.x }}\n{% endif %}"),
              testing::StartsWith("t, line 3: 'nope' is undefined"));
  EXPECT_THAT(problem("{% if true %}\n\n{% endfor %}"), testing::StartsWith("t, line 3: unknown statement 'endfor'"));
  EXPECT_THAT(problem("{{ 'a\nb' }}{# \n #}{{\n1 + 'a'\n}}"), testing::StartsWith("t, line 4: '+' does not work"));
  EXPECT_THAT(problem("\n{% for x in [1] %}\n{{ x }}"),
              testing::StartsWith("t, line 3: expected {% endfor %}, found the end"));
  EXPECT_THAT(problem("\n\n{{ 'open"), testing::StartsWith("t, line 3: a string is not closed"));
  EXPECT_THAT(problem("{{ [1,\n2]\n | join('a',\n 'b', 'c') }}"),
              HasSubstr("line 3: the filter 'join' takes at most 2"));
}

TEST(Interpreter, MarksWhatIsGenerated) {
  const Text text =
      render("a{% generation %}b{{ s }}{% endgeneration %}c{% generation %}{% endgeneration %}", {{"s", "x"}});
  ASSERT_EQ(text.runs().size(), 4u);
  EXPECT_FALSE(text.runs()[0].origin.is_generated());
  EXPECT_TRUE(text.runs()[1].origin.is_generated() && !text.runs()[1].origin.is_input());
  EXPECT_TRUE(text.runs()[2].origin.is_generated() && text.runs()[2].origin.is_input());
  EXPECT_EQ(text.runs()[2].end, 3u);
  EXPECT_FALSE(text.runs()[3].origin.is_generated());
}

}  // namespace
}  // namespace terse::data::jinja
