"""scripts/check_includes finds every violation of a layer rule, names the place, and ignores text that is not an include."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).resolve().parents[2] / "scripts" / "check_includes"


class CheckIncludes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="terse-check-includes-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def check(self):
        run = subprocess.run([sys.executable, CHECK, self.root], capture_output=True, text=True)
        return run.returncode, run.stdout.splitlines()

    def expect_broken(self, path, text, *fragments):
        self.write(path, text)
        code, lines = self.check()
        self.assertEqual(code, 1, lines)
        self.assertEqual(len(lines), 1, lines)
        for fragment in (path, *fragments):
            self.assertIn(fragment, lines[0])

    def expect_clean(self):
        code, lines = self.check()
        self.assertEqual(code, 0, lines)

    def test_the_project_itself_is_clean(self):
        run = subprocess.run([sys.executable, CHECK], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout)

    def test_every_downward_include_is_allowed(self):
        self.write("launch/main.cpp", '#include "rl/learner.h"\n#include "configs/load.h"\n')
        self.write("rl/learner.cpp", '#include "trainer/step.h"\n#include "rl/engine/engine.h"\n#include "rl/tasks/task.h"\n')
        self.write("trainer/step.cpp", '#include "data/batch.h"\n#include "checkpoints/store.h"\n#include "trainer/model/block.h"\n')
        self.write("trainer/model/block.cpp", '#include "trainer/kernels/gemm.h"\n#include "trainer/parallel/world.h"\n')
        self.write("rl/engine/engine.cpp", '#include "rl/types.h"\n#include "rl/engine/kv.h"\n#include "trainer/model/block.h"\n')
        self.write("data/batch.cpp", "#include <torch/types.h>\n#include <vector>\n")
        self.expect_clean()

    def test_upward_includes_break_the_order(self):
        pairs = [("base", "configs"), ("configs", "data"), ("data", "trainer"), ("checkpoints", "rl"), ("trainer", "rl"), ("rl", "launch")]
        for lower, upper in pairs:
            with self.subTest(lower=lower, upper=upper):
                self.expect_broken(f"{lower}/a.h", f'#pragma once\n#include "{upper}/b.h"\n', f"{lower}/a.h:2:", f"may not include {upper}/")
                (self.root / lower / "a.h").unlink()

    def test_data_and_checkpoints_do_not_know_each_other(self):
        self.expect_broken("data/a.cpp", '#include "checkpoints/store.h"\n', "data/ may not include checkpoints/")
        (self.root / "data/a.cpp").unlink()
        self.expect_broken("checkpoints/a.cpp", '#include "data/batch.h"\n', "checkpoints/ may not include data/")

    def test_trainer_parts_are_ordered(self):
        for part, other in [("kernels", "parallel/world.h"), ("parallel", "model/block.h"), ("model", "step.h")]:
            with self.subTest(part=part):
                self.expect_broken(f"trainer/{part}/a.cpp", f'#include "trainer/{other}"\n', f"{part}/ may include only")
                (self.root / f"trainer/{part}/a.cpp").unlink()

    def test_rooms_of_rl_are_ordered(self):
        broken = [("engine", "tasks/task.h"), ("tasks", "rollout/a.h"), ("rollout", "update/a.h"), ("update", "compression/a.h"), ("tasks", "learner.h")]
        for part, other in [*broken, ("async", "learner.h")]:
            with self.subTest(part=part):
                self.expect_broken(f"rl/{part}/a.cpp", f'#include "rl/{other}"\n', f"{part}/ may not include rl/{other}")
                (self.root / f"rl/{part}/a.cpp").unlink()
        self.write("rl/update/a.cpp", '#include "rl/rollout/a.h"\n#include "rl/tasks/task.h"\n#include "rl/types.h"\n')
        self.expect_clean()

    def test_cuda_sources_reach_no_torch_header_even_through_ours(self):
        self.write("trainer/kernels/far.h", "#include <torch/types.h>\n")
        self.write("trainer/kernels/near.h", '#pragma once\n#include "trainer/kernels/far.h"\n')
        self.expect_broken("trainer/kernels/a.cu", '#include "trainer/kernels/near.h"\n', "a.cu:1:", "far.h", "torch/types.h", "no torch headers")
        (self.root / "trainer/kernels/a.cu").unlink()
        self.expect_broken("trainer/kernels/b.cuh", "#include <ATen/ATen.h>\n", "no torch headers")

    def test_a_cycle_of_headers_ends(self):
        self.write("trainer/kernels/a.h", '#include "trainer/kernels/b.h"\n')
        self.write("trainer/kernels/b.h", '#include "trainer/kernels/a.h"\n')
        self.write("trainer/kernels/c.cu", '#include "trainer/kernels/a.h"\n')
        self.expect_clean()

    def test_relative_spelling_cannot_hide_an_include(self):
        self.expect_broken("data/a.cpp", '#include "../rl/types.h"\n', "from the root")
        self.expect_broken("data/a.cpp", '#include "batch.h"\n', "from the root")

    def test_angle_brackets_and_odd_spacing_cannot_hide_an_include(self):
        self.expect_broken("data/a.cpp", "#include <rl/types.h>\n", "may not include rl/")
        self.expect_broken("data/a.cpp", '  #  include   "rl/types.h"  // why\n', "may not include rl/")
        self.expect_broken("data/a.cpp", '/* a */ #include "rl/types.h"\n', "may not include rl/")

    def test_comments_are_not_includes(self):
        self.write("data/a.cpp", '// #include "rl/types.h"\n/*\n#include "rl/types.h"\n*/\n// see /*\n#include <vector>\n')
        self.expect_clean()
        self.expect_broken("data/a.cpp", '// opens nothing: /*\n#include "rl/types.h"\n', "a.cpp:2:")

    def test_nothing_includes_tests_but_tests_include_anything(self):
        self.write("tests/data/a_test.cpp", '#include "rl/types.h"\n#include "tests/support/tiny.h"\n')
        self.write("data/b.cpp", "#include <vector>\n")
        self.expect_clean()
        self.expect_broken("data/b.cpp", '#include "tests/support/tiny.h"\n', "only tests include tests/")

    def test_the_whole_of_torch_is_refused(self):
        self.expect_broken("data/a.cpp", "#include <torch/torch.h>\n", "torch/types.h")

    def test_every_violation_is_listed(self):
        self.write("data/a.cpp", '#include "rl/types.h"\n#include "launch/cli.h"\n')
        self.write("configs/b.h", '#include "data/batch.h"\n')
        code, lines = self.check()
        self.assertEqual((code, len(lines)), (1, 3))

    def test_an_empty_tree_is_an_error(self):
        self.assertEqual(self.check()[0], 1)


if __name__ == "__main__":
    unittest.main()
