"""scripts/mutate.sh draws the same mutants for the same seed, changes no text or comment, and classifies a mutant by its tests."""

import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.dont_write_bytecode = True

from mutation import areas, baseline, mutants, operators, processes, report, source  # noqa: E402
from mutation.copy import Copy, hash_of, killer  # noqa: E402

FUNCTION = "int f(const Config& config, int a, int b) {{\n  {}\n}}\n"


def changed(statement, defaults=None):
    """(operator, changed statement) for each change of a statement in a function. Changes of the rest of the function are left out."""
    text = FUNCTION.format(statement)
    found = operators.Operators(source.Source(text), defaults).changes()
    start, end = text.index(statement), text.index(statement) + len(statement)
    return {(c.operator, mutants.apply(text, c)[start : len(mutants.apply(text, c)) - len(text) + end]) for c in found if c.start >= start}


class Changes(unittest.TestCase):
    def expect(self, statement, operator, *results, defaults=None):
        of_operator = {text for name, text in changed(statement, defaults) if name == operator}
        self.assertEqual(of_operator, set(results), statement)

    def test_comparisons_move_by_one_or_turn_round(self):
        self.expect("x = a < b;", "comparison", "x = a <= b;", "x = a >= b;")
        self.expect("x = a == b;", "comparison", "x = a != b;")

    def test_brackets_of_templates_are_no_comparisons(self):
        self.expect("std::vector<int> x(a);", "comparison")
        self.expect("x = static_cast<int>(a);", "comparison")

    def test_arithmetic_and_logic_are_swapped(self):
        self.expect("x = a * b + a;", "arithmetic", "x = a / b + a;", "x = a * b - a;")
        self.expect("x = a && b;", "logic", "x = a || b;")
        self.expect("int* x = &a;", "arithmetic")

    def test_compound_assignments_change_but_no_loop_is_made_endless(self):
        self.expect("a += b;", "assignment", "a -= b;", "a = b;")
        self.expect("for (int i = 0; i < a; i += 2) g(i);", "assignment")

    def test_numbers_move_and_keep_their_form(self):
        self.expect("x = 3;", "number", "x = 4;", "x = 2;")
        self.expect("x = 0;", "number", "x = 1;")
        self.expect("x = 4096;", "number", "x = 8192;", "x = 2048;")
        self.expect("x = 0x0Fu;", "number", "x = 0x10u;", "x = 0xeu;")
        self.expect("x = 1.5f;", "number", "x = 3.0f;", "x = 0.0f;")
        self.expect("x = 1'000;", "number", "x = 2000;", "x = 500;")

    def test_truth_and_negations_turn(self):
        self.expect("x = true;", "truth", "x = false;")
        self.expect("x = !a;", "negation", "x = a;")
        self.expect("return -a;", "negation", "return a;")
        self.expect("if (a < b) return;", "condition", "if (!(a < b)) return;")
        self.expect("if (int c = g(a); c > b) return;", "condition", "if (int c = g(a); !(c > b)) return;")
        self.expect("if (const int* c = g(a)) return;", "condition")

    def test_calls_and_assignments_are_dropped_and_declarations_are_not(self):
        for statement in ("g(a);", "x.y->z(a, b);", "x[1] = a;", "++a;", "a *= b;", "std::move<int>(a);", "throw X(a);", "return;"):
            with self.subTest(statement=statement):
                self.expect(statement, "statement", "{}")
        for statement in ("int x = a;", "X x(a);", "std::vector<int> x;", "auto [x, y] = g(a);", "const X& x = g(a);", "using Y = X;"):
            with self.subTest(statement=statement):
                self.expect(statement, "statement")

    def test_a_dropped_statement_leaves_the_lines_where_they_were(self):
        self.expect("g(a,\n    b);", "statement", "{}\n")

    def test_results_arguments_twins_ranges_and_options_change(self):
        self.expect("return a;", "returned", "return {};")
        self.expect("g(a, b.c, 1);", "swapped", "g(b.c, a, 1);")
        self.expect("x = std::min(a, 1);", "twin", "x = std::max(a, 1);")
        self.expect("x = sum(y.begin(), y.end());", "range", "x = sum(y.begin() + 1, y.end());", "x = sum(y.begin(), y.end() - 1);")
        defaults = operators.option_defaults("struct RlLoss {\n  double clip_low = 0.2;  // x\n};\nstruct A {\n  int64_t n = 1;\n};\n"
                                             "struct B {\n  int64_t n = 2;\n};\n")  # fmt: skip
        self.expect("x = config.rl_loss.clip_low;", "option", "x = double{0.2};", defaults=defaults)
        self.expect("x = config.b.n;", "option", "x = int64_t{2};", defaults=defaults)
        self.expect("x = config.n;", "option", defaults=defaults)  # ambiguous: the n of A or of B
        self.expect("config.b.n = 3;", "option", defaults=defaults)

    def test_words_are_never_changed(self):
        for statement in (
            "// a < b, 3",
            "/* a < b;\n g(3); */",
            "const char* x = \"a < b && 3\";",
            "const char* x = R\"(a < b \" 3)\";",
            "char x = '3';",
            "#define X(a) a + 1",
            "#if A > 1 && \\\n    B > 2",
            "static_assert(a < 3);",
            "assert(a < 3 && b);",
            "[[maybe_unused]] int x;",
        ):
            with self.subTest(statement=statement):
                self.assertEqual(changed(statement), set())

    def test_of_an_error_only_the_whole_is_dropped(self):
        for statement in ("throw X(a + 1);", 'fail("a", b + 1);', 'throw X(format("{} < {}", a - 1));'):
            with self.subTest(statement=statement):
                self.assertEqual(changed(statement), {("statement", "{}")})
        self.expect('x = fmt::format("it is {}", a + 1);', "arithmetic")
        self.expect('x = fmt::format("step-{}", a + 1);', "arithmetic", 'x = fmt::format("step-{}", a - 1);')

    def test_classes_and_namespaces_hold_no_statements(self):
        text = "namespace n {\nclass C {\n  C(int a);\n  virtual int f() = 0;\n  int g() { return h(3); }\n  int x_ = 3;\n};\n}\n"
        found = {(c.line, c.operator) for c in operators.Operators(source.Source(text)).changes()}
        self.assertEqual(found, {(5, "number"), (5, "returned"), (6, "number")})

    def test_every_source_of_the_project_can_be_read(self):
        for folder in ("base", "configs", "data", "checkpoints", "trainer", "rl", "launch"):
            for path in [*(ROOT / folder).rglob("*.cpp"), *(ROOT / folder).rglob("*.h")]:
                text = path.read_text()
                read = source.Source(text)
                unpaired = [t.line for t in read.tokens if t.text in "()[]{}" and t.partner < 0]
                self.assertEqual(unpaired, [], path)
                for change in operators.Operators(read).changes():
                    before = text[text.rfind("\n", 0, change.start) + 1 : change.start]
                    self.assertNotRegex(re.sub(r'"(?:[^"\\]|\\.)*"', '""', before), r"//|^\s*#", f"{path}:{change.line}")


