"""Two thousand real messages through the gateway to Debian's Postfix and Dovecot: every 250 is found
downstream or in quarantine, exactly once, with its body byte for byte."""

import base64
import sqlite3
import time

import pytest

from tests.fakes import corpora
from tests.fakes.gateway import TIMEOUT
from tests.fakes.sender import Sender
from tests.fakes.servers import Dovecot, Postfix
from tests.fakes.smtp import Smtp

SERVERS = {"postfix": Postfix, "dovecot": Dovecot}
COUNT = 1000  # a server
PROXY = {"127.0.0.1:0": 'proxy_protocol_from = { "127.0.0.1" }'}
LIMITS = "connection_rate = 0 message_rate = 0 recipient_rate = 0 connections_per_client = 1000"


def body_of(octets):
    return octets.partition(b"\n\n")[2]


def as_maildir(octets):
    return octets.replace(b"\r\n", b"\n")


def quarantined(gateway):
    """{local part: id} of all that is held."""
    found, before = {}, ""
    while True:
        listed = gateway.api(f"/api/v1/quarantine?limit=1000{before}")["entries"]
        for entry in listed:
            for address in entry["rcpt_to"]:
                found.setdefault(address.split("@")[0], []).append(entry["id"])
        if len(listed) < 1000:
            return found
        before = f"&before={listed[-1]['time']}"


@pytest.mark.parametrize("kind", SERVERS)
def test_every_250_is_found_once(kind, make_gateway, closing):
    server = SERVERS[kind]()
    closing.add(server.close)
    mail = [(f"m{i}", octets) for i, octets in
            enumerate(corpora.messages(COUNT, seed=1 + len(kind)))]
    gateway = make_gateway(backend=server.url, listeners=PROXY, limits=LIMITS)
    gateway.expect("backend-down", "filter-failed")
    sender = Sender(sessions=20, tries=5)
    sender.start(gateway.port, mail)
    sender.join()
    server.settle()
    held, delivered, sent = quarantined(gateway), server.messages(), dict(mail)
    codes = {}
    for local, _ in mail:
        code = sender.answers[local]
        codes[code] = codes.get(code, 0) + 1
        there = len(delivered.get(local, [])) + len(held.get(local, []))
        expected = 1 if code and code // 100 == 2 else 0
        assert there == expected, f"{local}: answered {code} {sender.replies.get(local)}, found {there} times"
        for octets in delivered.get(local, []):
            assert body_of(octets).rstrip(b"\n") == body_of(as_maildir(sent[local])).rstrip(b"\n"), local
    print(f"\n{kind}: {codes}, held {len(held)}")
    assert codes.get(250, 0) > COUNT * 0.9, codes
    assert None not in codes


