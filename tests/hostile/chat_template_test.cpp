// Reads hostile chat templates through what loads the vocabulary of model.init, and renders a conversation with them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/chat/chat_format.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "tests/hostile/hostile_files.h"
#include "tests/hostile/model_folder.h"

namespace terse::support {
namespace {

std::string repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// What never ends, or makes more and more.
const std::vector<std::string> kEndless = {
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{{ messages[0].content * 100000 }}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for a in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for a in range(100) %}{% set ns.x = ns.x ~ ns.x %}{{ ns.x }}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for a in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=messages) %}{% for a in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = ns.x | replace('a', ns.x) %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = [ns.x, ns.x] | join(ns.x) %}{% endfor %}",
    "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = [ns.x, ns.x] | tojson %}{% endfor %}",
    "{% set x = 'a' ~ messages[0].content[0] %}{% for a in range(100) %}{{ x * 100000 }}{% endfor %}",
    "{% set x = 'a' ~ messages[0].content[0] %}{% for a in range(100) %}{{ (x * 50000) ~ (x * 50000) }}{% endfor %}",
    "{% set x = 'a' ~ messages[0].content[0] %}{{ (x * 10000) | replace('a', x * 10000) }}",
    "{% set x = ('a' ~ messages[0].content[0]) * 9999 %}{{ range(100000) | map('replace', '', x) | join(x) }}",
    "{% for a in range(100000) %}{% if " + repeat("x", 200000) + " %}{% endif %}{% endfor %}",
    "{% for a in range(100000) %}{% set " + repeat("x", 200000) + " = 1 %}{% endfor %}",
    "{% for a in range(100000) %}{% if messages." + repeat("x", 200000) + " %}{% endif %}{% endfor %}",
    "{% macro " + repeat("x", 99999) + "() %}{% endmacro %}{% for a in range(99999) %}{{ " + repeat("x", 99999) +
        "() }}{% endfor %}",
    "{% set x = 'k' * 1000000 %}{% for a in range(100000) %}{% if messages[0][x] %}{% endif %}{% endfor %}",
    "{{ 'x' * 1000000000000 }}",
    "{{ [1] * 1000000000000 }}",
    "{{ ('x' * 1000000) | replace('', 'y' * 1000) }}",
    "{{ 'a\nb' | indent(1000000000000) }}",
    "{{ range(100000) | map('string') | map('indent', 100000, true) | join }}",
    "{% set x = range(100000) | list %}{% for a in x %}{% if -1 in x %}{% endif %}{% endfor %}",
    "{% set x = range(100000) | list %}{% for a in x %}{% set y = x[::-1] %}{% endfor %}",
    "{{ range(100000) | unique | list | length }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
    "{% macro f() %}{% for a in range(99999) %}{{ caller() }}{% endfor %}{% endmacro %}"
    "{% call f() %}{% for b in range(99999) %}{% endfor %}{% endcall %}",
};

const std::vector<std::string> kDeep = {
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f(x=f()) %}{% endmacro %}{{ f() }}",
    "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
    "{% set ns = namespace(x=[]) %}{% for a in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}",
    "{% set ns = namespace(x=1) %}{% for a in range(1000) %}{% set ns.x = {'a': ns.x} %}{% endfor %}",
    "{% set ns = namespace(x=1) %}{% for a in range(1000) %}{% set ns.x = namespace(x=ns) %}{% endfor %}",
    "{{ " + repeat("(", 50000) + "1" + repeat(")", 50000) + " }}",
    "{{ " + repeat("[", 50000) + repeat("]", 50000) + " }}",
    "{{ " + repeat("{1:", 50000) + "1" + repeat("}", 50000) + " }}",
    "{{ " + repeat("-", 50000) + "1 }}",
    "{{ " + repeat("not ", 50000) + "1 }}",
    "{{ 1" + repeat(" + 1", 50000) + " }}",
    "{{ 1" + repeat(" and 1", 40000) + " }}",
    "{{ 1" + repeat(" ** 1", 40000) + " }}",
    "{{ x" + repeat(".x", 50000) + " }}",
    "{{ x" + repeat("[0]", 50000) + " }}",
    "{{ x" + repeat("()", 50000) + " }}",
    "{{ x" + repeat("|trim", 50000) + " }}",
    "{{ x" + repeat(" if x else x", 20000) + " }}",
    repeat("{% if x %}", 20000),
    repeat("{% for x in y %}", 15000),
    repeat("{% set x %}", 20000),
    repeat("{% filter trim %}", 15000),
    repeat("{% macro f() %}", 15000),
    repeat("{% call f() %}", 15000),
    repeat("{% generation %}", 15000),
};

const std::vector<std::string> kWrongNumbers = {
    "{{ 99999999999999999999 }}",
    "{{ 1e999 }}",
    "{{ 9223372036854775807 + 1 }}",
    "{{ -9223372036854775807 - 2 }}",
    "{{ 9223372036854775807 * 2 }}",
    "{{ 2 ** 64 }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ (-9223372036854775807 - 1) // -1 }}",
    "{{ (-9223372036854775807 - 1) | abs }}",
    "{{ 1e30 | int }}",
    "{{ range(1000000000) }}",
    "{% for i in range(10**9) %}{% endfor %}",
    "{{ range(-9223372036854775807, 9223372036854775807) }}",
    "{{ range(0, 10, 0) | list }}",
    "{{ '{99999999999999999999}'.format(1) }}",
    "{{ [1][::0] }}",
    "{{ 1 // 0 }}",
    "{{ 1 % 0 }}",
    "{{ 1 / 0 }}",
    "{{ 'x' % 3 }}",
    "{{ 'a' * 'b' }}",
    "{{ [1] < 'a' }}",
};

