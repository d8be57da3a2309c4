"""A real gateway, and a real sink, as processes of a test.

    gateway = Gateway(folder, dns=dns, backend=sink.url)
    gateway.start()                      # returns when it serves
    with gateway.smtp() as smtp: ...
    gateway.wait_event("message")        # a line of its log
    gateway.expect("backend-down")       # this warning is what the test is about
    gateway.stop()                       # drains; fails upon what nobody expected

Nothing sleeps: what is waited for is a line of the log, a reply, or the end of a process.
As root the gateway runs as nobody where it can, else as root with `gatepost setup`.
"""

import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from tests.fakes.smtp import Smtp

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GATEPOST_BUILD", ROOT / "build-sanitizers"))
GATEPOST = BUILD / "bin/gatepost"
NOBODY = 65534
TIMEOUT = 60
REPORTS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|UndefinedBehavior|assertion|Assertion")


def is_reachable(path):
    """May anybody come to it?"""
    return all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents] if folder.is_dir())


def runs_as_nobody():
    return os.geteuid() == 0 and is_reachable(BUILD)


def identity():
    """How a process of the gateway is started."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if runs_as_nobody() else {}


def environment():
    quiet = {"ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    return {**os.environ, **quiet, "LC_ALL": "C.UTF-8"}


def make_folder():
    """A folder that the gateway's user may write, and nobody else."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gatepost-"))
    if runs_as_nobody():
        os.chown(folder, NOBODY, NOBODY)
    elif os.geteuid() == 0:
        folder.chmod(0o711)  # the roles' users come through it
    return folder


def command(*arguments, **keywords):
    """Runs `gatepost …` to its end."""
    keywords = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": TIMEOUT,
                "check": False, "text": True, "env": environment(), **identity(), **keywords}
    return subprocess.run([str(GATEPOST), *map(str, arguments)], **keywords)


class Sink:
    """A mailbox server. stored() has the messages as they came, without the sink's own headers."""

    def __init__(self, folder, *options, protocol="smtp"):
        self.maildir = pathlib.Path(folder) / f"sink-{protocol}-{os.urandom(4).hex()}"
        self.process = subprocess.Popen(
            [str(GATEPOST), "sink", f"--{protocol}", "127.0.0.1:0", "--maildir",
             str(self.maildir), *map(str, options)],
            stdout=subprocess.PIPE, text=True, env=environment(), **identity())
        line = self.process.stdout.readline().split()
        assert line[:2] == ["listening", protocol], line
        self.port = int(line[2].rsplit(":", 1)[1])
        self.url = f"{protocol}://127.0.0.1:{self.port}"

    def stored(self):
        """[(headers of the sink as a dict of lists, the message's octets)]"""
        found = []
        folder = self.maildir / "new"
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            octets, own = path.read_bytes(), {}
            while True:
                line, octets = octets.split(b"\r\n", 1)
                name, value = line.decode("utf-8", "replace").split(": ", 1)
                own.setdefault(name, []).append(value)
                if name == "X-Sink-Octets":
                    break
            found.append((own, octets))
        return found

    def messages(self):
        return [octets for _, octets in self.stored()]

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(TIMEOUT)
        self.process.stdout.close()


