"""Mail to the addresses that learn: who may teach, what is learned, and 250 only once it is."""

import os
import signal
import time

import pytest

from tests.fakes.gateway import TIMEOUT
from tests.fakes.smtp import Smtp

PROXY = {"127.0.0.1:0": 'proxy_protocol_from = { "127.0.0.1" }'}
OURS, FOREIGN, RELAY = "192.0.2.1", "198.51.100.1", "203.0.113.7"
LEARN = ('learn { spam_address = "spam@example.net" ham_address = "ham@example.net" '
         f'from = "{RELAY}" }}')


def spam(number):
    return (f"From: Shop <shop@example.com>\r\nTo: bob@example.net\r\nSubject: Offer {number}\r\n"
            f"Message-ID: <{number}@example.com>\r\nDate: Fri, 20 Nov 2026 11:00:00 +0000\r\n\r\n"
            f"Offer number {number}, cheaper than all others.\r\n").encode()


def forward(*attached, author="bob@example.net", subtype="mixed", report=b""):
    parts = [b"Content-Type: text/plain\r\n\r\nPlease look at this.\r\n", *([report] if report else []),
             *(b"Content-Type: message/rfc822\r\n\r\n" + octets for octets in attached)]
    head = (f"From: Bob <{author}>\r\nTo: spam@example.net\r\nSubject: Fwd\r\nMessage-ID: <f@example.net>\r\n"
            f"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: multipart/{subtype}; boundary=xyz\r\n\r\n").encode()
    return head + b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts) + b"--xyz--\r\n"


def feedback(kind):
    return (b"Content-Type: message/feedback-report\r\n\r\n"
            b"Feedback-Type: " + kind + b"\r\nUser-Agent: Test/1\r\nVersion: 1\r\n")


@pytest.fixture
def make_teach(make_gateway, sink, dns):
    dns.zone["example.net"] = {"TXT": [f"v=spf1 ip4:{OURS} -all"], "MX": [[10, "mx.example.net"]]}
    dns.zone["_dmarc.example.net"] = {"TXT": ["v=DMARC1; p=reject"]}
    dns.zone["example.org"] = {"TXT": ["v=spf1 +all"]}

    def make(**keywords):
        return teacher(make_gateway(**{"backend": sink.url, "extra": LEARN, "listeners": PROXY, **keywords}))
    return make


@pytest.fixture
def teach(make_teach):
    return make_teach()


def teacher(gateway):
    """Sends mail to an address that learns, as the client and sender that are said."""
    def run(octets, to="spam@example.net", client=OURS, sender="bob@example.net"):
        with Smtp(gateway.port, proxy=f"PROXY TCP4 {client} 127.0.0.1 9999 25\r\n".encode()) as smtp:
            smtp.ehlo()
            return smtp.message(octets, sender=sender, recipients=[to])

    def learned():
        labels = {line["symbol"]: line["revision"] for line in gateway.api("/stat")["statfiles"]}
        return labels["BAYES_SPAM"], labels["BAYES_HAM"]
    run.gateway, run.learned = gateway, learned
    return run


def test_attached_messages_are_learned(teach, sink):
    reply = teach(forward(spam(1), spam(2)))
    assert reply.code == 250, reply
    assert teach.learned() == (2, 0)
    assert teach(forward(spam(3)), to="Ham@EXAMPLE.net").code == 250
    assert teach.learned() == (2, 1)
    assert teach(forward(spam(1), spam(4))).code == 250, "what comes again counts once"
    assert teach.learned() == (3, 1)
    assert sink.messages() == [], "nobody gets it"
    lines = [teach.gateway.wait_event("message", count) for count in (1, 2, 3)]
    assert [line["lesson"] for line in lines] == ["spam", "ham", "spam"]


def test_feedback_reports(teach):
    assert teach(forward(spam(1), subtype="report", report=feedback(b"abuse"))).code == 250
    assert teach(forward(spam(2), subtype="report", report=feedback(b"not-spam")), to="ham@example.net").code == 250
    assert teach.learned() == (1, 1)
    for kind, to in ((b"not-spam", "spam@example.net"), (b"abuse", "ham@example.net")):
        reply = teach(forward(spam(3), subtype="report", report=feedback(kind)), to=to)
        assert reply.code == 554 and "opposite" in reply.text, reply
    assert teach.learned() == (1, 1)