const std::vector<std::string> kBroken = {
    "{{ '\\ud83d' }}",
    "{{ '\\x4' }}",
    "{{ '\\U00110000' }}",
    "{{ '\\",
    "{{ '\\u12",
    "{{ $ }}",
    "{{ a! }}",
    "{{ ( ] }}",
    "{{ } }}",
    "{{ 1.2.3.4 }}",
    "{{ 1a }}",
    "{%",
    "{{",
    "{#",
    "{%-",
    "{% %}",
    "{% if %}{% endif %}",
    "{% if x %}",
    "{% for %}",
    "{% for x in y %}",
    "{% for 1 in x %}{% endfor %}",
    "{% set 1 = 2 %}",
    "{% set x.y.z = 2 %}",
    "{% set x[0] = 1 %}",
    "{% macro %}",
    "{% macro f(1) %}{% endmacro %}",
    "{% macro f() %}",
    "{% call %}{% endcall %}",
    "{% filter nope %}{% endfilter %}",
    "{% raw %}{% endraw",
    "{% else %}",
    "{% endif %}",
    "{% if 1 %}{% else %}{% else %}{% endif %}",
    "{% generation %}",
    "{{ a b }}",
    "{{ {1} }}",
    "{{ [1 2] }}",
    "{{ a[ }}",
    "{{ a. }}",
    "{{ 1 + }}",
    "{{ 1 is nope }}",
    "{{ 1 | nope }}",
    "{{ nope() }}",
    "{{ 1 }",
    "{% if 1 }}",
    "{% continue %}",
    "{% break %}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% extends 'x' %}",
    "{% block x %}{% endblock %}",
    "{% autoescape true %}{% endautoescape %}",
    "{{ messages[0]() }}",
    "{{ messages.append(1) }}",
    "{{ raise_exception('no') }}",
    "{{ raise_exception('\x1b[2J' * 1000) }}",
    "{{ x.y.z }}",
    "{{ messages[0].content.__class__.__mro__ }}",
    "{{ ''.__class__ }}",
    "{{ [].__class__.__base__.__subclasses__() }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ strftime_now(1) }}",
    "{{ 'x'.format_map({}) }}",
};

// A template that uses most of the language; damage makes the rest of the files of it.
const std::string kSound = R"({%- macro header(role) -%}<|{{ role }}|>{%- endmacro -%}
{%- if tools %}{{ tools | tojson(indent=2) }}{% endif -%}
{%- for message in messages if message.content is string -%}
  {%- set ns = namespace(text=message['content'] | trim, n=loop.index0 * 2 - 1) -%}
  {{- header(message.role) ~ '\n' + ns.text.split('</think>')[-1].lstrip('\n') -}}
  {%- if loop.last or (not loop.first and ns.n % 2 == 0) %}{{ "!" }}{% else %}{{ {'a': [1, 2.5, none]}['a'][0] }}{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ header('assistant') }}{% endif -%})";

TEST(HostileChatTemplate, IsRefusedWithAClearError) {
  const ModelFolder folder;
  const std::filesystem::path path = folder.path() / "chat_template.jinja";
  const auto tokenizer = std::make_shared<const data::ByteTokenizer>();
  const data::Conversation conversation = {{"user", {{"role", "user"}, {"content", "What is 1 + 1?"}}},
                                           {"assistant", {{"role", "assistant"}, {"content", "<think>..</think>2"}}}};
  HostileFiles files(path, {150, 64u << 20}, [&] {
    const trainer::ModelVocabulary found = read_vocabulary(folder.path());
    const data::ChatFormat format(tokenizer, found.chat_template, found.template_name, configs::Chat());
    format.encode_prompt(conversation);
    format.encode(conversation);
  });
  files.refuse_or_read({"sound", kSound, {}});
  ASSERT_EQ(files.harmless(), 1u) << "the template that others are made of is wrong";
  for (const std::string& text : kEndless)
    files.refuse({text.substr(0, 80), text, {", line ", " units of work, so it was stopped"}});
  for (const std::string& text : kDeep) files.refuse({text.substr(0, 80), text, {", line "}});
  for (const std::string& text : kWrongNumbers) files.refuse({text, text, {", line 1: "}});
  for (const std::string& text : kBroken) files.refuse({text, text, {", line 1: "}});
  for (const char* text : {"\xff", "{{ '\xc3' }}", "\xED\xA0\x80"}) files.refuse({"not UTF-8", text, {"not UTF-8"}});
  files.refuse({"too large", std::string((1 << 18) + 1, 'x'), {"more than 262144"}});
  files.refuse({"a long name", "{{ " + std::string(100000, 'x') + "() }}", {", line 1: "}});
  files.refuse({"many lines", repeat("\n", 70000) + "{{ 1 // 0 }}", {", line 70001: "}});
  for (size_t at = 1; at < kSound.size(); at += 5)
    files.refuse_or_read({fmt::format("cut at {}", at), kSound.substr(0, at), {}});
  for (const HostileFile& file : damaged(kSound, 7, 600)) files.refuse_or_read(file);
  files.finish("chat template");
}

}  // namespace
}  // namespace terse::support
