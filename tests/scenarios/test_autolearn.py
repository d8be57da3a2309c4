"""learn { auto }: what is known of a message without reading it teaches; its content never does."""

import base64
import json
import sqlite3
import struct
import time

import pytest

from tests.fakes.backend import Backend
from tests.fakes.gateway import TIMEOUT
from tests.fakes.smtp import Smtp

MX, AUTH = "127.0.0.1:0", "127.0.0.3:0"
LISTED, LISTED_ONCE, FRIEND, STRANGER = "192.0.2.66", "192.0.2.67", "192.0.2.1", "198.51.100.1"
AUTO = "learn { auto = true auto_domains = { \"Friend.Example\" } }"
LISTS = ('filter "dnsbl" { defaults = false zone "one.example" { score = 9 } zone "two.example" { score = 8 } '
         'zone "wide.example" { score = 8 kind = domain } }')
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"


def message(author="eve@spam.example", number=1, body=b"Cheap watches for you.\r\n"):
    return (f"From: <{author}>\r\nTo: alice@example.net\r\nSubject: Number {number}\r\nMessage-ID: <{number}@spam.example>\r\n"
            f"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n\r\n").encode() + body


@pytest.fixture
def make_learner(make_gateway, sink, dns):
    """The gateway, with ways to send to it, and to look at its training log."""
    for client, zones in ((LISTED, ("one", "two")), (LISTED_ONCE, ("one",))):
        for zone in zones:
            dns.zone[".".join(reversed(client.split("."))) + f".{zone}.example"] = {"A": ["127.0.0.2"]}
    dns.zone["spam.example.wide.example"] = {"A": ["127.0.0.2"]}
    dns.zone["friend.example"] = {"TXT": [f"v=spf1 ip4:{FRIEND} -all"]}
    dns.zone["_dmarc.friend.example"] = {"TXT": ["v=DMARC1; p=reject"]}

    def make(extra=AUTO, start=True, lists=LISTS, **keywords):
        return Learner(make_gateway(start=start, **{"backend": sink.url, "listeners": {
            MX: 'proxy_protocol_from = { "127.0.0.1" }'}, "extra": extra + lists, **keywords}))
    return make


