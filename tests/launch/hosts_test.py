"""Runs launch/mpirun.sh over several hosts: placement, signals, and a link that is cut. The hosts are network namespaces of this machine."""

import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from hosts import Hosts
from launching import ENDLESS, MPIRUN, RANKS, Launching, alive, build_probe, places, wait_until


class OverHosts(Launching):
    needs = ["mpirun", "mpicc", "ip", "tc", "unshare"]

    def setUp(self):
        super().setUp()
        self.hosts = Hosts(2)
        self.hosts.__enter__()
        self.addCleanup(self.hosts.__exit__)

    def launch(self, ranks, names, *arguments, **environment):
        """Starts mpirun.sh on the first host."""
        command = [MPIRUN, "-n", ranks, "--hosts", ",".join(names), "--iface", "eth0", *arguments]
        return self.start(*self.hosts.enter(0), *command, **{**self.hosts.environment, **environment})

    def probe(self, ranks):
        launcher = self.launch(ranks, self.hosts.names, "stop", TERSE_PROGRAM=str(build_probe(self.folder)))
        wait_until(lambda: len(places(self.output())) == ranks, "all ranks")
        return launcher, places(self.output())

    def run_terse(self, run, *options):
        """Runs on as many hosts as there are ranks. The last host always takes part."""
        return self.launch(RANKS, self.hosts.names[-RANKS:], "run", "a.yaml", "--run-dir", run, *options)

    def assert_cut_off(self, launcher):
        """Cuts the link of the last host. The launcher ends and names the host. The others cannot reach the processes there."""
        self.hosts.cut(1)
        self.assertNotEqual(self.end_of(launcher), 0, self.output())
        self.assertIn("on node h1", self.output())

    def test_hosts_share_the_ranks_evenly_and_in_order(self):
        launcher, ranks = self.probe(4)
        self.assertEqual([rank["host"] for rank in ranks], ["h0", "h0", "h1", "h1"])
        (self.folder / "stop").touch()
        self.assertEqual(self.end_of(launcher), 0, self.output())

    def test_a_signal_reaches_the_ranks_of_all_hosts(self):
        launcher, _ = self.probe(2)
        launcher.send_signal(signal.SIGUSR1)
        self.assertEqual(self.end_of(launcher), 75, self.output())

    def test_a_cut_link_ends_the_others_and_names_the_host(self):
        launcher, ranks = self.probe(2)
        self.assert_cut_off(launcher)
        wait_until(lambda: not alive(ranks[0]["pid"]), "the end of rank 0")

    def test_a_run_of_terse_gives_the_same_on_other_hosts(self):
        self.assertEqual(self.end_of(self.run_terse("far")), 0, self.output())
        self.assertEqual(self.starts("far")[0]["host"], self.hosts.names[-RANKS])
        self.assertEqual(self.run_to_end(MPIRUN, "-n", RANKS, "run", "a.yaml", "--run-dir", "near"), 0, self.output())
        self.assert_same_run("far", "near")

    def test_a_slow_link_changes_nothing_but_the_time(self):
        self.hosts.slow_down("2mbit")
        self.assertEqual(self.end_of(self.run_terse("slow")), 0, self.output())
        self.assertEqual(self.run_to_end(MPIRUN, "-n", RANKS, "run", "a.yaml", "--run-dir", "near"), 0, self.output())
        self.assert_same_run("slow", "near")

    def test_a_cut_link_ends_a_run_of_terse_and_names_the_rank_that_is_lost(self):
        """mpirun 4.1 itself may wait for its daemon on the lost host. Then the launcher ends some 40 seconds later."""
        launcher = self.run_terse("run", *ENDLESS, "--set", "parallel.deadline=5")
        wait_until(lambda: self.steps("run"), "the first step")
        first = self.starts("run")[-1]["pid"]
        self.hosts.cut(1)
        wait_until(lambda: not alive(first), "the end of rank 0")
        self.assertRegex(self.output(), r"terse: rank 1 \(host h1\) has not (reached|transferred the data of) operation \d+|on node h1")
        self.assertEqual(self.end_of(launcher), 76, self.output())


if __name__ == "__main__":
    unittest.main()
