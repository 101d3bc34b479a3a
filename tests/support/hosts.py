"""Simulates several hosts on one machine. Each is a network namespace on a bridge, with an address, a name and an /etc/hosts. Needs root.

    with Hosts(2) as hosts:
        hosts.popen(0, [MPIRUN, "-n", "2", "--hosts", ",".join(hosts.names), ...], env={**os.environ, **hosts.environment})
        hosts.cut(1)

A namespace has the files and the processors of the machine, and reaches the other namespaces only over the bridge. mpirun starts its
daemons there with an agent in place of ssh.
"""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

PREFIX = "10.231.77."


def ip(*arguments):
    done = subprocess.run(["ip", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"ip {' '.join(map(str, arguments))}: {done.stderr.strip()} (network namespaces need root)")


class Hosts:
    def __init__(self, count):
        self.names = [f"h{i}" for i in range(count)]
        self.addresses = [f"{PREFIX}{i + 1}" for i in range(count)]
        self.tag = f"t{os.getpid() % 100000}"  # short, as names of interfaces must be; unique, because two tests may run at a time
        self.spaces = [f"{self.tag}-{name}" for name in self.names]

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="terse-hosts-")
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self):
        folder = Path(self.folder.name)
        (folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{a} {n}\n" for a, n in zip(self.addresses, self.names)))
        # The bridge has a namespace of its own, so that the machine's network does not change.
        ip("netns", "add", self.tag)
        ip("-n", self.tag, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.tag, "link", "set", "bridge", "up")
        for space, name, address in zip(self.spaces, self.names, self.addresses):
            ip("netns", "add", space)
            ip("-n", self.tag, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("-n", self.tag, "link", "set", name, "master", "bridge", "up")
            ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", space, "link", "set", device, "up")
        agent = folder / "agent"
        cases = "".join(f"  {name}) {shlex.join(self.enter(i))} sh -c \"$*\" ;;\n" for i, name in enumerate(self.names))
        agent.write_text(f"#!/bin/sh\n# agent HOST COMMAND...: what ssh would do\nhost=$1\nshift\ncase $host in\n{cases}  *) exit 255 ;;\nesac\n")
        agent.chmod(0o755)
        self.environment = {"OMPI_MCA_plm_rsh_agent": str(agent), "OMPI_MCA_plm_rsh_no_tree_spawn": "1"}

    def enter(self, host):
        """The command prefix that runs a command on this host."""
        hosts = f"{self.folder.name}/hosts"
        inside = f'mount --bind {shlex.quote(hosts)} /etc/hosts && hostname {self.names[host]} && exec "$@"'
        return ["ip", "netns", "exec", self.spaces[host], "unshare", "--uts", "--mount", "sh", "-c", inside, "sh"]

    def popen(self, host, command, **more):
        return subprocess.Popen([*self.enter(host), *map(str, command)], **more)

    def slow_down(self, rate):
        """Limits what each host sends to `rate` ("2mbit"). Packets beyond that wait for up to 100 ms, or are lost."""
        for space in self.spaces:
            limit = ["tc", "-n", space, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "16kb", "latency", "100ms"]
            subprocess.run(limit, check=True)

    def cut(self, host):
        """Disconnects this host from the network. Its processes go on."""
        ip("-n", self.tag, "link", "set", self.names[host], "down")

    def __exit__(self, *_):
        for space in [*self.spaces, self.tag]:
            # A process that still runs there would keep the namespace alive.
            pids = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True).stdout.split()
            for pid in pids:
                try:
                    os.kill(int(pid), 9)
                except ProcessLookupError:
                    pass
            subprocess.run(["ip", "netns", "del", space], capture_output=True)
        self.folder.cleanup()
