"""The document of scripts/bench_peers.sh shows medians and ratios that were computed by hand, and says where terse is slower."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench" / "peers"))
import tables  # noqa: E402  the folder has to be in the path first


def speed(program, dtype, tokens_per_s):
    sizes = {"shape": "small", "parameters": 2_000_000, "sequences": 4, "tokens": 256}
    return {"kind": "speed", "program": program, "dtype": dtype, "tokens_per_s": tokens_per_s, "flops": tokens_per_s * 1e6, **sizes}


PEAKS = {"kind": "peaks", "matmul_fp32": 1e9, "matmul_bf16": 2e9, "memory_read": 1e10}


class Training(unittest.TestCase):
    def text(self, ours, theirs):
        speeds = [speed(program, "fp32", s) for program, values in (("terse", ours), ("peer", theirs)) for s in values]
        return tables.training_section([PEAKS, *speeds])

    def test_shows_the_median_with_its_range_the_share_and_the_ratio(self):
        text = self.text([300, 100, 500], [150, 150, 200])
        self.assertIn("| small | 2.0 M | 4 x 256 | terse | fp32 | 300 [100 to 500] | 30 % |  |", text)
        self.assertIn("| peer | fp32 | 150 [150 to 200] | 15 % | 2.00 |", text)
        self.assertNotIn("slower", text)

    def test_says_where_terse_is_slower(self):
        text = self.text([90], [120])
        self.assertIn("| 0.75, terse is slower |", text)
        self.assertIn("0.75 times as fast as the fastest other program (peer, fp32). So terse is slower here.", text)

    def test_compares_the_fastest_dtype_of_each_program(self):
        speeds = [speed("terse", "fp32", 100), speed("terse", "bf16", 80), speed("peer", "bf16", 200)]
        text = tables.training_section([PEAKS, *speeds])
        self.assertIn("terse in fp32 is 0.50 times as fast", text)
        self.assertIn("| peer | bf16 | 200 [200 to 200] | 10 % | 0.40, terse is slower |", text)

    def test_shows_why_a_program_did_not_run(self):
        note = {"kind": "note", "program": "torch.compile", "shape": "small", "note": "no compiler"}
        text = tables.training_section([PEAKS, speed("terse", "fp32", 1), speed("peer", "fp32", 1), note])
        self.assertIn("A message of torch.compile with small: `no compiler`", text)


class Checks(unittest.TestCase):
    def test_are_listed_once_with_the_largest_value(self):
        checks = [{"kind": "check", "program": "p", "shape": "s", "what": "w", "value": value} for value in (1, 3, 2)]
        self.assertEqual([check["value"] for check in tables.unique_checks(checks)], [3])


if __name__ == "__main__":
    unittest.main()