def test_signed_mail_still_verifies_downstream(make_gateway, closing, dns):
    dkim = pytest.importorskip("dkim")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    server = Postfix()
    closing.add(server.close)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                            serialization.NoEncryption())
    der = key.public_key().public_bytes(serialization.Encoding.DER,
                                        serialization.PublicFormat.SubjectPublicKeyInfo)
    record = "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()
    dns.zone["s1._domainkey.signer.example"] = {"TXT": [record]}
    mail = []
    for i, octets in enumerate(corpora.messages(60, seed=9, sets=("modern",))):
        canonical = (b"relaxed", b"simple")[i % 2], (b"simple", b"relaxed")[i // 2 % 2]
        signed = dkim.sign(octets, b"s1", b"signer.example", pem, canonicalize=canonical) + octets
        mail.append((f"m{i}", signed))
    gateway = make_gateway(backend=server.url, listeners=PROXY, limits=LIMITS)
    sender = Sender(sessions=5, tries=5)
    sender.start(gateway.port, mail)
    sender.join()
    server.settle()
    delivered, verified = server.messages(), 0
    for local, _ in mail:
        for octets in delivered.get(local, []):
            crlf = octets.replace(b"\n", b"\r\n")
            assert dkim.verify(crlf, dnsfunc=lambda name, timeout=5: record.encode()), local
            assert b"dkim=pass header.d=signer.example" in b" ".join(octets.split()), local
            verified += 1
    assert verified >= 50


def test_a_mailbox_server_that_trusts_us_is_no_relay(make_gateway, closing):
    """A Postfix as most are set up: it follows user%elsewhere@example.net for whom is in mynetworks."""
    elsewhere = Postfix("virtual_mailbox_domains = elsewhere.example\nmyhostname = elsewhere.example")
    closing.add(elsewhere.close)
    server = Postfix(f"mydestination = example.net\nvirtual_mailbox_domains =\nrelayhost = [127.0.0.1]:{elsewhere.port}\n"
                     "local_recipient_maps =")
    closing.add(server.close)
    recipients = ("victim%elsewhere.example@example.net", "elsewhere.example!victim@example.net",
                  '"victim@elsewhere.example"@example.net')
    direct = Smtp(server.port)
    direct.ehlo("gateway.example.net")
    assert direct.message(b"Subject: x\r\n\r\nx\r\n", sender="eve@evil.example", recipients=recipients).code == 250
    direct.close()
    server.settle()
    elsewhere.settle()
    assert len(elsewhere.messages()["victim"]) == 3, "it does"
    gateway = make_gateway(backend=server.url)
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.command("MAIL FROM:<eve@evil.example>").code == 250
        assert [smtp.command(f"RCPT TO:<{r}>").code for r in recipients] == [550] * 3


def lessons(gateway):
    """(spam, channel) of all that hold."""
    with sqlite3.connect(gateway.state / "bayes/log.db") as log:
        return log.execute("SELECT spam, channel FROM lesson WHERE NOT undone ORDER BY id").fetchall()


def wait_lessons(gateway, count):
    end = time.monotonic() + TIMEOUT
    while len(lessons(gateway)) < count and time.monotonic() < end:
        gateway.api("/stat")
    return lessons(gateway)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_delivered_copy_is_no_other_lesson(kind, make_gateway, closing, dns):
    """Learned by itself, or while it was held; then reported from the mailbox, with all that is on top of it by then."""
    server = SERVERS[kind]()
    closing.add(server.close)
    dns.zone["friend.example"] = {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}
    dns.zone["_dmarc.friend.example"] = {"TXT": ["v=DMARC1; p=none"]}
    gateway = make_gateway(backend=server.url, listeners=PROXY, extra=(
        'learn { auto = true auto_domains = "friend.example" } scores { SPF_FAIL = 9 } '
        'policy { quarantine_score = 8 reject_score = 900 }'))
    for number, client in enumerate(("192.0.2.1", "192.0.2.9")):
        octets = (f"Received: from bob by friend.example; Fri, 20 Nov 2026 11:59:00 +0000\r\nX-Spam-Flag: NO\r\n"
                  f"From: Bob <bob@friend.example>\r\nTo: box{number}@example.net\r\nSubject: Number {number}\r\n"
                  f"Message-ID: <{number}@friend.example>\r\nDate: Fri, 20 Nov 2026 12:00:00 +0000\r\n\r\n"
                  f"Minutes of meeting {number}\r\n\r\n--  \r\nBob\r\n\r\n").encode()
        with Smtp(gateway.port, proxy=f"PROXY TCP4 {client} 127.0.0.1 9999 25\r\n".encode()) as smtp:
            smtp.ehlo()
            assert smtp.message(octets, sender="bob@friend.example", recipients=[f"box{number}@example.net"]).code == 250
    assert wait_lessons(gateway, 1) == [(0, "auto")]
    [held] = gateway.held()["box1"]
    assert gateway.api(f"/api/v1/quarantine/{held}/learn?label=spam", b"")["ok"]
    assert lessons(gateway) == [(0, "auto"), (1, "api")]
    assert gateway.run("quarantine", "release", held).returncode == 0
    gateway.wait_event("released")
    server.settle()
    [first], [second] = server.messages()["box0"], server.messages()["box1"]
    for copy in (first, second):
        assert b"Return-Path: " in copy and b"(Gatepost)" in copy and b"Authentication-Results: mx.example.net" in copy
        assert b"X-Spam-Flag: NO" not in copy
    gateway.api("/api/v1/learn?label=spam", second)
    assert lessons(gateway) == [(0, "auto"), (1, "api")], "it counts once"
    gateway.api("/api/v1/learn?label=spam", first)
    assert lessons(gateway) == [(1, "api"), (1, "api")], "a person's word takes the place of nobody's"
