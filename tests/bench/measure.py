"""What measurements are made with: processes and what they used, the load generator, the servers measured."""

import json
import os
import pathlib
import resource
import selectors
import socket
import subprocess
import sys
import time

import pytest

from tests.fakes import gateway as fakes
from tests.fakes.servers import Postfix

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
WAIT = 120
CONNECTIONS = 50000
SPARE_FILES = 100


class Processes:
    """A process and all that descend from it."""

    def __init__(self, root):
        self.root = root

    @staticmethod
    def _stat(pid):
        """(name, parent, ticks: its own and those of children that have ended)."""
        name, fields = pathlib.Path(f"/proc/{pid}/stat").read_text().split("(", 1)[1].rsplit(") ", 1)
        fields = fields.split()
        return name, int(fields[1]), sum(map(int, fields[11:15]))

    def _all(self):
        """{pid: (role, ticks)}."""
        known = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    known[int(entry.name)] = self._stat(entry.name)
                except OSError:
                    pass
        ours, grown = {self.root}, True
        while grown:
            grown = False
            for pid, (_, parent, _) in known.items():
                if parent in ours and pid not in ours:
                    ours.add(pid)
                    grown = True
        return {pid: (known[pid][0], known[pid][2]) for pid in ours if pid in known}

    def cpu_ms(self):
        """{role: milliseconds}, user and system."""
        found = {}
        for role, ticks in self._all().values():
            found[role] = found.get(role, 0) + ticks * TICK_MS
        return found

    def pss_bytes(self):
        total = 0
        for pid in self._all():
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
        return total * 1024


class Gateway:
    """The gateway with what a measurement wants: no limits by client, its log in a file."""

    def __init__(self, folder, backend, dns, extra="", proxy=True):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        if fakes.runs_as_nobody():
            os.chown(self.folder, fakes.NOBODY, fakes.NOBODY)
        elif os.geteuid() == 0:
            self.folder.chmod(0o711)
        self.conf, self.log = self.folder / "gatepost.conf", self.folder / "log"
        self.conf.write_text(f"""
hostname = "mx.example.net"
state_dir = "{self.folder}/state"
listen "127.0.0.1:0" {{ {'proxy_protocol_from = { "127.0.0.1" }' if proxy else ''} }}
domain "example.net" {{ backend = {{ "{backend}" }} }}
dns {{ forward = {{ "{dns}" }} }}
limits {{ connections = {CONNECTIONS} connections_per_client = {CONNECTIONS} }}
{extra}""")
        self.process = self.processes = self.port = None

    def start(self):
        if os.geteuid() == 0 and not fakes.runs_as_nobody():
            subprocess.run([str(fakes.GATEPOST), "setup", "-c", str(self.conf)], check=True,
                           stdout=subprocess.DEVNULL)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(fakes.GATEPOST), "run", "-c", str(self.conf)],
                                            stderr=log, stdout=subprocess.DEVNULL, **fakes.identity())
        self.processes = Processes(self.process.pid)
        self.port = int(self._wait("listening")["port"])
        self._wait("started")

    def _wait(self, event):
        end = time.monotonic() + WAIT
        while time.monotonic() < end and self.process.poll() is None:
            for line in self.log.read_text().splitlines():
                if line.startswith("{") and f'"{event}"' in line and json.loads(line).get("event") == event:
                    return json.loads(line)
            time.sleep(0.05)
        sys.exit(f"no {event}:\n" + self.log.read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait(WAIT)


def listening(program, *arguments):
    """Starts a program that says where it listens: (process, address)."""
    process = subprocess.Popen([str(program), *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline().split()
    if line[:1] != ["listening"]:
        sys.exit(f"{program} did not start")
    return process, line[1]


def load(program, meta, port, count, sessions, per_session, proxy):
    command = [str(program), "-p", str(port), "-n", str(count), "-c", str(sessions), "-k", str(per_session)]
    done = subprocess.run([*command, *(["-x"] if proxy else []), str(meta)], check=True,
                          stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def relay(sink_port):
    """Postfix that relays to the sink, queue on disk; None, with a notice, where it cannot be had."""
    try:
        return Postfix(f"""
virtual_mailbox_domains =
relay_domains = example.net
relay_recipient_maps =
relayhost = [127.0.0.1]:{sink_port}
smtp_tls_security_level = none
smtp_host_lookup = native
""")
    except pytest.skip.Exception as skipped:
        print(f"no Postfix in this table: {skipped}", file=sys.stderr)
        return None


def settle(server):
    """Until its queue is empty. Bounced mail does not come into it: senders are not deliverable here."""
    queues = [server.folder / "queue" / name for name in ("incoming", "active")]
    end = time.monotonic() + WAIT
    while any(p.is_file() for q in queues if q.is_dir() for p in q.rglob("*")):
        if time.monotonic() > end:
            sys.exit("Postfix did not empty its queue")
        time.sleep(0.02)


class Crowd:
    """Many connections that have been greeted and are silent."""

    def __init__(self, port, count):
        self.port, self.count, self.sockets = port, count, []

    def __enter__(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard < self.count + SPARE_FILES:
            sys.exit(f"{self.count} connections need more descriptors than {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for start in range(0, self.count, 500):
            self._open(min(500, self.count - start))
        return self

    def _open(self, count):
        """The next ones, until each of them has its banner."""
        with selectors.DefaultSelector() as selector:
            for _ in range(count):
                s = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)
                self.sockets.append(s)
                selector.register(s, selectors.EVENT_READ)
            end = time.monotonic() + WAIT
            while selector.get_map():
                for key, _ in selector.select(1):
                    if key.fileobj.recv(4096)[:3] != b"220":
                        sys.exit("a connection was refused")
                    selector.unregister(key.fileobj)
                if time.monotonic() > end:
                    sys.exit("not every connection was greeted")

    def __exit__(self, *_):
        for s in self.sockets:
            s.close()
