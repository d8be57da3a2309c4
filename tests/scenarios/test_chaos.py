"""kill -9 of any role at random, under load: nothing that was answered 250 is missing, nothing comes twice
without need, and mail flows again after each kill.

GATEPOST_KILLS is how many (200 by hand), GATEPOST_SEED which ones.
"""

import collections
import os
import random
import signal
import time

from tests.fakes import corpora
from tests.fakes.sender import Sender
from tests.fakes.smtp import Smtp, proxy_v1

KILLS = int(os.environ.get("GATEPOST_KILLS", "40"))
SEED = int(os.environ.get("GATEPOST_SEED", "1"))
ROLES = ["front", "inspector", "scanner", "resolver", "keeper", "trainer", "web"]
SESSIONS = 6
PROXY = {"127.0.0.1:0": 'proxy_protocol_from = { "127.0.0.1" }'}
LIMITS = "connection_rate = 0 message_rate = 0 recipient_rate = 0 connections_per_client = 1000"
PROBE_WAIT = 60
# What a gateway says whose processes are killed. Anything else is a failure.
EXPECTED = ("role-died", "inspector-died", "evaluation-failed", "delivery-uncertain", "delivery-repeated",
            "quarantine-recovered", "filter-failed", "backend-down", "release-failed", "model-unclean",
            "child-failed", "wiring-failed")
OWN = [b"From: Bob <bob@sender.example>\r\nTo: alice@example.net\r\nSubject: number %d\r\n"
       b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%d@sender.example>\r\n\r\n%s\r\n"
       % (i, i, b"words and more words\r\n" * (1 + i * 37 % 400)) for i in range(200)]


def mail():
    """Real messages where there are any, and else our own; for ever."""
    real = corpora.messages(400, seed=5) if (corpora.CORPORA / "unpack").exists() else OWN
    number = 0
    while True:
        yield f"load{number}", real[number % len(real)]
        number += 1


class Load:
    """The sender of the fakes, with work that does not end before it is told to."""

    def __init__(self, port):
        self.sender = Sender(sessions=SESSIONS, tries=5, each_session=10)
        self.sender.start(port, mail())

    def stop(self):
        self.sender.stop.set()
        self.sender.join()
        return self.sender.taken()


def probe(port, local):
    """Until a message has been taken; how long that took."""
    began = time.monotonic()
    while True:
        try:
            with Smtp(port, proxy=proxy_v1("203.0.113.9"), timeout=PROBE_WAIT) as smtp:
                smtp.ehlo()
                reply = smtp.message(OWN[0], recipients=[f"{local}@example.net"])
                if reply.code == 250:
                    return time.monotonic() - began
                assert reply.code // 100 == 4, reply
        except (OSError, EOFError):
            reply = None
        assert time.monotonic() - began < PROBE_WAIT, f"nothing is taken any more: {reply}"


def kill_one(gateway, choose):
    """A process of a role by chance: a loader as well as a child of its."""
    while True:
        role = choose.choice(ROLES)
        pids = gateway.pids(role)
        if not pids:
            continue
        try:
            os.kill(choose.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            continue  # it has gone with its loader
        return role


def test_nothing_is_lost_when_processes_are_killed(make_gateway, sink):
    gateway = make_gateway(backend=sink.url, listeners=PROXY, limits=LIMITS, globals_extra="",
                           extra="policy { quarantine_score = 2 }")
    gateway.expect(*EXPECTED)
    choose, longest, probes = random.Random(SEED), {}, []
    load = Load(gateway.port)
    for i in range(KILLS):
        load.sender.wait_answers(len(load.sender.answers) + choose.randrange(12))
        role = kill_one(gateway, choose)
        took = probe(gateway.port, f"probe{i}")
        probes.append(f"probe{i}")
        longest[role] = max(longest.get(role, 0), took)
    taken = load.stop() + probes
    gateway.stop()
    held, downstream = gateway.held(), collections.Counter()
    for own, _ in sink.stored():
        downstream.update(address.split("@")[0] for address in own["X-Original-To"])
    twice = [local for local, times in downstream.items() if times + len(held.get(local, [])) > 1]
    missing = [local for local in taken if local not in downstream and local not in held]
    print(f"\n{KILLS} kills, {len(taken)} messages answered 250: {len(downstream)} downstream, {len(held)} held; "
          f"longest until mail was taken again, by role: "
          + ", ".join(f"{role} {seconds:.2f} s" for role, seconds in sorted(longest.items())))
    assert not missing, f"{len(missing)} were answered 250 and are nowhere: {missing[:10]}\n" + gateway.tail()
    assert len(taken) > KILLS, "there was no load"
    # Between the mailbox server's 250 and ours a death makes the sender try again: it has heard nothing else.
    deaths = len(gateway.events("role-died")) + len(gateway.events("delivery-uncertain"))
    assert len(twice) <= SESSIONS * deaths, f"twice without need: {twice}"


def test_nothing_is_lost_when_all_die_at_once(make_gateway, sink):
    """As at a power cut, several times: what was answered 250 is there, and the next start takes mail."""
    gateway = make_gateway(backend=sink.url, listeners=PROXY, limits=LIMITS, extra="policy { quarantine_score = 1 }")
    gateway.expect(*EXPECTED)
    taken = []
    for cut in range(3):
        load = Sender(sessions=SESSIONS, each_session=10)
        load.start(gateway.port, ((f"cut{cut}-{local}", octets) for local, octets in mail()))
        load.wait_answers(30)
        gateway.kill()
        load.stop.set()
        load.join()
        taken += load.taken()
        gateway.log.clear()
        gateway.start()
        probe(gateway.port, f"probe{cut}")
        taken.append(f"probe{cut}")
    gateway.stop()
    held = gateway.held()
    downstream = {address.split("@")[0] for own, _ in sink.stored() for address in own["X-Original-To"]}
    missing = [local for local in taken if local not in downstream and local not in held]
    assert not missing, f"{len(missing)} of {len(taken)} were answered 250 and are nowhere: {missing[:10]}"
