"""A message that kills whoever takes it apart: it alone is held, and those that are being judged beside it go
on as if nothing had been. At the earlier stages the filter that dies is left out."""

import json
import threading

import pytest

from tests.fakes.smtp import Smtp, proxy_v1

MESSAGE = (b"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: %s\r\n"
           b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n%s\r\nDear Alice\r\n")
LISTENERS = {"127.0.0.1:0": 'proxy_protocol_from = { "127.0.0.1" }'}
CLIENT, DEADLY = "192.0.2.7", "192.0.2.66"
INNOCENTS = 4
PARKED = "parked.example"
FAULT = 'filter "fault" { enabled = true }'


def send(gateway, local, headers=b"", sender="bob@example.org", client=CLIENT):
    with Smtp(gateway.port, proxy=proxy_v1(client)) as smtp:
        smtp.ehlo()
        return smtp.message(MESSAGE % (local.encode(), headers), sender=sender,
                            recipients=[f"{local}@example.net"])


class Innocents:
    """Messages whose evaluation waits for a DNS answer until land() lets it come."""

    def __init__(self, gateway, dns):
        self.gateway, self.dns, self.replies = gateway, dns, {}
        dns.zone[PARKED] = {"TXT": ["v=spf1 ip4:192.0.2.7 -all"]}
        dns.hold(PARKED)
        self.threads = [threading.Thread(target=self._send, args=(f"innocent{i}",)) for i in range(INNOCENTS)]
        for thread in self.threads:
            thread.start()
        dns.wait_asked(PARKED, "TXT")

    def _send(self, local):
        self.replies[local] = send(self.gateway, local, sender=f"bob@{PARKED}")

    def land(self):
        self.dns.release(PARKED)
        for thread in self.threads:
            thread.join()
        return self.replies


def recipients(sink):
    return sorted(address.split("@")[0] for own, _ in sink.stored() for address in own["X-Original-To"])


@pytest.fixture
def fault_gateway(make_gateway, sink):
    gateway = make_gateway(backend=sink.url, listeners=LISTENERS, extra=FAULT, limits="inspector_timeout = 3s")
    gateway.expect("inspector-died")
    return gateway


def test_guilty_message_is_held_alone(fault_gateway, sink, dns):
    gateway = fault_gateway
    innocents = Innocents(gateway, dns)
    guilty = send(gateway, "guilty", b"X-Die: now\r\n")
    assert guilty.code == 250, guilty
    deaths = len(gateway.events("inspector-died"))
    again = send(gateway, "guilty", b"X-Die: now\r\n")
    assert again.code == 250, again
    assert len(gateway.events("inspector-died")) == deaths, "its hash is remembered: nobody dies of it again"
    replies = innocents.land()
    assert all(reply.code == 250 for reply in replies.values()), replies
    assert recipients(sink) == sorted(replies), "only the innocent ones are delivered"
    held = gateway.held()
    assert list(held) == ["guilty"] and len(held["guilty"]) == 2, held
    shown = json.loads(gateway.run("quarantine", "show", "--json", held["guilty"][0]).stdout)
    assert "unscannable" in shown["entry"]["reason"], shown
    raw = gateway.run("quarantine", "show", "--message", held["guilty"][0], text=False).stdout
    assert raw == MESSAGE % (b"guilty", b"X-Die: now\r\n"), "what is held is what came"


def test_message_that_never_ends_is_killed(fault_gateway, sink, dns):
    gateway = fault_gateway
    innocents = Innocents(gateway, dns)
    done = {}
    guilty = threading.Thread(target=lambda: done.update(reply=send(gateway, "guilty", b"X-Die: never\r\n")))
    guilty.start()
    gateway.wait_event("inspector-died")
    replies = innocents.land()
    guilty.join()
    assert done["reply"].code == 250, done
    assert all(reply.code == 250 for reply in replies.values()), replies
    assert recipients(sink) == sorted(replies)
    assert list(gateway.held()) == ["guilty"]


@pytest.mark.parametrize("stage, deed", [
    ("connect", {"client": DEADLY}),
    ("mail", {"sender": "die-mail@example.org"}),
    ("rcpt", {"local": "die-rcpt"}),
])
def test_deadly_envelope(fault_gateway, sink, dns, stage, deed):
    """What kills a filter before there is a message: it goes on without that filter."""
    gateway = fault_gateway
    innocents = Innocents(gateway, dns)
    reply = send(gateway, **{"local": stage, **deed})
    assert reply.code == 250, reply
    replies = innocents.land()
    assert all(reply.code == 250 for reply in replies.values()), replies
    assert recipients(sink) == sorted([*replies, deed.get("local", stage)])
    assert not gateway.held()
    died = gateway.wait(lambda line: line["event"] == "inspector-died" and "filter" in line)
    assert died["filter"] == "fault"
    assert send(gateway, "later").code == 250


def test_envelope_that_the_administrator_wants_kept(make_gateway, sink):
    """on_error = tempfail: without an answer of that filter nothing is taken."""
    gateway = make_gateway(backend=sink.url, listeners=LISTENERS,
                           extra='filter "fault" { enabled = true on_error = tempfail }')
    gateway.expect("inspector-died", "filter-failed")
    reply = send(gateway, "x", sender="die-mail@example.org")
    assert reply.code // 100 == 4, reply
    assert not sink.messages() and not gateway.held()
    assert send(gateway, "y").code == 250
