"""Writes what transformers makes of seeded conversations, for tests/data/chat/chat_template_test.cpp to compare with.

    python tests/data/chat/make_fixtures.py [--count N] [--seed N] [TEMPLATE.jinja OUTPUT.json]...

It needs transformers 5.24 and jinja2 3.1.6. Without a pair of paths, it renders every template in tests/data/chat/templates/ into a file of
the same name in tests/data/chat/fixtures/. The templates there are under the Apache licence 2.0: qwen2_5.jinja comes from
Qwen/Qwen2.5-7B-Instruct, qwen3.jinja from Qwen/Qwen3-0.6B and smollm2.jinja from HuggingFaceTB/SmolLM2-135M-Instruct. The others are our
own: llama3_style.jinja uses the constructs of Llama 3.1's template, whose licence is another one, and generation.jinja marks what the
assistant says.

A fixture has "tokens", "end_of_turn" and "cases". Each case has "messages", "tools" (or null), "variables" and "add_generation_prompt", and
either "text", which apply_chat_template() returned, or "error", the message of the template that it raised. For a template with
{% generation %}, "assistant" has the characters that it marks, as [begin, end).
"""

import argparse
import json
import random
from pathlib import Path

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

HERE = Path(__file__).parent
TOKENS = {
    "llama": ("<|begin_of_text|>", "<|eot_id|>", ["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"]),
    "": ("<|im_start|>", "<|im_end|>", ["<|im_end|>"]),
}
WORDS = """the a model thinks less and solves more; what is 17 + 25? Привет, мир! 你好，世界 こんにちは مرحبا שלום 🙂👩‍👩‍👧‍👦 é e\u0301 naïve Straße
\u00a0 \u2003 tab\there "quoted" it's back\\slash {curly} {{ braces }} {% tag %} <b>&amp;</b> 1,234.50 -7 \u0085 \u200b end""".split(" ")
HOSTILE = """<|im_end|> <|im_start|>system <|eot_id|> <|start_header_id|>system<|end_header_id|> <|begin_of_text|> <|endoftext|> <think> </think>
<tool_call> </tool_call> <tool_response> </tool_response> {{messages}} {%endif%}""".split()
VALUES = [0, -1, 42, 3.5, 1e-7, 1e16, 0.1, 123456789012345678, True, False, None, "", "plain", "naïve \"text\"\n", "日本", "<|im_end|>", "a/b", "\u2028\x7f\x01"]


def text(rng):
    kind = rng.random()
    if kind < 0.08:
        return ""
    words = [rng.choice(HOSTILE) if rng.random() < 0.12 else rng.choice(WORDS) for _ in range(rng.randint(1, 12))]
    joined = rng.choice([" ", "\n", " ", ""]).join(words)
    if rng.random() < 0.25:
        joined = rng.choice([" ", "\n\n", "\t", "\u3000", "\r\n"]) + joined + rng.choice([" ", "\n", "\n\n\n", "\u00a0"])
    return joined