def test_who_may_teach(teach):
    reply = teach(forward(spam(1)), client=FOREIGN)
    assert reply.code == 550 and reply.text.startswith("5.7.1"), f"SPF fails: {reply}"
    reply = teach(forward(spam(1), author="eve@example.org"), client=FOREIGN, sender="eve@example.org")
    assert reply.code == 550, f"another domain's user: {reply}"
    reply = teach(forward(spam(1)), client=FOREIGN, sender="eve@example.org")
    assert reply.code == 550, f"our domain in From alone: {reply}"
    assert teach.learned() == (0, 0)
    assert teach(forward(spam(1), author="bob@example.org"), client=RELAY, sender="bob@example.org").code == 250
    assert teach.learned() == (1, 0)


def test_what_is_no_lesson(teach):
    reply = teach(spam(1).replace(b"shop@example.com", b"bob@example.net"))
    assert reply.code == 554 and "attach" in reply.text, reply
    reply = teach(forward(*[spam(n) for n in range(51)]))
    assert reply.code == 554 and "Too many" in reply.text, reply
    assert teach.learned() == (0, 0)


def test_a_giver_has_a_quota(teach):
    teach.gateway.expect("lesson-refused")
    assert teach(forward(*[spam(n) for n in range(50)])).code == 250
    assert teach(forward(*[spam(n) for n in range(50, 100)])).code == 250
    reply = teach(forward(spam(100)))
    assert reply.code == 554 and "bob@example.net" in reply.text, reply
    assert teach.learned() == (100, 0)


def test_lessons_and_mailboxes_do_not_mix(teach, sink):
    with Smtp(teach.gateway.port, proxy=f"PROXY TCP4 {OURS} 127.0.0.1 9999 25\r\n".encode()) as smtp:
        smtp.ehlo()
        assert smtp.command("MAIL FROM:<bob@example.net>").code == 250
        assert smtp.command("RCPT TO:<spam@example.net>").code == 250
        assert smtp.command("RCPT TO:<ham@example.net>").code == 452
        assert smtp.command("RCPT TO:<alice@example.net>").code == 452
        assert smtp.command("RCPT TO:<spam@example.net>").code == 250
        assert smtp.data(forward(spam(1))).code == 250
        assert smtp.command("MAIL FROM:<bob@example.net>").code == 250
        assert smtp.command("RCPT TO:<alice@example.net>").code == 250
        assert smtp.command("RCPT TO:<spam@example.net>").code == 452
        assert smtp.data(forward(spam(2))).code == 250
    assert teach.learned() == (1, 0) and len(sink.messages()) == 1


def test_no_backend_is_needed(make_teach, dns):
    del dns.zone["_dmarc.example.net"]
    teach = make_teach(backend="smtp://127.0.0.1:9")
    teach.gateway.expect("backend-down")
    reply = teach(forward(spam(1)))
    assert reply.code == 250, f"without a DMARC record, by the same name: {reply}"
    assert teach.learned() == (1, 0)


def until_taken(send):
    """The codes of a sender who tries again, until one is 250."""
    codes, end = [], time.monotonic() + TIMEOUT
    while 250 not in codes and time.monotonic() < end:
        try:
            codes.append(send())
        except (OSError, EOFError):
            codes.append(None)
    return codes


@pytest.mark.parametrize("point", ["front.before-lesson", "front.after-lesson"])
@pytest.mark.parametrize("deed", ["eio", "kill"])
def test_fault(make_teach, point, deed):
    """No 250 without a lesson in the log; the retry teaches it, once."""
    teach = make_teach(environment={"GATEPOST_FAULT": f"{point}={deed}:1"})
    teach.gateway.expect("role-died", "inspector-died")
    codes = until_taken(lambda: teach(forward(spam(1))).code)
    assert codes[0] == (451 if deed == "eio" else None) and codes[-1] == 250, codes
    assert teach.learned() == (1, 0)


def test_a_trainer_that_dies(teach):
    teach.gateway.expect("role-died", "inspector-died")
    os.kill(teach.gateway.pids("trainer")[0], signal.SIGKILL)
    teach.gateway.wait_event("role-died")
    codes = until_taken(lambda: teach(forward(spam(1))).code)
    assert set(codes) <= {250, 451} and codes[-1] == 250, codes
    assert teach.learned() == (1, 0)
