"""scripts/check_errors finds every bare std::runtime_error and every print that throws. It ignores comments, tests and string literals."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check_errors"


class CheckErrors(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="terse-check-errors-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("configs/sound.cpp", 'throw configs::DiskError("cannot read");\n')

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def check(self):
        run = subprocess.run([sys.executable, CHECK, self.root], capture_output=True, text=True)
        return run.returncode, run.stdout.splitlines()

    def expect_broken(self, path, text, place, advice):
        self.write(path, text)
        code, lines = self.check()
        (self.root / path).unlink()
        self.assertEqual((code, len(lines)), (1, 1), lines)
        self.assertTrue(lines[0].startswith(f"{path}:{place}: "), lines)
        self.assertIn(advice, lines[0])

    def expect_clean(self, path, text):
        self.write(path, text)
        self.assertEqual(self.check()[0], 0, self.check()[1])

    def test_the_project_itself_is_clean(self):
        run = subprocess.run([sys.executable, CHECK], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout)

    def test_a_bare_runtime_error_is_found_in_every_folder(self):
        for folder in ("base", "configs", "data", "checkpoints", "trainer/parallel", "rl/engine", "launch/commands"):
            with self.subTest(folder=folder):
                self.expect_broken(f"{folder}/a.cpp", '\n  throw std::runtime_error("no");\n', 2, "base/errors.h")

    def test_spelling_cannot_hide_it(self):
        self.expect_broken("rl/a.h", "throw\n    ::std::runtime_error(text);\n", 1, "base/errors.h")
        self.expect_broken("rl/a.cu", 'fail(std::make_exception_ptr(std::runtime_error("no")));\n', 1, "base/errors.h")
        self.expect_broken("rl/a.cpp", 'const char* url = "http://"; throw std::runtime_error("no");\n', 1, "base/errors.h")

    def test_prints_that_throw_or_are_silent_are_found(self):
        self.expect_broken("trainer/a.cpp", 'fmt::print(stderr, "no");\n', 1, "launch/output.h")
        self.expect_broken("launch/a.cpp", '/* two\nlines */ std::cerr << "no";\n', 2, "launch/output.h")

    def test_errors_of_ours_bugs_comments_and_tests_are_left_alone(self):
        self.expect_clean("rl/a.cpp", 'class E : public std::runtime_error {};\nthrow E("x");\nthrow std::logic_error("x");\n')
        self.expect_clean("rl/b.cpp", '// throw std::runtime_error\n/* fmt::print(x) */\nconst char* text = "// no comment";\n')
        self.expect_clean("tests/rl/a_test.cpp", 'throw std::runtime_error("a double");\n')

    def test_an_empty_tree_is_an_error(self):
        (self.root / "configs" / "sound.cpp").unlink()
        self.assertEqual(self.check()[0], 1)


if __name__ == "__main__":
    unittest.main()
