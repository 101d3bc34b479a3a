"""A program for the tests of external tasks, which misbehaves as it is told.

    double.py [OPTION=VALUE ...]

It serves the items of the sample of gsm8k, or `items` sums. It judges "right" and "#### ANSWER" as right, and everything else as wrong,
except for these responses: "hang", "die", "segfault", "garbage", "nan", "infinite", "negative", "text score", "no verdict", "flood",
"errors flood", "long line", "half line", "unknown id", "twice", "other id type", "close", "deep", "error", "slow", "grandchild".

Options: start=die|hang|garbage|close|old|loud (at the start), items=N, sample=PATH, concurrency=N, reverse=N (replies to N requests in
reverse order), pids=FILE (appends the ids of the processes), stubborn=1 (ignores signals and the end of the input), repeat=1 (the items
to train on are those to evaluate on), once=FILE (dies at its first start only), demonstrations=1
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

OPTIONS = dict(argument.split("=", 1) for argument in sys.argv[1:])


def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def hang():
    while True:
        time.sleep(1000)


def note_pid(pid):
    if "pids" in OPTIONS:
        with open(OPTIONS["pids"], "a") as file:
            file.write(f"{pid}\n")


def load():
    if "sample" not in OPTIONS:
        count = int(OPTIONS.get("items", 10))
        return [{"prompt": f"{i} + 1 =", "answer": str(i + 1), "meta": {"i": i}} for i in range(2 * count)]
    items = []
    for line in Path(OPTIONS["sample"]).read_text().splitlines():
        record = json.loads(line)
        answer = record["answer"].split("#### ")[-1]
        items.append({"prompt": record["question"] + "\n", "answer": answer, "solution": f"It is so.\n#### {answer}", "difficulty": 1})
    return items


ITEMS = load()


def item(request):
    at = request["index"]
    if request["split"] == "eval":
        return ITEMS[at]
    return ITEMS[at if "repeat" in OPTIONS else at + len(ITEMS) // 2]


def misbehave(response, number):
    """Returns the line that replies, where the response asks for an odd one."""
    if response == "hang":
        hang()
    elif response == "die":
        os._exit(3)
    elif response == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif response == "garbage":
        return "this is no JSON\n"
    elif response == "nan":
        return f'{{"id": {number}, "correct": true, "score": NaN}}\n'
    elif response == "infinite":
        return f'{{"id": {number}, "correct": true, "score": 1e999}}\n'
    elif response == "negative":
        return f'{{"id": {number}, "correct": true, "score": -1}}\n'
    elif response == "text score":
        return f'{{"id": {number}, "correct": true, "score": "1"}}\n'
    elif response == "no verdict":
        return f'{{"id": {number}}}\n'
    elif response == "flood":
        while True:
            write("flood\n" * 1000)
    elif response == "errors flood":
        for _ in range(100_000):
            sys.stderr.write("flood\n")
        return None
    elif response == "long line":
        while True:
            write("x" * 1_000_000)
    elif response == "half line":
        write('{"id": ')
        hang()
    elif response == "unknown id":
        return f'{{"id": {number + 1000}, "correct": true}}\n'
    elif response == "twice":
        return 2 * f'{{"id": {number}, "correct": true}}\n'
    elif response == "other id type":
        return f'{{"id": "{number}", "correct": true}}\n'
    elif response == "close":
        os.close(1)
        hang()
    elif response == "deep":
        return f'{{"id": {number}, "correct": true, "parts": {"[" * 100_000}\n'
    elif response == "error":
        return f'{{"id": {number}, "error": "no such unit"}}\n'
    elif response == "slow":
        time.sleep(0.3)
    elif response == "grandchild":
        child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
        note_pid(child.pid)
    return None


def judge(request):
    response = request["final"] or ""
    odd = misbehave(response, request["id"])
    if odd is not None:
        return odd
    right = response in ("right", "slow", "grandchild", "errors flood") or response.endswith(f"#### {request['answer']}")
    return json.dumps({"id": request["id"], "correct": right and request["finished"], "parts": {"length": len(response)}}) + "\n"


def start():
    note_pid(os.getpid())
    if "stubborn" in OPTIONS:
        for number in range(1, signal.NSIG):
            if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, 32, 33):
                signal.signal(number, signal.SIG_IGN)
    how = OPTIONS.get("start")
    if "once" in OPTIONS and not Path(OPTIONS["once"]).exists():
        Path(OPTIONS["once"]).touch()
        how = "die"
    if how == "loud":
        sys.stderr.write("I am starting\n")
    if how == "die":
        sys.stderr.write("ModuleNotFoundError: no module named 'rewards'\n")
        sys.exit(1)
    if how == "hang":
        hang()
    if how == "close":
        os.close(1)
        hang()
    if how == "garbage":
        write("Welcome to my program!\n")
        hang()
    json.loads(sys.stdin.readline())
    greeting = {"protocol": 0 if how == "old" else 1, "task": "double", "train": len(ITEMS) // 2, "eval": len(ITEMS) // 2}
    if "concurrency" in OPTIONS:
        greeting["concurrency"] = int(OPTIONS["concurrency"])
    if "demonstrations" in OPTIONS:
        greeting |= {"demonstrations": True, "difficulty": True}
    write(json.dumps(greeting) + "\n")


def main():
    start()
    held, reverse = [], int(OPTIONS.get("reverse", 1))
    for line in sys.stdin:
        request = json.loads(line)
        if request["request"] == "item":
            write(json.dumps(item(request) | {"id": request["id"]}) + "\n")
            continue
        held.append(judge(request))
        if len(held) == reverse:
            write("".join(reversed(held)))
            held = []
    if "stubborn" in OPTIONS:
        hang()


main()
