#!/usr/bin/env python3
"""An external task in Python: sums of two numbers. docs/external_tasks.md describes the protocol.

    terse run configs/gsm8k.yaml --set task.name=external --set 'task.command=[python3, scripts/tasks/example_task.py]'
"""

import json
import random
import sys


def send(message):
    print(json.dumps(message), flush=True)


def item(seed, split, index):
    """Depends on its arguments alone, so that every copy of this program serves the same items."""
    numbers = random.Random(f"{seed} {split} {index}")
    a, b = numbers.randint(0, 999), numbers.randint(0, 999)
    return {"prompt": f"{a} + {b} =", "answer": str(a + b), "solution": f" {a + b}", "difficulty": len(str(max(a, b)))}


def judge(request):
    final = request["final"]  # what follows the thinking; None: the thinking has not ended
    right = final is not None and request["finished"] and final.strip() == request["answer"]
    return {"correct": right, "parts": {"is_number": float(final is not None and final.strip().isdigit())}}


def main():
    greeting = json.loads(sys.stdin.readline())
    send({"protocol": 1, "task": "sums", "train": 5000, "eval": 200, "demonstrations": True, "difficulty": True})
    for line in sys.stdin:
        request = json.loads(line)
        is_item = request["request"] == "item"
        reply = item(greeting["seed"], request["split"], request["index"]) if is_item else judge(request)
        send({"id": request["id"]} | reply)


main()
