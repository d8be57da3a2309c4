"""Ten thousand connections open at once: all of them greeted, mail flows beside them, and what each of them
costs. On the release build: AddressSanitizer's memory would say nothing."""

import os
import pathlib
import re
import resource
import selectors
import socket

import pytest

from tests.fakes import gateway as fakes
from tests.fakes.smtp import Smtp

COUNT = int(os.environ.get("GATEPOST_CONNECTIONS", "10000"))
RELEASE = pathlib.Path(os.environ.get("GATEPOST_RELEASE_BUILD", fakes.ROOT / "build-release"))
ROLES = ["supervisor", "front", "inspector", "scanner", "resolver", "keeper", "trainer", "web"]
BATCH = 500  # connections under way at a time
ADDRESSES = 50
MESSAGE = (b"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: one of many\r\n"
           b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nDear Alice\r\n")


@pytest.fixture
def release(monkeypatch):
    if not (RELEASE / "bin/gatepost").exists():
        pytest.skip(f"{RELEASE} is not built")
    monkeypatch.setattr(fakes, "BUILD", RELEASE)
    monkeypatch.setattr(fakes, "GATEPOST", RELEASE / "bin/gatepost")


@pytest.fixture
def descriptors():
    """Enough of them, for us and for what we start."""
    before, wanted = resource.getrlimit(resource.RLIMIT_NOFILE), COUNT + 2000
    hard = max(before[1], wanted)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):
        pytest.skip(f"no more than {before[1]} descriptors may be open here")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[0], hard))


def memory(gateway):
    """Proportional set of all processes, octets; None where only root may read it."""
    if os.geteuid() != 0:
        return None
    total = 0
    for role in ROLES:
        for pid in gateway.pids(role):
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.M).group(1)) << 10
    return total


def open_all(port):
    """COUNT sockets that have been greeted."""
    opened, selector = [], selectors.DefaultSelector()
    for first in range(0, COUNT, BATCH):
        for number in range(first, min(first + BATCH, COUNT)):
            s = socket.socket()
            s.bind((f"127.0.1.{1 + number % ADDRESSES}", 0))
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", port))
            selector.register(s, selectors.EVENT_READ)
            opened.append(s)
        while selector.get_map():
            ready = selector.select(fakes.TIMEOUT)
            assert ready, "some are not greeted"
            for key, _ in ready:
                line = key.fileobj.recv(200)
                assert line.startswith(b"220 "), f"connection {len(opened)}: {line}"
                selector.unregister(key.fileobj)
    selector.close()
    return opened


def is_open(s):
    try:
        return s.recv(1) != b""
    except BlockingIOError:
        return True


def test_ten_thousand_connections(release, descriptors, make_gateway, make_sink):
    sink = make_sink()
    gateway = make_gateway(
        backend=sink.url, globals_extra="",
        limits=f"connections = {COUNT + 100} connections_per_client = {COUNT} connection_rate = 0")
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE).code == 250
    before = memory(gateway)
    opened = open_all(gateway.port)
    after = memory(gateway)
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE).code == 250
    assert all(is_open(s) for s in opened), "nobody is sent away for it"
    gone = gateway.api("/api/v1/status")
    if after is not None:
        print(f"\n{COUNT} connections: {(after - before) / COUNT:.0f} octets of memory for an idle one, all "
              f"roles {after / 1048576:.0f} MiB ({before / 1048576:.0f} without them)")
    assert gone
    for s in opened:
        s.close()
    with Smtp(gateway.port) as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE).code == 250
    assert len(sink.messages()) == 3
