"""The life of the processes: start, death, reload, end, and what they may not do."""

import os
import signal
import socket
import subprocess
import time

import pytest

from gatepost import BASIC, LIBEXEC, RELEASE, Gateway, installed, unprivileged

ROLES = ["front", "resolver", "keeper", "trainer", "web", "inspector", "scanner"]

pytestmark = pytest.mark.skipif(not installed("supervisor", *ROLES), reason="not all roles are built")


def test_starts_and_stops(tmp_path):
    with Gateway(tmp_path) as gateway:
        gateway.wait("started")
        assert gateway.greeting().startswith("220 ")
        assert gateway.stop() == 0
        assert not gateway.events("role-died")
        assert not gateway.events("inspector-died")
        assert not gateway.events("child-failed"), gateway.log()
        for role in ROLES:
            assert gateway.pids(role) == []


@pytest.mark.parametrize("role", ROLES)
def test_killed_role_is_back(tmp_path, role):
    with Gateway(tmp_path) as gateway:
        gateway.wait("started")
        # The loaders' children are killed with them, and made anew.
        before = gateway.pids(role)
        began = time.monotonic()
        os.kill(before[0], signal.SIGKILL)
        gateway.wait("role-died", what=role, signal=9)
        assert gateway.greeting().startswith("220 ")
        deadline = began + 30
        while len(gateway.pids(role)) < len(before) or before[0] in gateway.pids(role):
            assert time.monotonic() < deadline, gateway.log()
        assert gateway.stop() == 0


def test_killed_inspector_is_replaced(tmp_path):
    with Gateway(tmp_path) as gateway:
        gateway.wait("started")
        while len(gateway.pids("inspector")) < 3:
            assert gateway.process.poll() is None
        victim = gateway.pids("inspector")[-1]
        os.kill(victim, signal.SIGKILL)
        line = gateway.wait("inspector-died", what="inspector", signal=9)
        assert line["generation"] == 1
        assert not gateway.events("role-died")


def test_kill_storm(tmp_path):
    """Each role in turn, several times over, without pause: the gateway comes back."""
    with Gateway(tmp_path) as gateway:
        gateway.wait("started")
        for _ in range(3):
            for role in ROLES:
                for pid in gateway.pids(role):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass  # died with its loader
        assert gateway.greeting().startswith("220 ")
        assert gateway.stop() == 0


def test_reload(tmp_path):
    with Gateway(tmp_path) as gateway:
        gateway.wait("started")
        old = gateway.pids("front")
        gateway.configure(BASIC + '\nlimits { message_size = 10MB }\n')
        gateway.signal(signal.SIGHUP)
        gateway.wait("reloaded", generation=2)
        assert gateway.greeting().startswith("220 ")
        gateway.wait("ended", what="front", generation=1, status=0)
        gateway.wait("ended", what="inspector", generation=1, status=0)
        assert not set(old) & set(gateway.pids("front"))
        # The text is another: what is there once has read it too.
        for role in ("resolver", "keeper", "trainer", "web"):
            gateway.wait("replaced", what=role, status=0)
        assert not gateway.events("role-died")
        assert gateway.stop() == 0


def test_reload_without_change_keeps_the_others(tmp_path):
    with Gateway(tmp_path) as gateway:
        gateway.wait("started")
        keeper = gateway.pids("keeper")
        gateway.signal(signal.SIGHUP)
        gateway.wait("reloaded", generation=2)
        gateway.wait("ended", what="front", generation=1, status=0)
        assert gateway.pids("keeper") == keeper


@pytest.mark.parametrize("broken, place, words", [
    ("\nlimits { message_siz = 1 }\n", "gatepost.conf:9:", "message_size"),
    ('\nfilter "spf" { tiemout = 3s }\n', "gatepost.conf:9:", "timeout"),
    ('\nlisten "127.0.0.1:nonsense" {}\n', "gatepost.conf:9:", "listen section"),
])
def test_broken_file_is_refused(tmp_path, broken, place, words):
    with Gateway(tmp_path) as gateway:
        gateway.wait("started")
        front = gateway.pids("front")
        gateway.configure(BASIC + broken)
        gateway.signal(signal.SIGHUP)
        line = gateway.wait("reload-refused")
        assert place in line["text"]
        assert words in line["text"] or any(words in e["text"] for e in gateway.events("config-error"))
        assert set(front) <= set(gateway.pids("front"))
        assert gateway.greeting().startswith("220 ")
        # Mended, it is taken.
        gateway.configure(BASIC)
        gateway.signal(signal.SIGHUP)
        gateway.wait("reloaded")


