"""Writes what Jinja2, set up as transformers sets it up, makes of small templates: tests/data/chat/jinja/language.json.

    python tests/data/chat/jinja/make_language.py

It needs transformers 5.24 and jinja2 3.1.6. tests/data/chat/jinja/interpreter_test.cpp renders the same templates with the same variables.
Each case has "template" and either "text" or "error".
"""

import json
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template

VARIABLES = {
    "s": "Hello, World",
    "w": "  \t\u3000padded\u00a0\n ",
    "u": "naïve 日本 🙂 e\u0301",
    "q": "it's \"quoted\" \\ back\nline\ttab\u0001\u007f\u2028",
    "n": None,
    "i": 7,
    "z": 0,
    "neg": -7,
    "f": 2.5,
    "t": True,
    "no": False,
    "l": [3, 1, 2],
    "m": ["b", "A", "c", "a"],
    "e": [],
    "d": {"b": 1, "A": [True, None, 1.5], "items": "hidden", "ä": {"x": "y"}},
    "p": [{"name": "x", "v": 2, "k": {"deep": 1}}, {"name": "y", "v": 1, "k": {"deep": 0}}, {"name": "Z", "v": 3}],
    "lines": "one\ntwo\r\nthree\n\nfour",
    "words": " a  b c\td ",
    "csv": "a,b,,c",
}

