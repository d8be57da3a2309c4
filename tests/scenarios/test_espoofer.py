"""Composition attacks ("Composition Kills", USENIX Security 2020): all cases of the espoofer tool, over real SMTP.

The attacker owns attack.example, whose SPF lets this client send, and forges legitimate.example, whose
DMARC policy is reject. In every case the message is refused, or it is judged to be what it is.
"""

import json

import pytest

VICTIM, ATTACKER = "admin@legitimate.example", "first@attack.example"
ENCODED = "=?utf-8?B?PGFkbWluQGxlZ2l0aW1hdGUuZXhhbXBsZT4=?="
ZONE = {
    "attack.example": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"], "A": ["127.0.0.1"], "MX": [[10, "attack.example"]]},
    "a.attack.example": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]},
    "any.attack.example": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]},
    "_dmarc.attack.example": {"TXT": ["v=DMARC1; p=none"]},
    "legitimate.example": {"TXT": ["v=spf1 -all"], "MX": [[10, "legitimate.example"]], "A": ["192.0.2.1"]},
    "_dmarc.legitimate.example": {"TXT": ["v=DMARC1; p=reject"]},
}
REST = ("To: <victim@example.net>\r\nSubject: x\r\nDate: Fri, 20 Nov 2026 12:00:00 +0000\r\n"
        "Message-ID: <1@attack.example>\r\n\r\nHi\r\n")
SIGNATURE = ("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={d}; s={s}; h=from:to:subject; "
             "bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=dGVzdA==\r\n")


@pytest.fixture
def spoofed(dns, gateway):
    dns.zone.update(ZONE)
    return gateway


def send(gateway, message, sender=ATTACKER):
    with gateway.smtp() as smtp:
        smtp.ehlo("attack.example")
        return smtp.message(message.encode("latin-1"), sender=sender, recipients=["victim@example.net"])


@pytest.mark.parametrize("sender", [
    pytest.param("(any@legitimate.example", id="a2 an address that looks empty"),
    pytest.param("any@legitimate.example(a.attack.example", id="a5 comment in the domain"),
    pytest.param("any@legitimate.example'@any.attack.example", id="a6 two at signs"),
    pytest.param("@legitimate.example,@any.example:'any@attack.example", id="a7 source route"),
])
def test_sender_that_two_readers_understand_differently(spoofed, sink, dns, sender):
    """Refused as a syntax error; or, of a route, what stands behind it counts everywhere."""
    reply = send(spoofed, f"From: <{VICTIM}>\r\n{REST}", sender)
    if reply.code == 501:
        assert not spoofed.events("message") and not sink.messages()
        return
    line = spoofed.wait_event("message")
    assert line["action"] in ("quarantine", "reject"), line
    assert dns.asked("legitimate.example", "TXT") == 0, "nobody took that for the sender's domain"
    assert not sink.messages()


def test_a1_subdomain_that_does_not_exist(spoofed, sink):
    reply = send(spoofed, f"From: <{VICTIM}>\r\n{REST}", "any@mailfrom.notexist.legitimate.example")
    line = spoofed.wait_event("message")
    assert reply.code == 250 and line["action"] == "quarantine", line
    assert not sink.messages()


def test_a3_nul_in_the_selector(spoofed, sink, dns):
    signature = SIGNATURE.format(d="legitimate.example", s="selector._domainkey.attack.example.\0.any")
    reply = send(spoofed, f"{signature}From: <{VICTIM}>\r\n{REST}")
    assert reply.code == 550, reply
    assert not [name for name, _ in dns.questions if "\0" in name or "\\000" in name or "domainkey" in name]
    assert not sink.messages()


def test_a4_quote_in_the_signing_domain(make_gateway, make_sink, dns):
    """With a policy of none it is delivered: then what we say about it can be read."""
    dns.zone.update(ZONE)
    dns.zone["_dmarc.legitimate.example"] = {"TXT": ["v=DMARC1; p=none"]}
    sink = make_sink()
    gateway = make_gateway(backend=sink.url)
    signature = SIGNATURE.format(d="legitimate.example'a.attack.example", s="selector")
    assert send(gateway, f"{signature}From: <{VICTIM}>\r\n{REST}").code == 250
    assert not [name for name, _ in dns.questions if "'" in name]
    ours = sink.messages()[0].split(b"DKIM-Signature:")[0]
    assert b"dkim=permerror" in ours and b"dmarc=fail" in ours and b"'a.attack" not in ours, ours


@pytest.mark.parametrize("author", [
    pytest.param(f"From: <{ATTACKER}>\r\nFrom: <{VICTIM}>\r\n", id="a8 two From"),
    pytest.param(f" From: <{ATTACKER}>\r\nFrom: <{VICTIM}>\r\n", id="a9 a blank before the first"),
    pytest.param(f"From: <{ATTACKER}>\r\nFrom : <{VICTIM}>\r\n", id="a10 a blank before the colon"),
    pytest.param(f"From\r\n : <{ATTACKER}>\r\nFrom: <{VICTIM}>\r\n", id="a11 a folded name"),
    pytest.param(f"From\r\n : <{ATTACKER}>\r\nSender: <{VICTIM}>\r\n", id="a12 and Sender"),
    pytest.param(f"From\r\n : <{ATTACKER}>\r\nResent-From: <{VICTIM}>\r\n", id="a13 and Resent-From"),
    pytest.param(f"From: <{ATTACKER}>, <{VICTIM}>\r\n", id="a14 two authors"),
    pytest.param(f"From: {ENCODED},<second@attack.example>\r\n", id="a15 an encoded address"),
    pytest.param(f"From: <@attack.example,@any.example:{VICTIM}>\r\n", id="a16 a route"),
    pytest.param(f"From: <{ATTACKER}>\\,<{VICTIM}>\r\n", id="a17 an escaped comma"),
    pytest.param(f"From: {VICTIM},<{ATTACKER}>\r\n", id="a18 bare and in brackets"),
    pytest.param(f"From: {VICTIM}<{ATTACKER}>\r\n", id="a18 the same without a comma"),
    pytest.param(f"From: <{ATTACKER}>{VICTIM}\r\n", id="a19 text behind the brackets"),
])
def test_author_that_two_readers_understand_differently(spoofed, sink, author):
    reply = send(spoofed, author + REST)
    assert reply.code == 550 and reply.text.startswith("5.7.1 "), reply
    assert "From" in reply.text or "header" in reply.text, "the reply says why"
    assert not sink.messages()
    assert json.loads(spoofed.run("quarantine", "list", "--json").stdout) == []