class Learner:
    def __init__(self, gateway):
        self.gateway, self.count = gateway, 0

    def send(self, client, octets, sender="eve@spam.example"):
        """The message's line of the log."""
        with Smtp(self.gateway.port, proxy=f"PROXY TCP4 {client} 127.0.0.1 9999 25\r\n".encode()) as smtp:
            smtp.ehlo()
            smtp.message(octets, sender=sender, recipients=["alice@example.net"])
        self.count += 1
        return self.gateway.wait_event("message", self.count)

    def teach(self, client, octets):
        """Sends it until it is a lesson: what comes while the trainer still has another one is none."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            line = self.send(client, octets)
            if "lesson" in line:
                return line
        raise AssertionError(f"no lesson: {line}")

    def lessons(self):
        """(spam, who, channel) of all that hold."""
        with sqlite3.connect(self.gateway.state / "bayes/log.db") as log:
            return log.execute("SELECT spam, who, channel FROM lesson WHERE NOT undone ORDER BY id").fetchall()

    def wait_lessons(self, count):
        end = time.monotonic() + TIMEOUT
        while len(self.lessons()) < count and time.monotonic() < end:
            self.gateway.api("/stat")
        return self.lessons()


def test_off_by_default(make_learner):
    learner = make_learner("learn { auto_domains = \"friend.example\" }")
    assert learner.send(LISTED, message())["action"] == "reject"
    line = learner.send(FRIEND, message("bob@friend.example"), "bob@friend.example")
    assert line["action"] == "forward" and "lesson" not in line
    assert "lesson" not in learner.gateway.events("message")[0]
    learner.gateway.stop()
    assert learner.lessons() == []


def test_listed_clients_are_spam(make_learner):
    learner = make_learner()
    line = learner.send(LISTED, message())
    assert (line["action"], line["code"], line["lesson"], line["lesson_by"]) == ("reject", 550, "spam", "auto:dnsbl")
    assert learner.wait_lessons(1) == [(1, "auto:dnsbl", "auto")]
    status = json.loads(learner.gateway.run("bayes", "status", "--json").stdout)
    assert (status["spam"], status["ham"], status["logged"]) == (1, 0, 1)


def test_content_alone_teaches_nothing(make_learner):
    learner = make_learner(AUTO + 'filter "bayes" { min_learned = 12 } '
                           "scores { BAYES_999 = 20 BAYES_99 = 20 BAYES_95 = 20 BAYES_80 = 20 BAYES_60 = 20 }")
    for body in (GTUBE, b"See https://www.spam.example/\r\n"):
        line = learner.send(STRANGER, message(number=2, body=body))
        assert line["action"] != "forward" and "lesson" not in line, line
    line = learner.send(LISTED_ONCE, message(number=3, body=GTUBE))
    assert line["action"] == "reject" and "lesson" not in line, "one list, and content"
    for i in range(12):
        learner.gateway.api("/api/v1/learn?label=spam", message("a@x.example", i, b"Cheap watches, number %d\r\n" % i))
        learner.gateway.api("/api/v1/learn?label=ham", message("b@y.example", i, b"Minutes of meeting %d\r\n" % i))
    line = learner.send(STRANGER, message("a@x.example", 20), "a@x.example")
    assert line["action"] == "reject" and any(name.startswith("BAYES_") for name in line["findings"]), line
    assert "lesson" not in line and "DNSBL_WIDE" not in line["findings"]
    learner.gateway.stop()
    assert {channel for _, _, channel in learner.lessons()} == {"api"}


def test_wanted_domains(make_learner, sink):
    learner = make_learner()
    line = learner.send(FRIEND, message("bob@friend.example"), "bob@friend.example")
    assert (line["action"], line["lesson"], line["lesson_by"]) == ("forward", "ham", "auto:dmarc"), line
    assert learner.wait_lessons(1) == [(0, "auto:dmarc", "auto")]
    assert len(sink.messages()) == 1
    line = learner.send(STRANGER, message("bob@friend.example", 2), "bob@friend.example")
    assert "lesson" not in line, "SPF fails"


def test_a_mailbox_server_that_refuses_teaches_nothing_wanted(make_learner, closing):
    backend = Backend()
    closing.add(backend.close)
    backend.script["DATA"] = "550 5.7.1 not here"
    learner = make_learner(backend=backend.url)
    line = learner.send(FRIEND, message("bob@friend.example"), "bob@friend.example")
    assert line["action"] != "forward" and "lesson" not in line, line


def test_mail_of_accounts(make_learner, closing):
    relay = Backend()
    closing.add(relay.close)
    learner = make_learner(AUTO + f'outbound {{ relay = "{relay.url}" }}', start=False,
                           listeners={MX: "", AUTH: 'outbound_from = { "accounts", "127.0.0.0/8" }'})
    gateway = learner.gateway
    gateway.set_up()
    password = json.loads(gateway.run("account", "add", "alice@example.net", "--json").stdout)["password"]
    closing.add(gateway.stop)
    gateway.start()
    for number, login in ((1, None), (2, base64.b64encode(f"\0alice@example.net\0{password}".encode()).decode())):
        with Smtp(gateway.ports[AUTH], host="127.0.0.3") as smtp:
            smtp.ehlo()
            if login:
                smtp.starttls()
                smtp.ehlo()
                assert smtp.command("AUTH PLAIN " + login).code == 235
            assert smtp.message(message("alice@example.net", number), sender="alice@example.net",
                                recipients=["bob@elsewhere.example"]).code == 250
    by_network, by_account = gateway.wait_event("message", 1), gateway.wait_event("message", 2)
    assert "lesson" not in by_network, "a mailbox server's word is not an account's"
    assert (by_account["lesson"], by_account["lesson_by"]) == ("ham", "auto:account")
    assert learner.wait_lessons(1) == [(0, "auto:account", "auto")]


def test_a_users_word_prevails(make_learner):
    learner = make_learner(AUTO + "policy { reject_score = 100 }")
    line = learner.send(LISTED, message())
    assert line["action"] == "quarantine" and line["lesson"] == "spam"
    assert learner.wait_lessons(1) == [(1, "auto:dnsbl", "auto")]
    [entry] = learner.gateway.held()["alice"]
    assert learner.gateway.api(f"/api/v1/quarantine/{entry}/learn?label=ham", b"")["ok"]
    [(spam, who, _)] = learner.lessons()
    assert spam == 0 and who != "auto:dnsbl"
    # It comes again, and says again what nobody believes any more.
    assert learner.teach(LISTED, message())["lesson"] == "spam"
    learner.gateway.api("/api/v1/learn?label=ham", message("a@x.example", 2, b"Another one, behind it.\r\n"))
    learner.gateway.stop()
    assert [spam for spam, _, _ in learner.lessons()] == [0, 0] and learner.lessons()[0] == (0, who, "api")


def test_the_quota(make_learner):
    learner = make_learner("learn { auto = true auto_quota = 1 }")
    assert learner.send(LISTED, message(number=1, body=b"One thing.\r\n"))["lesson"] == "spam"
    assert len(learner.wait_lessons(1)) == 1
    assert learner.teach(LISTED, message(number=2, body=b"Quite another matter.\r\n"))["lesson"] == "spam"
    learner.gateway.api("/api/v1/learn?label=ham", message(number=3, body=b"A third one, behind it.\r\n"))
    learner.gateway.stop()  # which finds no warning: a quota of nobody's lessons is nobody's trouble
    assert [channel for _, _, channel in learner.lessons()] == ["auto", "api"]


def test_what_strangers_say_was_found_is_not_believed(make_learner):
    """Header lines that look like ours, in mail that has just come in."""
    learner = make_learner()
    ours = b"Authentication-Results: mx.example.net; none\r\nX-Spam-Status: Yes, score=3 required=5 tests=SPF_PASS=3.0\r\n"
    assert learner.send(LISTED, ours + message())["lesson"] == "spam"
    assert len(learner.wait_lessons(1)) == 1
    learner.gateway.api("/api/v1/learn?label=spam", ours + message(number=2))
    learner.gateway.stop()
    with sqlite3.connect(learner.gateway.state / "bayes/log.db") as log:
        features = log.execute("SELECT features FROM lesson ORDER BY id").fetchall()
    assert [struct.unpack("=I", octets[:4])[0] >> 31 for octets, in features] == [0, 1], "findings, in lessons that have any"


def test_a_lesson_by_mail_is_no_other_lesson(make_learner, dns):
    dns.zone["example.net"] = {"TXT": [f"v=spf1 ip4:{FRIEND} -all"]}
    dns.zone["_dmarc.example.net"] = {"TXT": ["v=DMARC1; p=reject"]}
    learner = make_learner('learn { auto = true auto_domains = "example.net" spam_address = "spam@example.net" }')
    head, body = message("bob@example.net", 1, b"").rstrip(), b"--x\r\nContent-Type: message/rfc822\r\n\r\n" + message() + b"\r\n--x--\r\n"
    octets = head + b"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + body
    with Smtp(learner.gateway.port, proxy=f"PROXY TCP4 {FRIEND} 127.0.0.1 9999 25\r\n".encode()) as smtp:
        smtp.ehlo()
        assert smtp.message(octets, sender="bob@example.net", recipients=["spam@example.net"]).code == 250
    line = learner.gateway.wait_event("message")
    assert line["lesson"] == "spam" and "lesson_by" not in line
    learner.gateway.stop()
    assert learner.lessons() == [(1, "bob@example.net", "mail")]
