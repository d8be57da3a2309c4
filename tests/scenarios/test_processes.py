"""The life of the processes: start, death, reload, end, and what they may not do."""

import os
import signal
import socket
import subprocess
import time

import pytest

from tests.fakes import gateway as fakes

ROLES = ["front", "resolver", "keeper", "trainer", "web", "inspector", "scanner"]
SECONDS = 60


def serves(gateway):
    with gateway.smtp() as smtp:
        return smtp.banner.code == 220


def wait_line(gateway, event, since=0, **fields):
    return gateway.wait(lambda line: line.get("event") == event and all(
        line.get(key) == value for key, value in fields.items()), since)


def until(gateway, condition):
    """For what only /proc tells."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, gateway.tail()


def loader_and_children(gateway, role, count):
    """Children come after the start; until they are there, killing hits the loader alone."""
    until(gateway, lambda: len(gateway.pids(role)) >= count)
    return gateway.pids(role)


def test_starts_and_stops(gateway):
    assert serves(gateway)
    supervisor = gateway.process.pid
    assert gateway.stop() == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(supervisor, 0)


@pytest.mark.parametrize("role", ROLES)
def test_killed_role_is_back(gateway, role):
    gateway.expect("role-died", "inspector-died", "backend-down", "role-slow")
    before = gateway.pids(role)
    os.kill(before[0], signal.SIGKILL)
    wait_line(gateway, "role-died", what=role, signal=9)
    # A loader takes its children along; they are made anew with it.
    until(gateway, lambda: before[0] not in gateway.pids(role)
          and len(gateway.pids(role)) >= len(before))
    assert serves(gateway)
    assert gateway.stop() == 0


@pytest.mark.parametrize("role, count", [("inspector", 3), ("scanner", 2)])
def test_killed_child_is_replaced(gateway, role, count):
    gateway.expect("inspector-died")
    pids = loader_and_children(gateway, role, count)
    os.kill(pids[-1], signal.SIGKILL)
    wait_line(gateway, "inspector-died", what=role, signal=9)
    until(gateway, lambda: len(gateway.pids(role)) >= len(pids))
    assert pids[0] in gateway.pids(role), "the loader itself lives"
    assert not gateway.events("role-died")


def test_all_killed_over_and_over(gateway):
    gateway.expect("role-died", "inspector-died", "backend-down", "quarantine-recovered",
                   "model-unclean", "child-failed", "respawn-failed")
    for _ in range(3):
        for role in ROLES:
            for pid in gateway.pids(role):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass  # it went with its loader
    assert serves(gateway)
    assert gateway.stop() == 0


def test_reload(gateway):
    old = gateway.pids("front")
    gateway.parts["limits"] = "message_size = 10MB"
    gateway.write()
    assert gateway.reload()["event"] == "reloaded"
    assert serves(gateway)
    for role in ("front", "inspector", "scanner"):
        wait_line(gateway, "ended", what=role, generation=1, status=0)
    assert not set(old) & set(gateway.pids("front"))
    # The text is another: what is there once has read it too.
    for role in ("resolver", "keeper", "trainer", "web"):
        wait_line(gateway, "replaced", what=role, status=0)
    assert not gateway.events("role-died")
    with gateway.smtp() as smtp:
        assert "SIZE 10485760" in smtp.ehlo().lines
    assert gateway.stop() == 0


def test_reload_without_change_keeps_the_others(gateway):
    kept = {role: gateway.pids(role) for role in ("keeper", "resolver", "web", "trainer")}
    assert gateway.reload()["event"] == "reloaded"
    wait_line(gateway, "ended", what="front", generation=1, status=0)
    assert kept == {role: gateway.pids(role) for role in kept}


@pytest.mark.parametrize("broken, words", [
    ("limits { message_siz = 1 }", "message_size"),
    ('filter "spf" { tiemout = 3s }', "timeout"),
    ('listen "127.0.0.1:nonsense" {}', "listen section"),
    ('domain "example.com" {', ""),
])
def test_broken_file_is_refused(gateway, broken, words):
    gateway.expect("reload-refused", "config-error", "start-failed")
    front = gateway.pids("front")
    good = gateway.text()
    gateway.write(good + broken + "\n")
    line = gateway.reload()
    assert line["event"] == "reload-refused"
    place = f"{gateway.conf}:{good.count(chr(10)) + 1}:"
    told = [line["text"]] + [error["text"] for error in gateway.events("config-error")]
    assert any(text.startswith(place) and words in text for text in told), told
    # One of the refused generation may be on its way out.
    assert set(front) <= set(gateway.pids("front"))
    assert serves(gateway)
    gateway.write(good)
    seen = len(gateway.log)
    gateway.reload()
    wait_line(gateway, "reloaded", seen)


def test_listeners_come_and_go(gateway):
    gateway.parts["listeners"]["127.0.0.2:0"] = "tls = off"
    gateway.write()
    gateway.reload()
    port = wait_line(gateway, "listening", listener="127.0.0.2:0")["port"]
    with socket.create_connection(("127.0.0.2", port), SECONDS) as s:
        assert s.makefile("rb").readline().startswith(b"220 ")
    del gateway.parts["listeners"]["127.0.0.2:0"]
    gateway.write()
    seen = len(gateway.log)
    assert gateway.reload()["event"] == "reloaded"
    wait_line(gateway, "ended", seen, what="front", generation=2)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), SECONDS)
    assert serves(gateway)


def test_port_in_use(make_gateway):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        title = f"127.0.0.1:{taken.getsockname()[1]}"
        gateway = make_gateway(start=False, listeners={title: ""})
        done = gateway.run("run")
    assert done.returncode == 1
    line = next(n for n, text in enumerate(gateway.text().split("\n"), 1) if "listen" in text)
    assert f"{gateway.conf}:{line}:" in done.stderr, done.stderr
    assert title in done.stderr and "another program listens there" in done.stderr


def test_port_in_use_at_reload(gateway):
    gateway.expect("reload-refused")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gateway.parts["listeners"][f"127.0.0.1:{taken.getsockname()[1]}"] = ""
        gateway.write()
        assert "another program listens there" in gateway.reload()["text"]
    assert serves(gateway)


def test_second_gateway_is_refused(gateway):
    done = gateway.run("run")
    assert done.returncode == 1
    assert "another gateway runs" in done.stderr
    assert serves(gateway)


def test_dead_supervisor_takes_all_along(gateway):
    gateway.expect("role-died")
    session = gateway.process.pid
    os.kill(session, signal.SIGKILL)
    gateway.process.wait(SECONDS)
    gateway.is_terminated = True

    def is_gone():
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return True
        return False
    until(gateway, is_gone)
    # What it left behind is in nobody's way.
    gateway.ports.clear()
    gateway.log.clear()
    gateway.start()
    assert serves(gateway)


# What each role may not do, proved in the role itself once it has confined itself: refused with an
# error, or ended by the kernel.
REFUSED = {
    "front": ["open", "exec", "fork"],
    "resolver": ["open", "exec", "fork"],
    "keeper": ["open", "socket", "connect", "exec", "fork"],
    "trainer": ["open", "socket", "connect", "exec", "fork"],
    "web": ["open", "socket", "connect", "exec", "fork"],
    "inspector": ["open", "socket", "connect", "exec", "fork", "charsets"],
    "scanner": ["open", "socket", "connect", "exec", "fork"],
}
BUILDS = {"tested": fakes.BUILD, "release": fakes.ROOT / "build-release"}


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("role, deed", [(r, d) for r, deeds in REFUSED.items() for d in deeds])
def test_sandbox(make_gateway, role, deed, build):
    program = BUILDS[build] / "libexec/gatepost" / role
    if not program.exists():
        pytest.skip(f"{program} is not built")
    gateway = make_gateway(start=False)
    identity = fakes.identity()
    gateway.state.mkdir()
    if identity:
        os.chown(gateway.state, fakes.NOBODY, fakes.NOBODY)
    elif os.geteuid() == 0:
        fakes.command("setup", "-c", gateway.conf, check=True)
    done = subprocess.run([program, "--sandbox-probe", deed, "-c", gateway.conf], capture_output=True,
                          text=True, timeout=SECONDS, check=False, env=fakes.environment(), **identity)
    if deed in ("open", "charsets"):
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        assert done.returncode == -signal.SIGSYS, done.stdout + done.stderr
