#!/usr/bin/env python3
"""Serves any task of reasoning-gym (https://github.com/open-thought/reasoning-gym) to terse as an external task.

    task:
      name: external
      command: [python3, scripts/tasks/reasoning_gym.py, chain_sum, --train, 2000, --eval, 200, min_terms=2, max_terms=3]

It needs the Python package reasoning-gym. The seed of the run makes the problems; those of training and evaluation have different seeds.
The answer is what stands between <answer> and </answer>, once, after the thinking. The score is that of reasoning-gym's score_answer; a
response is correct when its score is at least --threshold.
"""

import argparse
import json
import os
import re
import sys

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
FAR = 1_000_000  # more than a data set has problems
INSTRUCTION = "\nGive the final answer between <answer> and </answer>."


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="name of a task of reasoning-gym, for example chain_sum")
    parser.add_argument("options", nargs="*", metavar="KEY=VALUE", help="options of this task; values are JSON or text")
    parser.add_argument("--train", type=int, default=2000, help="problems to train on")
    parser.add_argument("--eval", type=int, default=200, help="problems to evaluate on")
    parser.add_argument("--threshold", type=float, default=1.0, help="the least score of a correct response")
    parser.add_argument("--no-demonstrations", action="store_true", help="for tasks some of whose problems have no known answer")
    parser.add_argument("--no-instruction", action="store_true", help="leave out the sentence that asks for <answer>")
    arguments = parser.parse_intermixed_args()
    for option in arguments.options:
        if "=" not in option:
            parser.error(f"expected KEY=VALUE, found {option}")
    return arguments


def value_of(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


class Server:
    def __init__(self, arguments, seed):
        sys.path.pop(0)  # the folder of this file, which has the name of the package
        try:
            import reasoning_gym  # only now, because it takes seconds
        except ImportError as error:
            sys.exit(f"{sys.executable} has no package reasoning-gym ({error}): install it with pip, or activate the environment that has it")

        options = {key: value_of(value) for key, _, value in (option.partition("=") for option in arguments.options)}
        self.arguments = arguments
        # reasoning-gym draws problem i of a data set with the seed "seed + i", so data sets with close seeds share problems.
        first = seed % 1000 * 2 * FAR
        self.datasets = {
            split: reasoning_gym.create_dataset(arguments.dataset, size=size, seed=first + offset, **options)
            for split, size, offset in (("train", arguments.train, 0), ("eval", arguments.eval, FAR))
        }

    def greeting(self):
        sizes = {split: len(dataset) for split, dataset in self.datasets.items()}
        return {"protocol": 1, "task": f"reasoning_gym/{self.arguments.dataset}", "demonstrations": not self.arguments.no_demonstrations} | sizes

    def item(self, request):
        entry = self.datasets[request["split"]][request["index"]]
        instruction = "" if self.arguments.no_instruction else INSTRUCTION
        item = {"prompt": f"{entry['question']}{instruction}\n"}
        if self.arguments.no_demonstrations:
            return item
        if entry["answer"] is None:
            raise ValueError("reasoning-gym knows no answer to this problem: use --no-demonstrations")
        return item | {"answer": str(entry["answer"]), "solution": f"<answer>{entry['answer']}</answer>"}

    def judge(self, request):
        dataset = self.datasets[request["split"]]
        answers = ANSWER.findall(request["final"] or "")
        if len(answers) != 1 or not request["finished"]:
            return {"correct": False, "parts": {"has_answer": 0}}
        score = float(dataset.score_answer(answer=answers[0].strip(), entry=dataset[request["index"]]))
        return {"correct": score >= self.arguments.threshold, "score": score, "parts": {"has_answer": 1, "score": score}}


def main():
    arguments = parse_arguments()
    replies, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr  # whatever a task prints is a message and no reply
    server = Server(arguments, json.loads(sys.stdin.readline())["seed"])
    print(json.dumps(server.greeting()), file=replies, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = server.item(request) if request["request"] == "item" else server.judge(request)
        except Exception as error:  # it concerns this request alone
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"id": request["id"]} | reply), file=replies, flush=True)


main()