# Templates that may not be joined to one are lines of their own below; these are single expressions.
EXPRESSIONS = r"""
1 + 2 * 3
7 // 2
-7 // 2
7 // -2
-7 % 3
7 % -3
7 / 2
6 / 3
2 ** 10
2 ** -1
2 ** 3 ** 2
-2 ** 2
1.5 + 1
7.5 // 2
-7.5 // 2
-7.5 % 2
7.5 % -2
1e3
1_000
10 - 3 - 2
1 < 2 < 3
1 < 3 < 2
1 == 1.0
1 == true
'1' == 1
'a' < 'b'
'ä' > 'z'
[1, 2] == [1, 2]
(1, 2) == [1, 2]
[1, 2] < [1, 3]
{'a': 1} == {'a': 1}
none == none
nope == nope2
nope == none
nope is defined
not nope
'a' in 'abc'
'a' not in 'abc'
3 in l
9 in l
'b' in d
'B' in d
none in [none]
1 in nope
not 1 == 2
true and 'x'
false or 'x'
0 or none or ''
'x' and ''
1 if t else 2
1 if no else 2
1 if no
(1 if no) is defined
'a' if no else 'b' if no else 'c'
'a' ~ 1 ~ none ~ true ~ 1.0 ~ [1, 'x']
'ab' * 3
3 * 'ab'
'ab' * -1
[1] * 3
[1] + [2]
(1,) + (2,)
-i
+i
- -i
-f
not not t
1 + true
'a' 'b' "c"
'\n\t\\\'\"\x41\u00e9\U0001F642\101\q|'
"it's"
[1, 'a', none, true, 1.5, [2], (3,), {'k': 'v'}]
(1,)
()
(1, 2)
1, 2
{'a': {'b': [1]}, 1: 2, none: 3}
{}
[]
{'a': 1, 'a': 2}
{1: 'x', true: 'y'}
u
q
[q]
[u]
["it's", 'say "x"', 'both \' and "']
n
t
i
f
1e16
1e15
123456789.125
0.0001
0.00001
1e-7
0.1 + 0.2
1e300 * 1e10
5e-324
l
d
d.b
d['b']
d.items is callable
d['items']
d.get('b')
d.get('zz')
d.get('zz', 5)
d.keys() | list
d.values() | list
d.items() | list
d.keys() | length
d.zz is defined
d['zz'] is defined
d.A[2]
d.A[-1]
d.A[9] is defined
d['ä'].x
d | length
d | list
d | items | list
l[0]
l[-1]
l[1:]
l[:-1]
l[::-1]
l[::2]
l[2:0:-1]
l[5:]
l[-9:9]
(1, 2, 3)[1:]
l.0
s[0]
s[-1]
s[99] is defined
s[1:4]
s[::-1]
u[2]
u[6:8]
u[::-1]
u[-3:]
u | length
s | length
l | length
nope | length
e | length
s.upper()
s.lower()
'hello wORLD'.title()
'hello wORLD'.capitalize()
'éÀ ж Я'.lower()
'éà ж я'.upper()
'élan'.capitalize()
s | upper
s | lower
'hello wORLD-foo (bar) {baz} x-y' | title
'it is "so"' | title
'élan vital' | title
'hello wORLD' | capitalize
5 | upper
none | upper
w | trim
w.strip()
w.lstrip()
w.rstrip()
'xxabcxx'.strip('x')
'xyabcyx'.strip('xy')
'éaé'.strip('é')
'xxabcxx' | trim('x')
5 | trim
'\n\nab\n'.lstrip('\n')
''.strip()
csv.split(',')
csv.split(',', 1)
csv.rsplit(',', 1)
csv.split(',')[-1]
csv.split('zz')
words.split()
words.split(none, 1)
words.split(none, 0)
words.rsplit(none, 1)
words.rsplit(none, 0)
words.split(' ')
''.split()
''.split(',')
'aXXbXXc'.split('XX', 1)
'aXXbXXc'.rsplit('XX', 1)
'aaa'.split('aa')
'aaa'.rsplit('aa')
csv.split(maxsplit=1, sep=',')
lines.splitlines()
'a\n'.splitlines()
'abc'.startswith('ab')
'abc'.startswith(('x', 'ab'))
'abc'.endswith('bc')
'abc'.endswith(())
'abc'.removeprefix('a')
'abc'.removesuffix('x')
'banana'.replace('an', 'AN')
'banana'.replace('an', 'AN', 1)
'abc'.replace('', '-')
'äb'.replace('', '-')
'abc'.replace('', '-', 2)
''.replace('', '-')
'banana' | replace('a', 'o')
'banana' | replace('a', 'o', 2)
5 | replace(5, 6)
'banana'.find('na')
'banana'.rfind('na')
'日本日'.find('日本')
'日本日'.rfind('日')
'x'.find('y')
'banana'.count('an')
'ab'.count('')
'a-b'.join(['1', '2'])
', '.join(m)
''.join([])
'12'.isdigit()
''.isdigit()
' \u3000'.isspace()
''.isspace()
'{} and {}'.format(1, 'x')
'{1}{0}{1}'.format('a', 'b')
'{x}-{y}'.format(x=1, y=none)
'{{}} {}'.format(1.5)
'<{}>'.format(d.b)
l | join
l | join(', ')
p | join('-', attribute='name')
nope | join(',')
'abc' | join('.')
l | first
l | last
e | first is defined
'abc' | first
'abc' | last
l | list
'abc' | list
d | first
l | reverse | list
'abc' | reverse
l | sort
l | sort(reverse=true)
m | sort
m | sort(case_sensitive=true)
p | sort(attribute='v') | map(attribute='name') | list
l | max
l | min
l | sum
e | max is defined
p | sum(attribute='v')
m | unique | list
m | unique(true) | list
[1, 1.0, true, 2] | unique | list
d | dictsort
d | dictsort(true)
{'b': 2, 'a': 3} | dictsort(by='value')
{'b': 2, 'a': 3} | dictsort(reverse=true)
p | map(attribute='name') | join(',')
p | map(attribute='k.deep', default='none') | list
p | map(attribute='k', default=0) | list
p | map(attribute='zz', default=none) | list | length
m | map('upper') | list
m | map('replace', 'a', 'x') | list
l | map('string') | join('+')
l | select('odd') | list
l | select('gt', 1) | list
l | reject('gt', 1) | list
[0, 1, '', 'a'] | select | list
[0, 1, '', 'a'] | reject | list
p | selectattr('v', 'equalto', 2) | map(attribute='name') | list
p | rejectattr('k') | map(attribute='name') | list
p | selectattr('k') | list | length
p | selectattr('k', 'defined') | list | length
none | selectattr('x') | list
none | map('upper') | list
'yes' if (e | select) else 'no'
d | tojson
q | tojson
u | tojson
u | tojson(ensure_ascii=true)
q | tojson(ensure_ascii=true)
d | tojson(indent=2)
d | tojson(indent=0)
e | tojson(indent=4)
{} | tojson(indent=4)
[[], {}] | tojson(indent=1)
d | tojson(separators=(',', ':'))
d | tojson(indent=2, separators=(', ', ' : '))
{'b': 1, 'a': {'d': 1, 'c': 2}} | tojson(sort_keys=true)
{1: 2, none: 3, true: 4, 1.5: 6} | tojson
1.0 | tojson
1e100 | tojson
(1e300 * 1e10) | tojson
(1, 2) | tojson
n | tojson
t | tojson
'a/b<c>&' | tojson
nope | default('x')
nope | d('x')
nope | default
n | default('x')
n | default('x', true)
'' | default('x', true)
'' | default('x')
'5' | int
'5.7' | int
' 42 ' | int
'x' | int
'x' | int(9)
5.9 | int
-5.9 | int
none | int(default=3)
true | int
'2.5' | float
'x' | float
'1e3' | float
3 | float
-3 | abs
-2.5 | abs
2.5 | round
3.5 | round
2.4 | round(method='ceil')
2.6 | round(0, 'floor')
5 | string
1.0 | string
d | string
s | safe
s | safe | length
('<a>' | safe) + '<b>&"\''
'<a>' + ('<b>' | safe)
('<a>' | safe) ~ '<b>'
(('<a>' | safe) + '<b>') | upper
lines | indent
lines | indent(2)
lines | indent(2, true)
lines | indent(2, first=true, blank=true)
lines | indent('> ')
'' | indent
i is odd
i is even
i is divisibleby(7)
i is divisibleby 7
i is number
t is number
t is integer
t is boolean
f is float
i is float
s is string
d is mapping
l is mapping
l is iterable
s is iterable
i is iterable
nope is iterable
l is sequence
d is sequence
n is none
n is not none
z is none
t is true
i is true
no is false
z is false
s is lower
'abc' is lower
'ABC1' is upper
'1' is upper
i is eq 7
i is equalto(7)
i is ne 7
i is gt 3
i is lessthan 3
i is le 7
i is ge 8
'a' is in 'abc'
i is in l
n is sameas none
t is sameas(true)
i is defined and i is number
i is not defined or t
range is callable
s is callable
range(3) | list
range(1, 4) | list
range(5, 0, -2) | list
range(0) | list
range(-3) | list
dict(a=1, b=2)
dict({'a': 1}, b=2)
dict([('x', 1)])
namespace(a=1).a
namespace({'a': 1}, b=2).b
(p | map(attribute='name') | list)[1:]
(l | length - 1) - 1
l | length - 1
s.split(',')[0].strip() | lower
-1 | abs
i if i is defined and i > 3 else 'small'
i is not none and i
'%' ~ '%'
'{{' ~ '}}'
{'a': {'b': {}}}
[[1, 2], [3]] | sum(start=[])
l.index(1)
l.count(1)
'a,b' | replace(',', '\n')
'\u2028' ~ '|'
"x" is string and "y" or "z"
1 in [1] and 2 not in [1]
d.A | map('default', 'x') | list
l | map('abs') | sum
p[0]['k']['deep']
p[-1].k is defined
loop is defined
caller is defined
"a" "b" | upper
('a' ~ 'b') | upper
'a' ~ 'b' | upper
not e and 'empty'
(not e) | string
not (t and no)
10 // 3 * 3 + 10 % 3
2 + 3 ~ 4
'a' * 2 + 'b'
""".strip("\n").split("\n")