class Draw(unittest.TestCase):
    TEXTS = {
        "rl/a.cpp": "".join(f"int f{n}(int a) {{ return a + {n}; }}\n" for n in range(1, 40)),
        "data/b.h": "inline bool g(int a) { return a < 3 && a > 1; }\n" * 10,
    }

    def ids(self, texts, count, seed):
        return [mutant.id for mutant in mutants.draw(texts, count, seed)]

    def test_a_seed_draws_the_same_mutants_again_and_another_seed_others(self):
        self.assertEqual(self.ids(self.TEXTS, 20, 1), self.ids(self.TEXTS, 20, 1))
        self.assertNotEqual(set(self.ids(self.TEXTS, 20, 1)), set(self.ids(self.TEXTS, 20, 2)))

    def test_a_larger_count_draws_the_same_and_more(self):
        self.assertEqual(self.ids(self.TEXTS, 40, 1)[:20], self.ids(self.TEXTS, 20, 1))

    def test_no_line_is_drawn_twice(self):
        drawn = mutants.draw(self.TEXTS, 1000, 1)
        self.assertEqual(len(drawn), 49)
        self.assertEqual(len({(mutant.file, mutant.line) for mutant in drawn}), 49)

    def test_the_draw_does_not_depend_on_line_numbers_and_other_lines(self):
        moved = {**self.TEXTS, "rl/a.cpp": "// new\n\nint x;\n" + self.TEXTS["rl/a.cpp"]}
        self.assertEqual(self.ids(self.TEXTS, 49, 1), self.ids(moved, 49, 1))

    def test_a_mutant_differs_from_the_source_in_its_line_alone(self):
        for mutant in mutants.draw(self.TEXTS, 49, 1):
            before, after = self.TEXTS[mutant.file].splitlines(), mutant.text.splitlines()
            self.assertEqual([n for n, (x, y) in enumerate(zip(before, after), 1) if x != y], [mutant.line])
            self.assertIn(f"a/{mutant.file}", mutant.diff)

    def test_what_is_compiled_keeps_the_line_numbers(self):
        [mutant] = mutants.draw(self.TEXTS, 1, 1)
        head, _, rest = mutant.quiet_text().partition("#line 1\n")
        self.assertEqual(rest, mutant.text)
        self.assertTrue(all(line.startswith("#pragma GCC diagnostic ignored") for line in head.splitlines()))

    def test_the_program_draws_from_the_commit_and_leaves_the_tree_alone(self):
        with tempfile.TemporaryDirectory(prefix="terse-mutate-") as name:
            root = Path(name)
            shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
            for file, text in {**self.TEXTS, "configs/run_config.h": "", "rl/old/c.cpp": self.TEXTS["rl/a.cpp"]}.items():
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (root / file).write_text(text)
            git = ["git", "-C", root, "-c", "user.name=a", "-c", "user.email=a@b"]
            for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "a"]):
                subprocess.run([*git, *arguments], check=True)
            (root / "rl" / "a.cpp").write_text("int not_committed = 3;\n")
            command = [root / "scripts" / "mutate.sh", "--list", "--count", "8", "--folders", "rl", "--exclude", "rl/old"]
            outputs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
            state = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(outputs[0], outputs[1])
        self.assertEqual(outputs[0].count("+++ b/rl/a.cpp"), 8)
        self.assertNotIn("not_committed", outputs[0])
        self.assertEqual(state, " M rl/a.cpp\n")


