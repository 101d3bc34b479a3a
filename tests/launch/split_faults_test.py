"""Kills or stops a rank at any place of a run in which some ranks only generate. The other ranks end soon, the rank is named, and the rerun
ends as if nothing had happened. Where rollouts may be stale, no group is lost or used twice.

    tests/launch/split_faults_test.py --all    more places, every rank that comes to them of 2 + 1 and of 1 + 2: 35 minutes
"""

import itertools
import json
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from faults import ALL, Faulting
from launching import PROGRAM

STEPS = 400 if ALL else 24
CONFIG = f"""\
stages: [sft, rl]
run: {{name: tiny, device: cpu, threads: 1, log_every: 1}}
model: {{layers: 2, hidden_size: 32, heads: 2, intermediate_size: 48, max_seq_len: 128}}
task: {{k_min: 1, k_max: 2, align_to: 2}}
sft: {{steps: 4, batch_size: 11}}
rl: {{steps: {STEPS}, prompts: 3, group_size: 4, demonstrations: 3, eval_every: 3}}
eval: {{problems_per_difficulty: 3, samples: 2, quick_problems_per_difficulty: 1}}
checkpoint: {{every: 2}}
"""
RANKS = 3

# Which ranks reach a place, given the number of learners. The learners are the first ranks.
WHO = {
    "all": lambda learners: range(RANKS),
    "samplers": lambda learners: range(learners, RANKS),
    "learners": lambda learners: range(learners),
    "lead": lambda learners: [0],
    "learners together": lambda learners: range(learners if learners > 1 else 0),
}
# The places are named as in faulty_terse.cpp. The number counts from the start of the rank: the fault comes when the rank reaches the place
# for the N-th time.
PLACES = {
    "new weights, in the background": ("all", "9 data new weights of"),
    "rollouts to send": ("samplers", "4 send rollouts"),
    "rollouts to take in": ("lead", "4 read rollouts"),
    "save in the background": ("learners", "3 write"),
}
ALL_PLACES = {
    "before MPI": ("all", "1 start"),
    "start-up": ("all", "1 call run folder is open"),
    "roles": ("all", "1 call roles"),
    "roles on their way": ("all", "1 data roles"),
    "plan of weights": ("all", "1 call plan of weight transfers"),
    "loading": ("learners together", "1 call verify checkpoints"),
    "news of weights": ("lead", "3 send weights"),
    "news of weights, sent": ("lead", "3 sent weights"),
    "news of weights, come": ("samplers", "2 read weights"),
    "weights": ("all", "3 phase weights"),
    "new weights": ("all", "9 call new weights of"),
    "hashes": ("all", "3 call hashes of weights"),
    "acknowledgement": ("all", "4 call damaged units"),
    "acknowledgement on its way": ("all", "4 data damaged units"),
    "work to assign": ("lead", "5 send work"),
    "work, assigned": ("lead", "5 sent work"),
    "waiting for work": ("samplers", "2 await work"),
    "work, come": ("samplers", "3 read work"),
    "rollout": ("all", "4 phase rollout"),
    "reward": ("samplers", "7 phase reward"),
    "rollouts, sent": ("samplers", "4 sent rollouts"),
    "waiting for rollouts": ("lead", "4 await a group of rollouts"),
    "rollouts to share": ("learners together", "3 call rollouts"),
    "rollouts on their way": ("learners together", "3 data rollouts"),
    "update": ("learners", "3 phase update"),
    "backward": ("learners together", "7 call gradient of"),
    "reduce": ("learners together", "8 data gradient of"),
    "norm of the gradient": ("learners together", "3 call gradient norm"),
    "student": ("learners", "2 phase student"),
    "eval": ("learners", "2 phase eval"),
    "save": ("learners", "2 phase save"),
    "waiting for a save": ("learners together", "2 call checkpoint is written"),
}
LAST_PLACES = {
    "end to send": ("lead", "1 send end"),
    "end, come": ("samplers", "1 read end"),
}
STALE_PLACES = {
    "rollouts to take in": ("lead", "9 read rollouts"),
}
ALL_STALE_PLACES = {
    "rollouts to send": ("samplers", "9 send rollouts"),
    "work, come": ("samplers", "9 read work"),
    "weights": ("samplers", "3 phase weights"),
    "acknowledgement": ("all", "4 call damaged units"),
    "rollouts on their way": ("learners together", "3 data rollouts"),
    "save in the background": ("learners", "3 write"),
    "save": ("learners", "2 phase save"),
}


class SplitFaults(Faulting):
    config = CONFIG

    def settings(self, ranks, number):
        return ["--set", "parallel.layout=split", *super().settings(ranks, number)]

    def layout(self, learners):
        return ["--set", f"parallel.rollout_ranks={RANKS - learners}"]

    def fail_everywhere(self, number, places, *options):
        """Every rank fails at every place with --all, otherwise one rank at each. The ZeRO stages take turns."""
        slowest = {}
        turn = itertools.count()
        stage = itertools.cycle((1, 2, 3))
        for name, (who, place) in places.items():
            cases = [(learners, rank) for learners in (2, 1) for rank in WHO[who](learners)]
            for learners, rank in cases if ALL else [cases[next(turn) % len(cases)]]:
                with self.subTest(place=name, learners=learners, rank=rank):
                    # The last places come after the summary is written, and a finished run starts no ranks.
                    (self.folder / "faulty" / "summary.json").unlink(missing_ok=True)
                    zero = next(stage)
                    case = f"{name}, rank {rank} of {learners} + {RANKS - learners}, ZeRO-{zero}"
                    slowest[case] = self.fail_at(RANKS, rank, number, place, *self.layout(learners), "--set", f"parallel.zero={zero}", *options)
        self.tell(number, slowest)

    def ledger(self, run):
        return [json.loads(line) for line in (self.folder / run / "ledger.jsonl").read_text().splitlines()]

    def finish(self, *options):
        super().finish("--set", "parallel.layout=split", *options)
        self.assertEqual(self.run_to_end(PROGRAM, "verify", "faulty"), 0, self.output())
        self.assertEqual([line["step"] for line in self.ledger("faulty")], list(range(1, STEPS + 1)))

    def assert_as_if_nothing_had_been(self, number, places):
        self.assertEqual(self.run_to_end(PROGRAM, "run", "a.yaml", "--run-dir", "whole"), 0, self.output())
        self.fail_everywhere(number, places)
        self.finish()
        self.assert_same_run("faulty", "whole")
        self.assertEqual(self.ledger("faulty"), self.ledger("whole"))

    def test_a_rank_killed_at_any_place_takes_the_others_down_at_once(self):
        self.assert_as_if_nothing_had_been(signal.SIGKILL, PLACES | (ALL_PLACES | LAST_PLACES if ALL else {}))

    def test_a_rank_stopped_at_any_place_takes_the_others_down_at_the_deadline(self):
        one = dict(list(PLACES.items())[:1])
        self.assert_as_if_nothing_had_been(signal.SIGSTOP, PLACES | ALL_PLACES | LAST_PLACES if ALL else one)

    def test_where_rollouts_may_be_stale_no_group_is_lost_or_used_twice(self):
        stale = ["--set", "rl.max_staleness=2"]
        self.fail_everywhere(signal.SIGKILL, STALE_PLACES | (ALL_STALE_PLACES if ALL else {}), *stale)
        if ALL:
            self.fail_everywhere(signal.SIGSTOP, STALE_PLACES | ALL_STALE_PLACES, *stale)
        self.finish(*stale)


if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--all"])
