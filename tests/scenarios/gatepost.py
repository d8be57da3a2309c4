"""The gateway under test: its configuration, its processes, its log.

    with Gateway(tmp_path, backend=port) as gateway:
        gateway.wait("started")
        port = gateway.port()

Ports are the kernel's choice (listen "127.0.0.1:0"); the log tells them. Nothing
sleeps: wait() returns when the line is there, and fails after its time-out. As root
the gateway is started as nobody: the users of its roles need not exist.
"""

import json
import os
import signal
import socket
import string
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("GATEPOST_BUILD", os.path.join(ROOT, "build-sanitizers"))
LIBEXEC = os.path.join(BUILD, "libexec", "gatepost")
RELEASE = os.path.join(ROOT, "build-release", "libexec", "gatepost")
NOBODY = 65534
TIMEOUT = 60

BASIC = """hostname = "mx.example.net"
state_dir = "$state"
fronts = 1
listen "127.0.0.1:0" { tls = off }
domain "example.net" { backend = { "smtp://127.0.0.1:$backend" } }
dns { forward = { "127.0.0.1@$dns" } timeout = 2s }
filter "clamav" { enabled = false }
"""


def installed(*roles):
    """Have these roles been built?"""
    return all(os.access(os.path.join(LIBEXEC, role), os.X_OK) for role in roles)


def unprivileged():
    """Arguments for subprocess that make a child nobody's, if we are root."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


class Gateway:
    def __init__(self, folder, conf=BASIC, backend=9, dns=9, environment=None, **more):
        self.folder = str(folder)
        self.state = os.path.join(self.folder, "state")
        os.makedirs(self.state, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.state, NOBODY, NOBODY)
            part = self.folder
            while part not in ("/", "/tmp"):
                os.chmod(part, os.stat(part).st_mode | 0o755)
                part = os.path.dirname(part)
        self.values = dict(state=self.state, backend=backend, dns=dns, **more)
        self.file = os.path.join(self.folder, "gatepost.conf")
        self.configure(conf)
        self.environment = dict(os.environ, **(environment or {}))
        # What a role leaves at its end is the kernel's to clean up.
        self.environment["ASAN_OPTIONS"] = "detect_leaks=0:abort_on_error=1"
        self.lines, self.plain = [], []
        self.changed = threading.Condition()
        self.process = None

    def configure(self, conf):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(string.Template(conf).substitute(self.values))

    def start(self):
        self.process = subprocess.Popen(
            [os.path.join(LIBEXEC, "supervisor"), "-c", self.file], env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd="/", **unprivileged())
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def _read(self):
        for raw in self.process.stdout:
            text = raw.decode("utf-8", "replace").rstrip("\n")
            with self.changed:
                try:
                    self.lines.append(json.loads(text))
                except ValueError:
                    self.plain.append(text)
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def events(self, event, **fields):
        return [line for line in self.lines if line["event"] == event and
                all(line.get(key) == value for key, value in fields.items())]

    def wait(self, event, count=1, timeout=TIMEOUT, **fields):
        """The count-th line of this event whose fields are these."""
        end = time.monotonic() + timeout
        with self.changed:
            while len(self.events(event, **fields)) < count:
                left = end - time.monotonic()
                assert left > 0, f"no {event} {fields}:\n{self.log()}"
                self.changed.wait(min(left, 1))
                assert self.process.poll() is None or self.events(event, **fields) or left > 1, \
                    f"ended before {event}:\n{self.log()}"
            return self.events(event, **fields)[count - 1]

    def log(self):
        return "\n".join(self.plain + [json.dumps(line) for line in self.lines[-60:]])

    def port(self, listener="127.0.0.1:0"):
        return self.wait("listening", listener=listener)["port"]

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Exit status after SIGTERM."""
        self.signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT)

    def pids(self, role):
        """Processes of a role: the oldest first, so the loader before its children."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
                with open(f"/proc/{entry}/stat", "rb") as f:
                    state = f.read().rsplit(b")", 1)[1].split()[0]
            except OSError:
                continue
            if state != b"Z" and words[0].decode() == os.path.join(LIBEXEC, role) and \
                    self.file.encode() in words:
                found.append(int(entry))
        return sorted(found)

    def greeting(self, port=None):
        """Connects and reads the first line; "" if it was closed without one."""
        with socket.create_connection(("127.0.0.1", port or self.port()), TIMEOUT) as s:
            return s.makefile("rb").readline().decode()