class CopyWithoutCompiler(Copy):
    """Builds configs/a.cpp by stripping its directives and comments. A source with the word BROKEN does not compile."""

    def _ninja(self, targets):
        check = "grep -q BROKEN configs/a.cpp && { echo 'a.cpp:1: error: broken'; exit 1; }"
        return ["sh", "-c", f"{check}; grep -v '^#' configs/a.cpp | sed 's@//.*@@' >build/a.o"]


class Verdicts(unittest.TestCase):
    ORIGINAL = "int f() { return 1; }\n"

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="terse-mutate-")
        self.addCleanup(folder.cleanup)
        home = Path(folder.name) / "copy"
        (home / "configs").mkdir(parents=True)
        (home / "build").mkdir()
        self.copy = CopyWithoutCompiler(home, home, 1, threading.Event(), threading.Lock())
        self.file = self.copy.folder / "configs" / "a.cpp"
        self.file.write_text(self.ORIGINAL)
        self.copy.commands.run(self.copy._ninja([]))
        self.copy.objects = {path: hash_of(path) for path in self.copy.build.glob("*.o")}

    def judge(self, text, **tests):
        commands = {area: [baseline.Step(f"{area}_test", ["sh", "-c", script], 0.0)] for area, script in tests.items()}
        mutant = mutants.Mutant("id", "configs/a.cpp", 1, "number", "", text)
        outcome = self.copy.judge(mutant, baseline.Baseline({}, commands))
        self.assertEqual(self.file.read_text(), self.ORIGINAL)
        return outcome

    def test_a_failing_test_kills(self):
        outcome = self.judge("int f() { return 2; }\n", configs="grep -q 'return 1' build/a.o", trainer="true")
        self.assertEqual((outcome["verdict"], outcome["by"], outcome["level"]), ("killed", "configs_test", "configs"))

    def test_tests_of_the_folders_above_kill_what_those_of_the_folder_miss(self):
        outcome = self.judge("int f() { return 2; }\n", configs="true", trainer="true", rl="grep -q 'return 1' build/a.o")
        self.assertEqual((outcome["verdict"], outcome["level"]), ("killed", "rl"))

    def test_levels_that_were_not_asked_for_are_not_tested(self):
        self.copy.levels = lambda folder: areas.levels(folder, 2)
        self.assertEqual(self.judge("int f() { return 2; }\n", configs="true", trainer="true", rl="false")["verdict"], "survived")
        self.assertEqual(self.judge("int f() { return 3; }\n", configs="true", trainer="false")["level"], "trainer")

    def test_only_the_areas_that_were_asked_for_are_tested(self):
        self.copy.levels = lambda folder: ["launch", "rl"]
        outcome = self.judge("int f() { return 2; }\n", configs="false", launch="true", rl="false")
        self.assertEqual((outcome["verdict"], outcome["level"]), ("killed", "rl"))

    def test_what_every_test_passes_has_survived(self):
        self.assertEqual(self.judge("int f() { return 2; }\n", configs="true", launch="true")["verdict"], "survived")

    def test_the_same_object_code_is_equivalent_and_not_tested(self):
        self.assertEqual(self.judge("int f() { return 1; }// 2\n", configs="false")["verdict"], "equivalent")

    def test_what_does_not_compile_is_neither_killed_nor_survived(self):
        outcome = self.judge("BROKEN\n", configs="false")
        self.assertEqual((outcome["verdict"], outcome["why"]), ("not compiled", "a.cpp:1: error: broken"))

    def test_a_hang_is_killed_and_leaves_no_process(self):
        slack, baseline.SLACK = baseline.SLACK, 3.0
        self.addCleanup(setattr, baseline, "SLACK", slack)
        outcome = self.judge("int f() { return 2; }\n", configs="setsid sleep 98765 & echo $! >../pid; sleep 98765")
        self.assertEqual((outcome["verdict"], outcome["by"]), ("killed", "configs_test (hangs)"))
        pid = (self.copy.folder.parent / "pid").read_text().strip()
        state = Path(f"/proc/{pid}/stat")
        self.assertTrue(not state.exists() or " Z " in state.read_text())

    def test_the_killer_is_named(self):
        step = baseline.Step("rl_tests", [], 1.0, ["A.B", "C.D"])
        self.assertEqual(killer(step, 1, "[ RUN      ] A.B\n[  FAILED  ] A.B (3 ms)\n"), "rl_tests A.B")
        crashed = "[ RUN      ] A.B\n[       OK ] A.B (3 ms)\n[ RUN      ] C.D\n"
        self.assertEqual(killer(step, -11, crashed), "rl_tests C.D (ends with -11)")
        self.assertEqual(killer(step, None, "[ RUN      ] A.B\n"), "rl_tests A.B (hangs)")
        self.assertEqual(killer(step, 127, ""), "rl_tests before the first test (ends with 127)")


