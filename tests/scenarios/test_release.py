"""Messages released from quarantine: each recipient gets his once, whatever the mailbox server
says meanwhile and whichever process dies."""

import os
import signal
import time

import pytest

from tests.fakes.backend import TAKE_AND_DROP, Backend

HOLD = "policy { tag_score = -900 quarantine_score = -900 reject_score = 900 }\n" + "\n".join(
    f'filter "{name}" {{ enabled = false }}' for name in ("clamav", "rules", "bayes", "geo"))
MESSAGE = (b"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: released\r\n"
           b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nDear Alice\r\n.\r\n")
A, B = "a@example.net", "b@example.net"
LATER, NO = "450 4.2.0 Later", "550 5.1.1 No such mailbox"
ONCE = {A: 1, B: 1}
RELEASED = {A: "released", B: "released"}


@pytest.fixture
def held(make_gateway, closing):
    """held(lmtp=False) → gateway, backend, the id of a message that is held for both."""
    def make(lmtp=False, retry="1s", **keywords):
        backend = Backend(lmtp)
        closing.add(backend.close)
        gateway = make_gateway(backend=backend.url, extra=HOLD, limits=f"release_retry = {retry}",
                               domain_extra="verify_recipients = false", **keywords)
        gateway.expect("release-failed", "backend-down", "role-died")
        with gateway.smtp() as smtp:
            smtp.ehlo()
            assert smtp.message(MESSAGE, recipients=[A, B]).code == 250
        return gateway, backend, gateway.held()["a"][0]
    return make


def release(gateway, name, *options):
    done = gateway.run("quarantine", "release", *options, name)
    assert done.returncode == 0, done.stderr


def becomes(gateway, name, wanted):
    """Is this {recipient: state}, once the keeper has flushed what it logged?"""
    deadline = time.monotonic() + 10
    while True:
        shown = gateway.api(f"/api/v1/quarantine/{name}")
        found = {row["address"]: row["state"] for row in shown["recipients"]}
        if found == wanted or time.monotonic() > deadline:
            assert found == wanted, gateway.tail()
            return True


def test_a_message_is_delivered_as_it_came(held):
    gateway, backend, name = held()
    release(gateway, name)
    gateway.wait_event("released")
    assert backend.owners() == ONCE
    assert backend.messages[0][1].endswith(MESSAGE), "its octets, below our own lines"
    assert gateway.run("quarantine", "release", name).returncode == 1, "what was released is not held"
    gateway.stop()
    assert backend.owners() == ONCE


@pytest.mark.parametrize("lmtp, script", [
    (False, {"MAIL": LATER}),
    (False, {"RCPT": LATER}),
    (False, {"RCPT": {B: LATER}}),
    (False, {"DATA": LATER}),
    (False, {"DOT": LATER}),
    (True, {"DOT": LATER}),
    (True, {"DOT": {B: LATER}}),
], ids=["mail", "rcpt", "rcpt-of-one", "data", "dot", "lmtp-dot", "lmtp-dot-of-one"])
def test_who_must_wait_is_tried_again(held, lmtp, script):
    gateway, backend, name = held(lmtp)
    backend.script = script
    release(gateway, name)
    gateway.wait_event("release-failed", 2)  # the second try of those who are left
    backend.script = {}
    gateway.wait_event("released")
    assert backend.owners() == ONCE and becomes(gateway, name, RELEASED)


@pytest.mark.parametrize("lmtp, script", [(False, {"RCPT": {B: NO}}), (True, {"DOT": {B: NO}})],
                         ids=["rcpt", "lmtp-dot"])
def test_who_is_refused_is_held_as_before(held, lmtp, script):
    gateway, backend, name = held(lmtp)
    backend.script = script
    release(gateway, name)
    gateway.wait_event("release-failed")
    assert becomes(gateway, name, {A: "released", B: "held"}) and backend.owners() == {A: 1}
    backend.script = {}
    release(gateway, name)
    gateway.wait_event("released")
    assert backend.owners() == ONCE


def test_a_server_that_does_not_answer_is_left_to_a_person(held):
    gateway, backend, name = held()
    backend.script = {"DOT": TAKE_AND_DROP}
    release(gateway, name)
    assert "delivery-uncertain" in gateway.wait_event("release-failed")["text"]
    assert becomes(gateway, name, {A: "held", B: "held"}) and backend.owners() == ONCE


def test_a_server_that_is_down_gets_it_when_it_is_back(held, closing):
    gateway, backend, name = held()
    address = backend.server.server_address
    backend.close()
    release(gateway, name)
    gateway.wait_event("backend-down")
    back = Backend(address=address)
    closing.add(back.close)
    gateway.wait_event("released")
    assert back.owners() == ONCE
    gateway.stop()
    assert back.owners() == ONCE


@pytest.mark.parametrize("role", ["keeper", "front"])
def test_a_job_outlives_its_processes(held, role):
    gateway, backend, name = held()
    backend.script = {"RCPT": LATER}
    release(gateway, name)
    gateway.wait_event("release-failed")
    os.kill(gateway.pids(role)[0], signal.SIGKILL)
    gateway.wait_event("role-died")
    backend.script = {}
    gateway.wait_event("released")
    assert backend.owners() == ONCE and becomes(gateway, name, RELEASED)


def test_a_delivery_outlives_the_keeper(held):
    """Another one must not have it delivered again, and learns of its end."""
    gateway, backend, name = held(retry="1min")
    backend.gate.clear()
    release(gateway, name)
    deadline = time.monotonic() + 30
    while not backend.messages:
        assert time.monotonic() < deadline, gateway.tail()
    os.kill(gateway.pids("keeper")[0], signal.SIGKILL)
    gateway.wait_event("role-died")
    done = gateway.run("quarantine", "release", name)
    while done.returncode != 1 or "before" not in done.stderr:  # until the new one serves
        assert time.monotonic() < deadline, done
        done = gateway.run("quarantine", "release", name)
    backend.gate.set()
    gateway.wait_event("released")
    assert becomes(gateway, name, RELEASED)
    gateway.stop()
    assert backend.owners() == ONCE


def test_a_job_outlives_a_reload_and_a_stop(held):
    gateway, backend, name = held()
    backend.script = {"RCPT": LATER}
    release(gateway, name)
    gateway.wait_event("release-failed")
    gateway.reload()
    gateway.wait_event("release-failed", 2)
    gateway.stop()
    assert not backend.owners()
    backend.script = {}
    gateway.start()
    gateway.wait_event("released")
    assert backend.owners() == ONCE
