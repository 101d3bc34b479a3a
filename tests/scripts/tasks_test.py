"""The external tasks in scripts/tasks/ follow docs/external_tasks.md: they greet, serve the same items in every copy, and judge strictly."""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TASKS = Path(__file__).resolve().parents[2] / "scripts" / "tasks"

# Stands in for the package reasoning-gym. It prints to standard output, which must not reach terse.
PACKAGE = '''
class Dataset:
    def __init__(self, size, seed, add):
        self.size, self.seed, self.add = size, seed, add
    def __len__(self):
        return self.size
    def __getitem__(self, i):
        answer = None if self.add == "nothing" else str(i + self.seed + self.add)  # the same for equal seed + i, as there
        return {"question": f"{i + self.seed} + {self.add} =", "answer": answer, "metadata": {}}
    def score_answer(self, answer, entry):
        print("scoring")
        if answer == "crash":
            raise KeyError("metadata")
        return 1.0 if answer == entry["answer"] else 0.01

def create_dataset(name, size, seed, add=1):
    assert name == "sums"
    print("made")
    return Dataset(size, seed, add)
'''


class Program:
    """A program that is asked as terse asks it."""

    def __init__(self, test, command, seed=1, environment=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        test.addCleanup(self.close)
        self.number = 0
        self.greeting = self.exchange({"hello": "terse", "protocol": 1, "seed": seed, "worker": 0})

    def exchange(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self, request, **members):
        self.number += 1
        reply = self.exchange({"id": self.number, "request": request} | members)
        assert reply.pop("id") == self.number
        return reply

    def item(self, split, index):
        return self.ask("item", split=split, index=index)

    def judge(self, final, index=0, finished=True):
        item = self.item("eval", index)
        prompt = [{"role": "user", "content": item["prompt"]}]
        return self.ask(
            "judge", split="eval", index=index, prompt=prompt, answer=item.get("answer", ""), meta=None, thinking="", final=final, finished=finished
        )

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        assert code == 0, "it does not end with its input"


class Tasks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="terse-tasks-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def check_items(self, make):
        one, two, other = make(1), make(1), make(2)
        self.assertEqual(one.greeting["protocol"], 1)
        sizes = {split: one.greeting[split] for split in ("train", "eval")}
        items = [one.item(split, i) for split, size in sizes.items() for i in range(min(size, 50))]
        again = [two.item(split, i) for split, size in reversed(sizes.items()) for i in reversed(range(min(size, 50)))]
        self.assertEqual(items, again[::-1])
        self.assertGreater(len({item["prompt"] for item in items}), len(items) // 2)
        self.assertNotEqual(one.item("train", 0), one.item("eval", 0))
        self.assertNotEqual(one.item("train", 1), other.item("train", 1))
        for index in range(5):
            self.assertIs(one.judge(one.item("eval", index)["solution"], index)["correct"], True)
        return one

    def check_sums(self, make):
        sums = self.check_items(make)
        answer = sums.item("eval", 0)["answer"]
        for final in (None, "", "0", f"{answer} {answer}", f"{answer} or 5", f"not {answer}", answer + "0", f"-{answer}"):
            self.assertIs(sums.judge(final)["correct"], False, final)
        self.assertIs(sums.judge(answer, finished=False)["correct"], False)
        self.assertIs(sums.judge(f" {answer}\n")["correct"], True)

    def test_example_in_python(self):
        self.check_sums(lambda seed: Program(self, [sys.executable, TASKS / "example_task.py"], seed))

    def test_example_in_cpp(self):
        program = self.folder / "sums"
        compiler = shutil.which("c++") or shutil.which("g++")
        subprocess.run([compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", TASKS / "example_task.cpp", "-o", program], check=True)
        self.check_sums(lambda seed: Program(self, [program], seed))

    def test_examples_have_at_most_40_lines(self):
        for name in ("example_task.py", "example_task.cpp"):
            self.assertLessEqual(len((TASKS / name).read_text().splitlines()), 40, name)

    def gym(self, *arguments, seed=1):
        package = self.folder / "reasoning_gym"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(PACKAGE)
        command = [sys.executable, TASKS / "reasoning_gym.py", "sums", "--train", "20", "--eval", "10", *arguments]
        return Program(self, command, seed, {"PYTHONPATH": str(self.folder)})

    def test_reasoning_gym(self):
        gym = self.check_items(lambda seed: self.gym(seed=seed))
        self.assertEqual(gym.greeting["task"], "reasoning_gym/sums")
        self.assertIn("<answer> and </answer>", gym.item("eval", 0)["prompt"])
        answer = gym.item("eval", 0)["answer"]
        right, wrong = gym.judge(f"It is <answer> {answer} </answer>."), gym.judge("<answer>5</answer>")
        self.assertEqual((right["correct"], right["score"]), (True, 1.0))
        self.assertEqual((wrong["correct"], wrong["score"]), (False, 0.01))
        for final in (None, "", answer, f"<answer>5</answer><answer>{answer}</answer>", f"<answer>{answer}", f"<answer>{answer} or 5</answer>"):
            self.assertIs(gym.judge(final)["correct"], False, final)
        prompts = [{gym.item(split, i)["prompt"].partition(" =")[0] for i in range(10)} for split in ("train", "eval")]
        self.assertFalse(prompts[0] & prompts[1])
        self.assertIs(gym.judge(f"<answer>{answer}</answer>", finished=False)["correct"], False)
        self.assertIn("KeyError", gym.judge("<answer>crash</answer>")["error"])

    def test_reasoning_gym_options(self):
        gym = self.gym("add=5", "--threshold", "0.01", "--no-instruction")
        self.assertEqual(gym.item("train", 3)["prompt"], "2000003 + 5 =\n")
        self.assertIs(gym.judge("<answer>0</answer>")["correct"], True)
        self.assertIn("--no-demonstrations", self.gym("add=nothing").item("train", 0)["error"])
        unknown = self.gym("add=nothing", "--no-demonstrations")
        self.assertIs(unknown.greeting["demonstrations"], False)
        self.assertNotIn("solution", unknown.item("train", 0))


if __name__ == "__main__":
    unittest.main()