FAILING = r"""
nope.x
nope['x']
nope.x.y
d.zz.y
nope + 1
nope()
d.zz()
1 + 'a'
'a' + 1
'a' + none
none + 1
1 < 'a'
none < 1
'a' < nope
1 in 'a'
1 in 5
[] in {}
1 / 0
1 // 0
1 % 0
5 | length
none | length
5 | first
5 | list
5 | join
n.x.y
l.append(1)
d.update({'a': 1})
d.pop('b')
l.pop()
s.nope()
''.split('')
', '.join([1])
[3, 'a'] | sort
[1, none] | max
range(1, 2, 0)
range(1000000)
'x'.startswith(1)
raise_exception('no way')
namespace(_x=1)
s.__class__()
()['__class__']()
l | map(attribute='x.y') | list
'{} {}'.format(1)
'{x}'.format(1)
dict(5)
5 | abs | nofilter
1 is notest
{[]: 1}
{}[[]].x
trim('x')
s | trim(1, 2)
s | trim(foo=1)
s | replace('a')
1(2)
'x'()
d.b.c.d
(1, 2).x.y
l['a'].b
tojson(nope)
nope | tojson
range | tojson
s[1:2:0]
s['a':]
-'x'
+none
""".strip("\n").split("\n")

TEMPLATES = [
    "plain text\n",
    "one newline goes\n\n",
    "a\r\nb\rc",
    "{{ s }}\n{{ i }}\n",
    "a {# comment #} b\n{# gone #}\nc",
    "a\n  {# lstripped #}\nb",
    "a\n  {#- both -#}\n\n  b",
    "{% if t %}\nyes\n{% endif %}\nend",
    "  {% if t %}\n  yes\n  {% endif %}\nend",
    "x  {% if t %}  yes  {% endif %}  y",
    "x  {%- if t -%}  yes  {%- endif -%}  y",
    "x\n  {%+ if t %} yes {%+ endif +%}\ny",
    "a\n\t {%- if t %}\n\n b\n{%- endif %}\nc",
    "a {{- s -}} b",
    "a {{+ i }} b",
    "\u00a0{%- if t %}x{% endif -%}\u3000y",
    "{%- if no %}a{% elif z %}b{% elif i %}c{% else %}d{% endif %}",
    "{% if no %}a{% else %}d{% endif %}",
    "{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for x in e %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in nope %}{{ x }}{% else %}none{% endfor %}",
    "{% for k in d %}{{ k }};{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d | items %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d | dictsort %}{{ k }};{% endfor %}",
    "{% for c in u %}[{{ c }}]{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }} {% endfor %}",
    "{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}",
    "{% for (a, b) in [(1, 2), [3, 4]] %}{{ a }}-{{ b }} {% endfor %}",
    "{% for x in l %}{{ loop.index0 }}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }}|{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1, 1, 2] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for x in l %}{% for y in m %}{{ loop.depth }}{% if loop.index > 1 %}{% break %}{% endif %}{% endfor %}{{ loop.index }} {% endfor %}",
    "{% for x in l %}{% set o = loop %}{% for y in m %}{{ o.index }}{{ loop.index }} {% endfor %}{% endfor %}",
    "{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x > 4 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l -%}\n  {{ x }}\n{%- endfor %}",
    "{% for x in l %}\n  {{ x }}\n{% endfor %}\n",
    "{% set x = 1 %}{% for y in l %}{% set x = x + y %}{{ x }} {% endfor %}{{ x }}",
    "{% set ns = namespace(x=1) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace() %}{% set ns.a = [1] %}{% set ns.a = ns.a + [2] %}{{ ns.a }}{{ ns.b is defined }}",
    "{% if t %}{% set x = 5 %}{% endif %}{{ x }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a, b = 'xy' %}{{ a }}{{ b }}",
    "{% set x = 1, 2 %}{{ x }}",
    "{% set x %}a{{ i }}b{% endset %}{{ x }}{{ x | length }}",
    "{% set x | upper | trim %}  a{{ i }}b {% endset %}[{{ x }}]",
    "{% set x %}{% set y = 1 %}{% endset %}{{ y is defined }}",
    "{% filter upper %}abc {{ s }}{% endfilter %}",
    "{% filter replace('a', 'b') | upper %}banana{% endfilter %}",
    "{% with a = 1, b = i %}{{ a + b }}{% endwith %}{{ a is defined }}",
    "{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a is defined }}",
    "{% set i = 1 %}{% with i = i + 1 %}{{ i }}{% endwith %}{{ i }}",
    "{% macro f(a, b=2, c='x') %}[{{ a }},{{ b }},{{ c }}]{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(1, c='y') }}{{ f(b=5, a=4) }}{{ f() }}",
    "{% macro f(a) %}{{ a is defined }}{% endmacro %}{{ f() }}{{ f(none) }}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% macro f() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ f() }}{% set x = 2 %}{{ f() }}",
    "{% macro f(a, b=a) %}{{ b }}{% endmacro %}{{ f(3) }}",
    "{% macro f() %}\n  x\n{% endmacro %}[{{ f() | trim }}][{{ f() }}]",
    "{% macro g(x) %}<{{ x }}>{% endmacro %}{% macro f(x) %}{{ g(x) }}{{ g(x ~ 1) }}{% endmacro %}{{ f('a') | upper }}",
    "{% macro box(t) %}[{{ t }}:{{ caller() }}]{% endmacro %}{% call box('a') %}body {{ i }}{% endcall %}",
    "{% macro each(xs) %}{% for x in xs %}{{ caller(x) }};{% endfor %}{% endmacro %}{% call(x) each(l) %}<{{ x }}>{% endcall %}",
    "{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}{% call f() %}{% endcall %}",
    "{% for x in l %}{% macro f(y) %}{{ x }}{{ y }}{% endmacro %}{{ f('!') }}{% endfor %}",
    "{% raw %}{{ not }} {% if %}{% endraw %}!",
    "a\n  {%- raw -%}  {{ x }}  {%- endraw -%}\nb",
    "{% raw %}\n{{ x }}\n{% endraw %}\ny",
    "{% generation %}said{% endgeneration %} not",
    "{{ '{{' }}{{ \"%}\" }}{{ '#}' }}",
    "{{ {'a': {'b': 1}}['a']['b'] }}{{ {'a': {}} }}",
    "{ { x } } {x} { % # }",
    "{{ 'a\nb' }}{{ i }}",
    "{{ (1,\n 2) }}",
    "{% set x = 'a' if t else 'b' %}{{ x }}",
    "{% set messages = p[1:] %}{% for x in messages %}{{ x.name }}{% endfor %}",
    "{% if 'x' in d and d.x or s.startswith('Hello') %}yes{% endif %}",
    "{% if l %}{{ l | length }}{% endif %}{% if not e %}empty{% endif %}",
    "{%- set x = l -%}\n{%- for y in x -%}\n{{ y }}\n{%- endfor -%}\n",
    "{{ s ~ '\n' }}{{ 'x' }}",
    "{{ nope }}|{{ n }}|{{ t }}|{{ f }}",
    "{% for x in l %}{{ x }}{% endfor %}{{ x }}",
    "{% set l2 = [] %}{% for x in l %}{% set l2 = l2 + [x] %}{% endfor %}{{ l2 }}",
    "{% if t %}{% if no %}a{% else %}b{% endif %}{% endif %}",
    "{% set x = d.items() %}{% for k, v in x %}{{ k }}{% endfor %}{% for k, v in x %}{{ k }}{% endfor %}",
    "{% for x in l | map('string') %}{{ x }}{% endfor %}",
    "{{ loop }}",
    "{%if t%}tight{%endif%}{{s}}",
    "{{ [\n  1,\n  2,\n] }}{{ {'a': 1,} }}",
    "{% set tool_call = {'function': {'name': 'f', 'arguments': {'x': 1}}} %}{% set tool_call = tool_call.function %}{{ tool_call.name }}({{ tool_call.arguments | tojson }})",
    "{{ p[0].k }}{{ p[0]['k'].deep }}",
    "{% for x in l %}{% if loop.first %}{% set first = x %}{% endif %}{% endfor %}{{ first is defined }}",
    "{% set d.x = 1 %}",
    "{% set nope.x = 1 %}",
    "{% set a, b = [1] %}",
    "{% for a, b in l %}{% endfor %}",
    "{{ 1",
    "{% if t %}",
    "{% if t %}{% endfor %}",
    "{% endif %}",
    "{% nothing %}",
    "{{ }}",
    "{{ 1 2 }}",
    "{{ 'a }}",
    "{{ (1 }}",
    "{{ 1) }}",
    "{{ a.. }}",
    "{{ ! }}",
    "{# open",
    "{% raw %} open",
    "{% for x l %}{% endfor %}",
    "{% set = 1 %}",
    "{% break %}",
    "{% macro f(a=1, b) %}{% endmacro %}",
    "{{ f(a=1, 2) }}",
    "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{% endmacro %}{{ f(b=2) }}",
    "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "{% call 5 %}{% endcall %}",
    "{{ x is }}",
    "{{ x | }}",
    "{% include 'x' %}",
    "{% extends 'x' %}",
    "{% set x = %}",
    "{{ s.format( }}",
]


def main():
    cases = [f"{{{{ {expression} }}}}" for expression in EXPRESSIONS + FAILING] + TEMPLATES
    results = []
    for template in cases:
        try:
            results.append({"template": template, "text": _compile_jinja_template(template).render(**VARIABLES)})
        except Exception as error:  # whatever Jinja2 or Python raises
            results.append({"template": template, "error": f"{type(error).__name__}: {error}"})
    path = Path(__file__).with_name("language.json")
    lines = ",\n".join(json.dumps(result, ensure_ascii=False) for result in results)
    path.write_text(f'{{"variables": {json.dumps(VARIABLES, ensure_ascii=False)},\n"cases": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{path}: {len(results)} templates, of which {sum('error' in result for result in results)} fail")


if __name__ == "__main__":
    main()
