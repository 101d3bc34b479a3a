"""scripts/check_structure finds a violation of each of its rules, and measures functions as a reader would."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check_structure"


def body(lines):
    return "".join(f"  call({i});\n" for i in range(lines))


class CheckStructure(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="terse-check-structure-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("rl/sound.cpp", "// Adds.\nint add(int a, int b) {\n  return a + b;\n}\n")

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def check(self):
        run = subprocess.run([sys.executable, CHECK, self.root], capture_output=True, text=True)
        return run.returncode, run.stdout.splitlines()

    def expect(self, *starts):
        code, lines = self.check()
        self.assertEqual(code, 1 if starts else 0, lines)
        self.assertEqual(len(lines), len(starts) or 1, lines)
        for line, start in zip(lines, starts):
            self.assertTrue(line.startswith(start), (line, start))

    def test_the_project_itself_is_clean(self):
        run = subprocess.run([sys.executable, CHECK], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout)

    def test_a_function_of_sixty_lines_passes_and_one_of_sixty_one_does_not(self):
        self.write("rl/a.cpp", f"// A.\nvoid f() {{\n{body(58)}}}\n")
        self.expect()
        self.write("rl/a.cpp", f"// A.\n\nvoid f() {{\n{body(59)}}}\n")
        self.expect("rl/a.cpp:3: a function of 61 lines")

    def test_long_functions_are_found_wherever_they_stand(self):
        long = body(60)
        self.write("rl/a.cpp", f"// A.\nnamespace n {{\nnamespace {{\nvoid f(int a = 3) {{\n{long}}}\n}}\n}}\n")
        self.write("rl/b.h", f"// B.\nclass C : public B {{\n public:\n  C() : a_{{1}} {{}}\n  int g() const override {{\n{long}}}\n}};\n")
        self.write("rl/c.cpp", f"// C.\nC::C(int a)\n    : a_(a),\n      b_{{2}} {{\n{long}}}\n")
        self.write("rl/d.cpp", f"// D.\nbool operator==(const A& a, const A& b) {{\n{long}}}\n")
        self.write("tests/rl/e_test.cpp", f'TEST(E, IsLong) {{\n  const char* text = "}}";  // }}\n{long}}}\n')
        self.expect("rl/a.cpp:4: ", "rl/b.h:5: ", "rl/c.cpp:", "rl/d.cpp:2: ", "tests/rl/e_test.cpp:1: ")

    def test_tables_and_types_are_no_functions(self):
        rows = "".join(f'    {{"{i}", call({i})}},\n' for i in range(80))
        self.write("rl/a.cpp", f"// A.\nconst std::vector<Row> kRows = {{\n{rows}}};\nint f() {{\n  return 1;\n}}\n")
        members = "".join(f"  int g{i}() {{ return {i}; }}\n" for i in range(80))
        self.write("rl/b.h", f"// B.\nstruct B {{\n{members}}};\nenum class E {{\n{body(0)}}};\n")
        self.expect()

    def test_a_long_file_is_found(self):
        self.write("data/a.h", "// A.\n" + "int a();\n" * 450)
        self.expect("data/a.h:1: has 451 lines")

    def test_a_source_opens_with_a_comment_and_a_test_need_not(self):
        self.write("tests/rl/a_test.cpp", "TEST(A, B) {}\n")
        self.expect()
        self.write("trainer/a.cu", "#include <x>\n")
        self.write("base/a.h", "#pragma once\n// Late.\n")
        self.expect("base/a.h:1: has no opening comment", "trainer/a.cu:1: has no opening comment")

    def test_a_folder_with_twenty_six_files_is_found(self):
        for i in range(24):
            self.write(f"rl/note_{i}.txt", "")
        self.expect()
        self.write("rl/note_24.txt", "")
        self.expect("rl: contains 26 files")

    def test_an_empty_tree_is_an_error(self):
        (self.root / "rl" / "sound.cpp").unlink()
        self.assertEqual(self.check()[0], 1)


if __name__ == "__main__":
    unittest.main()
