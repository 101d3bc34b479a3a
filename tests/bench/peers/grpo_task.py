#!/usr/bin/env python3
"""The task of the comparison of GRPO, as an external task of terse (docs/external_tasks.md): grpo_task.py PROMPTS.json

The reward of a response follows from its first letter. TRL calls reward() directly.
"""

import json
import sys

LETTERS = "ABCDEFGH"
PROMPT_END = ":"  # the last token of each prompt


def reward(text):
    return 1.0 + 0.37 * LETTERS.index(text.strip()[0])


def reply(request, prompts):
    if "hello" in request:
        return {"protocol": 1, "task": "letters", "train": len(prompts) - 1, "eval": 1}
    if request["request"] == "item":
        index = request["index"] if request["split"] == "train" else len(prompts) - 1
        return {"id": request["id"], "prompt": prompts[index]}
    return {"id": request["id"], "correct": True, "score": reward(request["final"])}


def main():
    with open(sys.argv[1]) as file:
        prompts = json.load(file)
    for line in sys.stdin:
        print(json.dumps(reply(json.loads(line), prompts)), flush=True)


if __name__ == "__main__":
    main()