@pytest.mark.parametrize("author", [
    pytest.param(f"From: <{ATTACKER}>\r\nFrom: <{VICTIM}>\r\n", id="client a1"),
    pytest.param(f"From: <{ATTACKER}>, <{VICTIM}>\r\n", id="client a2"),
    pytest.param(f"From: <{VICTIM}>\r\n", id="client a3"),
])
def test_client_cases_have_nobody_to_log_in_as(spoofed, sink, author):
    """They abuse an account at a submission server. Gatepost takes mail for its own domains only, and offers
    no AUTH: what is left of them are the cases above, and mail that fails DMARC."""
    with spoofed.smtp() as smtp:
        assert not [line for line in smtp.ehlo().lines if line.upper().startswith("AUTH")]
        assert smtp.command("AUTH PLAIN AGEAYg==").code in (500, 502, 503, 504)
        smtp.command(f"MAIL FROM:<{ATTACKER}>")
        assert smtp.command("RCPT TO:<victim@elsewhere.example>").code == 550
    reply = send(spoofed, author + REST)
    assert reply.code == 550 or spoofed.wait_event("message")["action"] == "quarantine"
    assert not sink.messages()


INSIDER = "mallory@example.net"


@pytest.mark.parametrize("mode", ["address", "domain", "any"])
@pytest.mark.parametrize("author, why", [
    pytest.param(f"From: <{INSIDER}>\r\nFrom: <{VICTIM}>\r\n", "2 From headers", id="client a1"),
    pytest.param(f"From: <{INSIDER}>, <{VICTIM}>\r\n", "2 authors", id="client a2"),
    pytest.param(f"From: <{VICTIM}>\r\n", "no domain of ours", id="client a3"),
    pytest.param(f"From: {VICTIM}<{INSIDER}>\r\n", "2 authors", id="a18 by a client"),
    pytest.param("", "no From header", id="no author"),
])
def test_client_cases_at_an_outbound_listener(make_gateway, sink, mode, author, why):
    """Who may send is not whom he may send as."""
    gateway = make_gateway(backend="smtp://127.0.0.1:9", domain_extra="verify_recipients = false", listeners={
        "127.0.0.1:0": 'outbound_from = "127.0.0.1"', "127.0.0.2:0": ""}, extra=f'outbound {{ relay = "{sink.url}" from = {mode} }}')
    gateway.expect("backend-down")
    reply = send(gateway, author + REST, INSIDER)
    assert reply.code == 550 and why in reply.text, reply
    assert not sink.messages()
    assert send(gateway, f"From: Mallory <{INSIDER}>\r\n{REST}", INSIDER).code == 250
    assert len(sink.messages()) == 1


@pytest.mark.parametrize("mode, author, sender, why", [
    ("address", INSIDER, INSIDER, ""),
    ("address", "Mallory@EXAMPLE.net", INSIDER, ""),
    ("address", "boss@example.net", INSIDER, "but the sender is"),
    ("address", "boss@example.com", INSIDER, "but the sender is"),
    ("address", "mailer-daemon@example.net", "", ""),
    ("domain", "boss@example.net", INSIDER, ""),
    ("domain", "boss@example.com", INSIDER, "but the sender is"),
    ("domain", "boss@sub.example.net", INSIDER, "no domain of ours"),
    ("domain", VICTIM, "", "no domain of ours"),
    ("any", "boss@example.com", INSIDER, ""),
    ("any", VICTIM, INSIDER, "no domain of ours"),
])
def test_author_and_sender_of_outgoing_mail(make_gateway, sink, mode, author, sender, why):
    gateway = make_gateway(backend=sink.url, listeners={"127.0.0.1:0": 'outbound_from = "127.0.0.1"', "127.0.0.2:0": ""},
                           extra=f'outbound {{ relay = "{sink.url}" from = {mode} }} '
                                 f'domain "example.com" {{ backend = "{sink.url}" }}')
    reply = send(gateway, f"From: <{author}>\r\n{REST}", sender)
    assert (reply.code, bool(sink.messages())) == ((550, False) if why else (250, True)), reply
    assert why in reply.text
    line = gateway.wait_event("message")
    assert bool(why) == any(name.startswith("AUTHOR_") for name in line["findings"]), line


def test_honest_mail_of_the_same_sender_passes(spoofed, sink):
    """Nothing above is refused for who sends it."""
    assert send(spoofed, f"From: First <{ATTACKER}>\r\n{REST}").code == 250
    ours = sink.messages()[0].split(b"From:")[0]
    assert b"dmarc=pass" in ours and b"spf=pass" in ours, ours
