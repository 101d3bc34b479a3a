"""scripts/check_writers finds every way to write a file other than the allowed ones, and ignores code that only reads."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check_writers"


class CheckWriters(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="terse-check-writers-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def check(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        run = subprocess.run([sys.executable, CHECK, self.root], capture_output=True, text=True)
        file.unlink()
        return run.returncode, run.stdout.splitlines()

    def test_the_project_itself_is_clean(self):
        run = subprocess.run([sys.executable, CHECK], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout)

    def test_every_way_to_write_is_found(self):
        ways = [
            'std::ofstream(folder / "a.jsonl", std::ios::app) << line;',
            "std::fstream file(path);",
            'std::FILE* file = std::fopen(path.c_str(), "we");',
            'std::FILE* file = fopen(path, "r+");',
            "const int fd = ::open(path.c_str(), O_RDONLY | O_CREAT);",
            "const int fd = open(path, O_WRONLY);",
            "::rename(from.c_str(), to.c_str());",
            "fs::rename(from, to);",
            "std::filesystem::copy_file(from, to);",
            "if (::ftruncate(fd, 0) != 0) fail();",
            "const hid_t file = H5Fcreate(name, H5F_ACC_TRUNC, 0, 0);",
        ]
        for way in ways:
            with self.subTest(way=way):
                code, lines = self.check("rl/log.cpp", f"// first\nvoid log() {{\n  {way}\n}}\n")
                self.assertEqual(code, 1)
                self.assertTrue(lines and all(line.startswith("rl/log.cpp:3: ") for line in lines), lines)

    def test_reading_comments_texts_and_the_writers_themselves_pass(self):
        reading = (
            "#include <fstream>\n// std::ofstream would do\n/* fs::rename(a, b) */\n"
            'std::ifstream file(path);\nauto* other = std::fopen(path, "rbe");\nconst char* text = "O_CREAT";\n'
            "const int fd = ::open(path, O_RDONLY | O_CLOEXEC);\nio.rename(a, b);\n"
        )
        self.assertEqual(self.check("rl/log.cpp", reading)[0], 0)
        self.assertEqual(self.check("trainer/metrics/jsonl_file.cpp", "const int fd = ::open(path, O_RDWR);\n")[0], 0)

    def test_a_listed_writer_that_writes_nothing_is_named(self):
        code, lines = self.check("base/posix_file_system.cpp", "int nothing;\n")
        self.assertEqual(code, 1)
        self.assertIn("base/posix_file_system.cpp", lines[0])

    def test_a_folder_without_sources_is_no_success(self):
        self.assertEqual(subprocess.run([sys.executable, CHECK, self.root], capture_output=True).returncode, 1)


if __name__ == "__main__":
    unittest.main()