class Commands(unittest.TestCase):
    def test_the_commands_of_a_copy_see_it_at_the_place_of_the_repository_where_that_can_be(self):
        with tempfile.TemporaryDirectory(prefix="terse-mutate-") as name:
            repository, copy = Path(name) / "repository", Path(name) / "copy"
            for folder in (repository, copy):
                (folder / "build").mkdir(parents=True)
                (folder / "name").write_text(folder.name)
            place = repository if processes.can_cover() else copy
            commands = processes.Commands(copy, place, threading.Event())
            status, output = commands.run(["sh", "-c", "pwd; cat name; mktemp; echo changed >name"])
            self.assertEqual(status, 0, output)
            lines = output.splitlines()
            self.assertEqual(lines[0], str(place))
            self.assertTrue(lines[1].startswith(f"copy{place}/build/scratch-copy/"), output)
            self.assertEqual((repository / "name").read_text(), "repository")
            self.assertEqual((copy / "name").read_text(), "changed\n")


class Order(unittest.TestCase):
    def test_tests_that_mirror_the_source_run_first_and_slow_ones_last(self):
        other, mirror = "/x/tests/rl/a_test.cpp", "/x/tests/rl/b_more_test.cpp"
        tests = {"A.slow": [9.0, other], "B.mirror": [0.1, mirror], "A.quick": [0.2, other]}
        after = baseline.Step("rl/ranks", ["x"], 1.0)
        steps = list(baseline.Baseline({"rl": tests}, {"rl": [after]}).steps("rl", "rl/deep/b.cpp"))
        self.assertEqual([step.tests for step in steps], [["B.mirror"], ["A.quick"], ["A.slow"], []])
        self.assertEqual(steps[-1], after)

    def test_a_baseline_is_read_as_it_was_written(self):
        with tempfile.TemporaryDirectory(prefix="terse-mutate-") as folder:
            written = baseline.Baseline({"rl": {"A.b": [1.0, "x"]}}, {"rl": [baseline.Step("s", ["c"], 1.0, exclusive=True)]})
            written.save(Path(folder) / "b.json")
            read = baseline.Baseline.load(Path(folder) / "b.json")
        self.assertEqual((read.programs, read.commands), (written.programs, written.commands))