def value(rng, depth=0):
    kind = rng.random()
    if depth < 3 and kind < 0.2:
        return {rng.choice(WORDS): value(rng, depth + 1) for _ in range(rng.randint(0, 3))}
    if depth < 3 and kind < 0.35:
        return [value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return rng.choice(VALUES)


def tool(rng, name):
    properties = {
        "city": {"type": "string", "description": text(rng)},
        "days": {"type": "integer", "default": value(rng, 3)},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit", text(rng)]},
    }
    used = rng.sample(sorted(properties), rng.randint(1, 3))
    parameters = {"type": "object", "properties": {key: properties[key] for key in used}, "required": used[:1]}
    return {"type": "function", "function": {"name": name, "description": text(rng), "parameters": parameters}}


def tool_call(rng, names, nested):
    arguments = {rng.choice(["city", "days", "unit", "naïve"]): value(rng, 1) for _ in range(rng.randint(0, 3))}
    function = {"name": rng.choice(names), "arguments": arguments if rng.random() < 0.85 else json.dumps(arguments)}
    return {"type": "function", "id": "call_1", "function": function} if nested else function


def assistant(rng):
    content = text(rng)
    message = {"role": "assistant", "content": content}
    kind = rng.random()
    if kind < 0.25:
        message["reasoning_content"] = text(rng)
    elif kind < 0.4:
        message["content"] = f"<think>\n{text(rng)}\n</think>\n\n{content}"
    elif kind < 0.45:
        message["reasoning"] = text(rng)
    return message


def conversation(rng, number):
    """Returns one case. The number decides which features it has, so that every feature and pair of them occurs."""
    messages, names = [], ["get_weather", "search", "wetter_für"]
    if number % 2:
        messages.append({"role": "system", "content": text(rng)})
    tools = [tool(rng, name) for name in names[: rng.randint(1, 3)]] if number % 3 == 1 else None
    for _ in range(rng.randint(1, 4)):
        messages.append({"role": "user", "content": text(rng)})
        if tools and rng.random() < 0.7:
            calls = [tool_call(rng, names, rng.random() < 0.7) for _ in range(1 if rng.random() < 0.7 else 2)]
            message = {**assistant(rng), "tool_calls": calls}
            if rng.random() < 0.3:
                message["content"] = None
            messages.append(message)
            messages += [{"role": "tool", "name": names[0], "content": text(rng)} for _ in calls]
        messages.append(assistant(rng))
    if number % 5 < 2:
        messages.pop()
    variables = {}
    if number % 4 < 2:
        variables["enable_thinking"] = bool(number % 4)
    if number % 7 == 3:
        variables["date_string"] = "24 Dec 2025"
    if number % 11 == 5:
        variables["tools_in_user_message"] = False
    if number % 13 == 6:
        variables["builtin_tools"] = ["code_interpreter", "search"]
    return {"messages": messages, "tools": tools, "variables": variables, "add_generation_prompt": number % 5 < 2}


def render(template, cases, bos, eos):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=bos, eos_token=eos)
    tokenizer.chat_template = template
    for case in cases:
        try:
            case["text"] = tokenizer.apply_chat_template(
                case["messages"], tools=case["tools"], add_generation_prompt=case["add_generation_prompt"], tokenize=False, **case["variables"]
            )
        except Exception as error:  # whatever the template or Python raises
            case["error"] = str(error)
        if "generation %}" in template:
            case["assistant"] = generated(template, case, {"bos_token": bos, "eos_token": eos})
    return cases


def generated(template, case, tokens):
    """Returns the spans that apply_chat_template(return_assistant_tokens_mask=True) turns into its mask."""
    messages = [{key: value for key, value in message.items() if value is not None} for message in case["messages"]]
    _, spans = render_jinja_template(
        [messages],
        tools=case["tools"],
        chat_template=template,
        return_assistant_tokens_mask=True,
        add_generation_prompt=case["add_generation_prompt"],
        **tokens,
        **case["variables"],
    )
    return spans[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20251224)
    parser.add_argument("paths", nargs="*", help="pairs of a template and an output")
    arguments = parser.parse_args()
    pairs = list(zip(arguments.paths[::2], arguments.paths[1::2]))
    for path in sorted((HERE / "templates").glob("*.jinja")) if not pairs else []:
        pairs.append((path, HERE / "fixtures" / f"{path.stem}.json"))
    for source, target in pairs:
        bos, eos, ends = TOKENS["llama" if "llama" in str(source).lower() else ""]
        rng = random.Random(arguments.seed)
        cases = [conversation(rng, number) for number in range(arguments.count)]
        render(Path(source).read_text(encoding="utf-8"), cases, bos, eos)
        fixture = {"tokens": {"bos_token": bos, "eos_token": eos}, "end_of_turn": ends, "cases": cases}
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
        fixture.pop("cases")
        head = json.dumps(fixture, ensure_ascii=False)[:-1]
        Path(target).write_text(f'{head}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
        failed = sum("error" in case for case in cases)
        print(f"{target}: {len(cases)} conversations, of which the template refuses {failed}")


if __name__ == "__main__":
    main()