def test_listeners_come_and_go(tmp_path):
    second = 'listen "127.0.0.2:0" { tls = off }\n'
    with Gateway(tmp_path) as gateway:
        gateway.wait("started")
        gateway.configure(BASIC + second)
        gateway.signal(signal.SIGHUP)
        gateway.wait("reloaded", generation=2)
        port = gateway.port("127.0.0.2:0")
        with socket.create_connection(("127.0.0.2", port), 30) as s:
            assert s.makefile("rb").readline().startswith(b"220 ")
        gateway.configure(BASIC)
        gateway.signal(signal.SIGHUP)
        gateway.wait("reloaded", generation=3)
        gateway.wait("ended", what="front", generation=2, status=0)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), 30)
        assert gateway.greeting().startswith("220 ")


def test_port_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        conf = BASIC.replace("127.0.0.1:0", f"127.0.0.1:{port}")
        gateway = Gateway(tmp_path, conf)
        gateway.start()
        assert gateway.process.wait(30) == 1
        gateway.process.stdout.close()
        text = "\n".join(gateway.plain)
        assert f"gatepost.conf:4:" in text and f"127.0.0.1:{port}" in text, text
        assert "another program listens there" in text


def test_port_in_use_at_reload(tmp_path):
    with Gateway(tmp_path) as gateway, socket.create_server(("127.0.0.1", 0)) as taken:
        gateway.wait("started")
        port = taken.getsockname()[1]
        gateway.configure(BASIC + f'listen "127.0.0.1:{port}" {{ tls = off }}\n')
        gateway.signal(signal.SIGHUP)
        assert "another program listens there" in gateway.wait("reload-refused")["text"]
        assert gateway.greeting().startswith("220 ")


def test_second_gateway_is_refused(tmp_path):
    with Gateway(tmp_path) as gateway:
        gateway.wait("started")
        other = subprocess.run([os.path.join(LIBEXEC, "supervisor"), "-c", gateway.file],
                               env=gateway.environment, capture_output=True, text=True, timeout=60,
                               check=False, **unprivileged())
        assert other.returncode == 1
        assert "another gateway runs" in other.stderr
        assert gateway.greeting().startswith("220 ")


def test_dead_supervisor_takes_all_along(tmp_path):
    with Gateway(tmp_path) as gateway:
        gateway.wait("started")
        gateway.process.kill()
        gateway.process.wait()
        deadline = time.monotonic() + 30
        while any(gateway.pids(role) for role in ROLES):
            assert time.monotonic() < deadline
    with Gateway(tmp_path) as gateway:
        gateway.wait("started")
        assert gateway.greeting().startswith("220 ")


# What each role may not do, proved in the role itself once it has confined itself. As nobody
# here, so that it is the sandbox that refuses, not a missing file.
REFUSED = {
    "front": ["open", "exec", "fork"],
    "resolver": ["open", "exec", "fork"],
    "keeper": ["open", "socket", "connect", "exec", "fork"],
    "trainer": ["open", "socket", "connect", "exec", "fork"],
    "web": ["open", "socket", "connect", "exec", "fork"],
    "inspector": ["open", "socket", "connect", "exec", "fork", "charsets"],
    "scanner": ["open", "socket", "connect", "exec", "fork"],
}


@pytest.mark.parametrize("folder", [LIBEXEC, RELEASE], ids=["tested", "release"])
@pytest.mark.parametrize("role, deed", [(r, d) for r, deeds in REFUSED.items() for d in deeds])
def test_sandbox(tmp_path, role, deed, folder):
    if not os.access(os.path.join(folder, role), os.X_OK):
        pytest.skip("there is no release build")
    gateway = Gateway(tmp_path)
    done = subprocess.run([os.path.join(folder, role), "--sandbox-probe", deed, "-c", gateway.file],
                          env=gateway.environment, capture_output=True, text=True, timeout=60,
                          check=False, **unprivileged())
    # Refused with an error, or ended by the kernel.
    assert done.returncode in (0, -signal.SIGSYS), done.stdout + done.stderr
    if deed in ("exec", "fork", "socket", "connect"):
        assert done.returncode == -signal.SIGSYS