class Report(unittest.TestCase):
    DRAW = {"commit": "c", "seed": 1}

    def record(self, name, verdict, file="rl/a.cpp"):
        diff = f"---\n+++\n@@\n+of {name}"
        return {"id": name, "file": file, "line": 3, "operator": "number", "diff": diff, "verdict": verdict, "seconds": 1.0}

    def test_accepted_survivors_count_apart(self):
        records = [self.record("k", "killed"), self.record("s", "survived"), self.record("a", "survived")]
        records.append(self.record("e", "equivalent", "data/b.cpp"))
        found = report.summary(records, {"a": "no GPU", "k": "unused"})
        self.assertEqual([found["total"][verdict] for verdict in report.ORDER], [1, 1, 1, 1, 0])
        self.assertEqual(found["total"]["share"], "50.0 % of 2 killed")
        self.assertEqual(found["folders"]["data"]["share"], "none to kill")
        text = report.as_text(found)
        self.assertIn("+of s", text)
        self.assertIn("no GPU", text)
        self.assertNotIn("+of k", text)

    def test_results_go_on_only_when_asked_and_only_with_their_own_draw(self):
        with tempfile.TemporaryDirectory(prefix="terse-mutate-") as name:
            folder = Path(name)
            report.Results(folder, self.DRAW, False).add(self.record("k", "killed"))
            with open(folder / "results.jsonl", "a") as file:
                file.write('{"id": "half')  # an interruption leaves half a line
            with self.assertRaisesRegex(ValueError, "--resume"):
                report.Results(folder, self.DRAW, False)
            with self.assertRaisesRegex(ValueError, "another draw"):
                report.Results(folder, {**self.DRAW, "seed": 2}, True)
            resumed = report.Results(folder, self.DRAW, True)
            self.assertEqual(resumed.known(), {"k"})
            resumed.add(self.record("s", "survived"))
            self.assertEqual(report.Results(folder, self.DRAW, True).known(), {"k", "s"})

    def test_the_list_of_accepted_mutants_is_well_formed_and_gives_reasons(self):
        for reason in report.read_accepted(ROOT / "tests" / "mutation" / "accepted.txt").values():
            self.assertGreater(len(reason.split()), 2, reason)
        with tempfile.TemporaryDirectory(prefix="terse-mutate-") as folder:
            path = Path(folder) / "accepted.txt"
            path.write_text("# why\nabc  rl/a.cpp  a GPU alone runs it\n")
            self.assertEqual(report.read_accepted(path), {"abc": "a GPU alone runs it"})
            path.write_text("abc rl/a.cpp\n")
            with self.assertRaisesRegex(ValueError, "accepted.txt:1"):
                report.read_accepted(path)


if __name__ == "__main__":
    unittest.main()