class Gateway:
    def __init__(self, folder, dns=None, backend="smtp://127.0.0.1:9", extra="", domain="example.net",
                 limits="", listeners=None, domain_extra="", globals_extra="", environment=None):
        """extra: more configuration; listeners: title → inside of its section; environment: more of that."""
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.conf = self.folder / "gatepost.conf"
        self.parts = {"dns": dns, "backend": backend, "extra": extra, "domain": domain,
                      "limits": limits, "domain_extra": domain_extra, "globals_extra": globals_extra,
                      "listeners": listeners or {"127.0.0.1:0": ""}}
        self.environment = environment or {}
        self.process = None
        self.is_terminated = self.is_over = False
        self.ports = {}
        self.expected = {"self-signed"}  # unless a test brings a certificate
        self.log, self.noise = [], []
        self.log_copy = None  # a file that gets the log too
        self._changed = threading.Condition()
        self._reader = None

    # ---- configuration

    def text(self):
        p = self.parts
        lines = ['hostname = "mx.example.net"', f'state_dir = "{self.state}"', "fronts = 1",
                 p["globals_extra"]]
        lines += [f'listen "{title}" {{ {inside} }}' for title, inside in p["listeners"].items()]
        backends = [p["backend"]] if isinstance(p["backend"], str) else p["backend"]
        quoted = ", ".join(f'"{backend}"' for backend in backends)
        lines.append(f'domain "{p["domain"]}" {{ backend = {{ {quoted} }} {p["domain_extra"]} }}')
        if p["dns"]:
            lines.append(f'dns {{ forward = "{p["dns"].address}" timeout = 2s }}')
        if p["limits"]:
            lines.append(f'limits {{ {p["limits"]} }}')
        return "\n".join(lines) + "\n" + p["extra"] + "\n"

    def write(self, text=None):
        self.conf.write_text(self.text() if text is None else text)
        self.conf.chmod(0o644)

    # ---- life

    def set_up(self):
        """Users and folders, which as root are made before anything is started or kept."""
        if os.geteuid() == 0 and not runs_as_nobody():
            subprocess.run([str(GATEPOST), "setup", "-c", str(self.conf)], check=True,
                           env=environment(), stdout=subprocess.DEVNULL)

    def spawn(self):
        """Starts it without waiting for anything."""
        self.set_up()
        self.process = subprocess.Popen(
            [str(GATEPOST), "run", "-c", str(self.conf)], env={**environment(), **self.environment},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, **identity())
        self.is_terminated = self.is_over = False
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def start(self):
        if not self.conf.exists():
            self.write()
        before = len(self.events("started"))  # its log has those of earlier runs too
        self.spawn()
        self.wait_event("started", before + 1)
        for line in self.events("listening"):
            self.ports[line["listener"]] = line["port"]
        return self

    def _read(self, process):
        for octets in process.stderr:
            if self.log_copy:
                with open(self.log_copy, "ab") as copy:
                    copy.write(octets)
            line = octets.decode("utf-8", "replace").rstrip("\n")
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            with self._changed:
                if isinstance(entry, dict):
                    self.log.append(entry)
                else:
                    self.noise.append(line)
                self._changed.notify_all()
        process.wait()  # its end is what those who wait for a line that never comes look for
        with self._changed:
            self.is_over = True
            self._changed.notify_all()

    def terminate(self, sig=signal.SIGTERM):
        """Asks it to end, once: asked twice it does not wait for anybody."""
        if self.process and self.process.poll() is None and not self.is_terminated:
            self.is_terminated = True
            self.process.send_signal(sig)

    def stop(self, sig=signal.SIGTERM):
        """Ends it, and looks at what it said."""
        code = None
        self.terminate(sig)
        if self.process:
            try:
                code = self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("the gateway did not end\n" + self.tail()) from None
            self._reader.join(TIMEOUT)
            self.process.stderr.close()
            self.process = None
        self.check_log()
        return code

    def kill(self):
        """All of it at once, as a power cut would."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(TIMEOUT)
            self._reader.join(TIMEOUT)

    def reload(self):
        """SIGHUP; returns what came of it."""
        seen = len(self.log)
        self.process.send_signal(signal.SIGHUP)
        return self.wait(lambda line: line["event"] in ("reloaded", "reload-refused"), seen)

    def pids(self, role):
        """Processes of a role, children of loaders too."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    name = pathlib.Path((entry / "cmdline").read_bytes().split(b"\0")[0].decode()).name
                    session = (entry / "stat").read_text().rsplit(") ", 1)[1].split()[3]
                except (OSError, IndexError):
                    continue
                if name == role and self.process and int(session) == self.process.pid:
                    found.append(int(entry.name))
        return sorted(found)

    # ---- what it says

    def expect(self, *events):
        """These warnings and errors are what the test is about."""
        self.expected.update(events)

    def events(self, name):
        with self._changed:
            return [line for line in self.log if line.get("event") == name]

    def wait(self, predicate, since=0, timeout=TIMEOUT):
        """The first line after `since` lines for which it holds."""
        def search():
            return next((line for line in self.log[since:] if predicate(line)), None)
        with self._changed:
            self._changed.wait_for(
                lambda: search() or self.is_over, timeout)
            found = search()
        assert found, "it was not logged\n" + self.tail()
        return found

    def wait_event(self, name, count=1, timeout=TIMEOUT):
        """The count-th line of that event."""
        with self._changed:
            self._changed.wait_for(
                lambda: len([1 for line in self.log if line.get("event") == name]) >= count
                or self.is_over, timeout)
        lines = self.events(name)
        assert len(lines) >= count, f"no {name}\n" + self.tail()
        return lines[count - 1]

    def tail(self):
        with self._changed:
            return "\n".join([json.dumps(line) for line in self.log[-40:]] + self.noise[-60:])

    def check_log(self):
        bad = [line for line in self.log if line.get("level") in ("warning", "error")
               and line.get("event") not in self.expected]
        reports = [line for line in self.noise if REPORTS.search(line)]
        if bad or reports:
            raise AssertionError("unexpected in the log:\n"
                                 + "\n".join(json.dumps(line) for line in bad) + "\n"
                                 + "\n".join(self.noise))

    # ---- talking to it

    @property
    def port(self):
        """Of the first listener."""
        return self.ports[next(iter(self.parts["listeners"]))]

    def smtp(self, listener=None, **keywords):
        return Smtp(self.ports[listener] if listener else self.port, **keywords)

    def api(self, path, body=None):
        """The admin API over the control socket; the answer's JSON."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(TIMEOUT)
            s.connect(str(self.state / "control.sock"))
            verb = "GET" if body is None else "POST"
            s.sendall(f"{verb} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      f"Content-Length: {len(body or b'')}\r\n\r\n".encode() + (body or b""))
            octets = b"".join(iter(lambda: s.recv(65536), b""))
        head, _, rest = octets.partition(b"\r\n\r\n")
        if b"chunked" in head.lower():
            parts = []
            while rest and not rest.startswith(b"0\r\n"):
                size, _, rest = rest.partition(b"\r\n")
                parts.append(rest[:int(size, 16)])
                rest = rest[int(size, 16) + 2:]
            rest = b"".join(parts)
        assert head.split()[1] == b"200", octets
        return json.loads(rest)

    def held(self):
        """{local part: [id, …]} of all that is in quarantine; by the index itself, so that no role is needed."""
        listed = self.run("quarantine", "list", "--json", "--limit", 1000)
        assert listed.returncode == 0, listed.stderr
        entries, found = json.loads(listed.stdout), {}
        assert len(entries) < 1000, "more than one page: send less"
        for entry in entries:
            for address in entry["rcpt_to"]:
                found.setdefault(address.split("@")[0], []).append(entry["id"])
        return found

    def run(self, *arguments, **keywords):
        """A command about this gateway; the words before -c are the command's name."""
        return command(*arguments, "-c", self.conf, **keywords)


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)


class Closing:
    """Things to be closed, last first, even if one of them complains."""

    def __init__(self):
        self.things = queue.LifoQueue()

    def add(self, close):
        self.things.put(close)

    def close(self):
        failures = []
        while not self.things.empty():
            try:
                self.things.get()()
            except AssertionError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]
