"""Outgoing mail: who may send it, what becomes of it, and that nobody else gets anything relayed."""

import base64
import json
import os
import re
import smtplib
import ssl
import time

import pytest

from tests.fakes import gateway as fakes
from tests.fakes.backend import DROP, TAKE_AND_DROP, Backend
from tests.fakes.smtp import Smtp, proxy_v1

MX, OUT = "127.0.0.1:0", "127.0.0.2:0"
OURS, STRANGER = "10.1.2.3", "198.51.100.1"
MESSAGE = (b"From: Alice <alice@example.net>\r\nTo: bob@elsewhere.example\r\nSubject: Minutes\r\n"
           b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\n"
           b"Good morning,\r\n..and a dot.\r\n trailing blanks  \r\n")


@pytest.fixture
def relay(closing):
    made = Backend()
    closing.add(made.close)
    return made


@pytest.fixture
def make_outbound(make_gateway, relay, sink):
    """make_outbound(inside="from = any"): the MX beside a listener that one balancer speaks to."""
    def make(inside="", listener="", **keywords):
        relays = keywords.pop("relay", relay.url)
        gateway = make_gateway(**{
            "backend": sink.url, "listeners": {
                MX: "", OUT: f'outbound_from = {{ "10.0.0.0/8", "2001:db8::/32" }} '
                             f'proxy_protocol_from = "127.0.0.1" {listener}'},
            "extra": f'outbound {{ relay = "{relays}" {inside} }}', **keywords})
        return gateway
    return make


@pytest.fixture
def outbound(make_outbound):
    return make_outbound()


def connect(gateway, client=OURS, proxy=None):
    to = "2001:db8::9" if ":" in client else "192.0.2.9"
    smtp = Smtp(gateway.ports[OUT], host="127.0.0.2", proxy=proxy or proxy_v1(client, to=to))
    smtp.ehlo("backend.example.net")
    return smtp


def send(gateway, octets=MESSAGE, sender="alice@example.net", recipients=("bob@elsewhere.example",), client=OURS):
    with connect(gateway, client) as smtp:
        return smtp.message(octets, sender=sender, recipients=recipients)


def test_sent_once_with_its_body_as_it_came(outbound, relay, sink, dns):
    reply = send(outbound, recipients=["bob@elsewhere.example", "carol@example.net"])
    assert reply.code == 250, reply
    [(recipients, octets)] = relay.messages
    assert recipients == ["bob@elsewhere.example", "carol@example.net"], "those of our own domain too"
    head, _, body = octets.partition(b"\r\n\r\n")
    assert body == MESSAGE.partition(b"\r\n\r\n")[2]
    assert octets.endswith(MESSAGE) and head.startswith(b"Received: from backend.example.net (")
    assert f"[{OURS}]".encode() in head, "where it came from"
    assert b"Authentication-Results" not in head and b"X-Spam" not in head, head
    assert not sink.messages()
    line = outbound.wait_event("message")
    assert line["outbound"] is True and line["backend"] == relay.url and line["action"] == "forward"
    assert dns.questions == [], "nothing is asked about our own users"


def test_no_stranger_gets_anything_relayed(outbound, relay):
    for client in (STRANGER, "11.0.0.1", "9.255.255.255", "2001:db9::1"):
        with connect(outbound, client) as smtp:
            for sender in ("alice@example.net", "eve@evil.example", ""):
                reply = smtp.command(f"MAIL FROM:<{sender}>")
                assert reply.code == 550 and reply.text.startswith("5.7.1 "), reply
                assert "outbound_from" in reply.text, "what can be done about it"
                assert smtp.command("RCPT TO:<bob@elsewhere.example>").code == 503
                assert smtp.command("DATA").code == 503
    assert not relay.messages and not outbound.events("message")


def test_no_mail_for_a_balancer_itself(make_outbound, relay):
    """Its own address may be in a network that sends: LOCAL and UNKNOWN still are no client."""
    gateway = make_outbound(listener="", listeners={
        MX: "", OUT: 'outbound_from = "127.0.0.0/8" proxy_protocol_from = "127.0.0.1"'})
    for proxy in (b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0"):
        with connect(gateway, proxy=proxy) as smtp:
            assert smtp.command("MAIL FROM:<alice@example.net>").code == 554
    with connect(gateway, client=STRANGER) as smtp:
        assert smtp.command("MAIL FROM:<alice@example.net>").code == 550
    assert not relay.messages


def test_mapped_addresses_are_the_ipv4_addresses_that_they_are(outbound, relay):
    assert send(outbound, client=f"::ffff:{STRANGER}").code == 550
    assert not relay.messages
    assert send(outbound, client=f"::ffff:{OURS}").code == 250
    assert len(relay.messages) == 1


def test_the_mx_is_no_way_out(outbound, relay):
    with outbound.smtp(MX) as smtp:
        smtp.ehlo()
        assert smtp.command("MAIL FROM:<alice@example.net>").code == 250
        assert smtp.command("RCPT TO:<bob@elsewhere.example>").code == 550
    assert not relay.messages


ROUTES = ["bob%elsewhere.example@example.net", "elsewhere.example!bob@example.net", '"bob@elsewhere.example"@example.net',
          '"bob%elsewhere.example"@example.net', "@example.net:bob%elsewhere.example@example.net"]


@pytest.mark.parametrize("recipient", ROUTES)
def test_no_route_through_a_mailbox_server(outbound, relay, sink, recipient):
    """Mailbox servers follow these for whom they trust, and they trust us."""
    with outbound.smtp(MX) as smtp:
        smtp.ehlo()
        assert smtp.command("MAIL FROM:<alice@example.net>").code == 250
        reply = smtp.command(f"RCPT TO:<{recipient}>")
        assert reply.code == 550 and reply.text.startswith("5.7.1 "), reply
        assert smtp.command("RCPT TO:<carol+a=elsewhere.example@example.net>").code == 250, "VERP and SRS are no routes"
    assert send(outbound, recipients=["bob%third.example@elsewhere.example"]).code == 250, "of others' addresses they decide"


@pytest.mark.parametrize("sender", ["eve@evil.example", "eve@sub.example.net", "eve@[10.1.2.3]", "eve@example.net.evil.example"])
def test_senders_of_other_domains(outbound, relay, sender):
    reply = send(outbound, sender=sender)
    assert reply.code == 553 and reply.text.startswith("5.7.1 "), reply
    assert not relay.messages


def test_bounces_and_reports_have_no_sender(outbound, relay):
    assert send(outbound, sender="").code == 250
    assert len(relay.messages) == 1


@pytest.mark.parametrize("script, code, text", [
    ({"MAIL": "550 5.7.1 Not from you"}, 550, "Not from you"),
    ({"RCPT": "550 5.1.2 No such domain"}, 550, "No such domain"),
    ({"RCPT": "450 4.2.1 Not now"}, 450, "Not now"),
    ({"RCPT": "554 5.7.1 Relay access denied"}, 451, "relay"),
    ({"DATA": "451 4.3.0 Disk"}, 451, "Disk"),
    ({"DOT": "554 5.6.0 Not this"}, 554, "Not this"),
    ({"DOT": "452 4.3.1 Full"}, 452, "Full"),
    ({"CONTENT": DROP}, 451, "broke off"),
    ({"RCPT": DROP}, 451, "broke off"),
])
def test_what_the_relay_says_is_what_the_sender_hears(outbound, relay, script, code, text):
    outbound.expect("delivery-uncertain", "backend-refuses-us")
    relay.script = script
    reply = send(outbound)
    assert reply.code == code and text in reply.text, reply
    relay.script = {}
    assert not relay.messages
    assert send(outbound).code == 250, "the retry"
    assert len(relay.messages) == 1


def test_a_relay_that_is_lost_after_the_dot(outbound, relay):
    outbound.expect("delivery-uncertain")
    relay.script = {"DOT": TAKE_AND_DROP}
    assert send(outbound).code == 451
    outbound.wait_event("delivery-uncertain")


def test_a_relay_that_is_not_there(make_outbound):
    gateway = make_outbound(relay="smtp://127.0.0.1:9")
    gateway.expect("backend-down")
    reply = send(gateway)
    assert reply.code == 451 and "relay" in reply.text, reply


def test_a_second_relay(make_outbound, relay):
    gateway = make_outbound(extra=f'outbound {{ relay = {{ "smtp://127.0.0.1:9", "{relay.url}" }} }}')
    gateway.expect("backend-down")
    codes, end = [], time.monotonic() + 60
    while 250 not in codes and time.monotonic() < end:
        codes.append(send(gateway).code)
    assert codes[-1] == 250 and len(relay.messages) == 1, codes


def test_some_recipients_are_refused_by_the_relay(outbound, relay):
    relay.script = {"RCPT": {"nobody@elsewhere.example": "550 5.1.1 No such user"}}
    with connect(outbound) as smtp:
        assert smtp.command("MAIL FROM:<alice@example.net>").code == 250
        assert smtp.command("RCPT TO:<nobody@elsewhere.example>").code == 550
        assert smtp.command("RCPT TO:<bob@elsewhere.example>").code == 250
        relay.script = {}
        assert smtp.command("RCPT TO:<nobody@elsewhere.example>").code == 250, "each message is asked for anew"
        assert smtp.data(MESSAGE).code == 250
    assert relay.owners() == {"bob@elsewhere.example": 1, "nobody@elsewhere.example": 1}


def test_sizes_and_extensions_are_the_relays(make_outbound, make_sink):
    small = make_sink("--capabilities", "PIPELINING,SIZE 2000000")
    gateway = make_outbound(relay=small.url)
    end = time.monotonic() + 60
    while time.monotonic() < end:  # until the relay has been asked
        with connect(gateway) as smtp:
            sizes = [int(line.split()[1]) for line in smtp.ehlo().lines if line.startswith("SIZE ")]
        if sizes[0] < 2_000_000:
            break
    assert sizes[0] < 2_000_000
    with gateway.smtp(MX) as smtp:
        assert f"SIZE {25 << 20}" in smtp.ehlo().lines, "mail that comes in goes elsewhere"


def test_viruses_are_refused_not_held(make_outbound, relay, folder):
    database = folder / "signatures"
    database.mkdir(mode=0o755)
    (database / "t.ndb").write_text(f"Test.Found:0:*:{b'a-simple-signature'.hex()}\n")
    gateway = make_outbound(extra=f'outbound {{ relay = "{relay.url}" }} '
                                  f'filter "clamav" {{ database = {{ "{database}" }} }}')
    reply = send(gateway, MESSAGE + b"a-simple-signature\r\n")
    assert reply.code == 550 and "Test.Found" in reply.text, reply
    assert not relay.messages and gateway.held() == {}
    assert send(gateway).code == 250 and len(relay.messages) == 1


def restart(gateway, old, new):
    """With another configuration; unlike behind a reload, all roles are there at once."""
    gateway.stop()
    gateway.conf.write_text(gateway.text().replace(old, new))
    gateway.log.clear()
    gateway.start()


def test_spam_is_refused_at_the_score_and_held_where_that_is_wanted(make_outbound, relay):
    octets = MESSAGE.replace(b"Subject: Minutes", b"Subject: BUY VIAGRA NOW!!! $$$ ONLY TODAY")
    gateway = make_outbound("reject_score = 1")
    reply = send(gateway, octets)
    assert reply.code == 550 and "spam" in reply.text, reply
    restart(gateway, "reject_score = 1", "quarantine_score = 1")
    assert send(gateway, octets).code == 250
    assert not relay.messages
    [held] = gateway.held()["bob"]
    assert gateway.run("quarantine", "release", held).returncode == 0
    end = time.monotonic() + 60
    while not relay.messages and time.monotonic() < end:
        pass
    assert relay.owners() == {"bob@elsewhere.example": 1}, "a release takes the way that it was on"


def test_held_mail_for_domains_with_different_servers(make_outbound, relay, sink, make_sink):
    """One server takes all of it, as it would have been sent: the relay."""
    other = make_sink()
    gateway = make_outbound("quarantine_score = -1000", domain_extra=f'}} domain "example.org" {{ backend = "{other.url}"')
    assert send(gateway, recipients=["carol@example.net", "dora@example.org"]).code == 250
    [held] = gateway.held()["carol"]
    assert gateway.run("quarantine", "release", held).returncode == 0
    end = time.monotonic() + 60
    while not (relay.messages or sink.messages() or other.messages()) and time.monotonic() < end:
        pass
    assert [recipients for recipients, _ in relay.messages] == [["carol@example.net", "dora@example.org"]]


def test_what_strangers_sent_is_not_released_to_the_world(make_outbound, relay, sink):
    """It was held for a domain that is no longer ours."""
    gateway = make_outbound(domain_extra=f'quarantine_score = -1000 }} domain "example.org" {{ backend = "{sink.url}"')
    gateway.expect("release-failed")
    with gateway.smtp(MX) as smtp:
        smtp.ehlo()
        reply = smtp.message(MESSAGE.replace(b"alice@example.net", b"eve@evil.example"), sender="eve@evil.example",
                             recipients=["dora@example.net"])
        assert reply.code == 250, reply
    [held] = gateway.held()["dora"]
    restart(gateway, 'domain "example.net"', 'domain "example.com"')
    assert gateway.run("quarantine", "release", held).returncode == 0
    gateway.wait_event("release-failed")
    assert not relay.messages and not sink.messages()


def test_results_and_marks_in_our_name_do_not_leave(outbound, relay):
    forged = b"Authentication-Results: mx.example.net; dmarc=pass\r\nX-Spam-Flag: NO\r\n"
    assert send(outbound, forged + MESSAGE).code == 250
    [(_, octets)] = relay.messages
    assert b"Authentication-Results" not in octets and b"X-Spam" not in octets
    assert octets.endswith(MESSAGE)


def test_users_of_ours_teach(make_outbound, relay):
    gateway = make_outbound(extra=f'outbound {{ relay = "{relay.url}" }} learn {{ spam_address = "spam@example.net" }}')
    forward = (MESSAGE.replace(b"\r\n\r\n", b"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
                               b"--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: s@spam.example\r\nSubject: Buy\r\n\r\nBuy\r\n--x--\r\n", 1))
    assert send(gateway, forward, recipients=["spam@example.net"]).code == 250
    assert gateway.wait_event("message")["lesson"] == "spam"
    assert not relay.messages


@pytest.mark.parametrize("conf, complaint", [
    ('listen "127.0.0.2:0" { outbound_from = "10.0.0.0/8" }', "outbound { relay ="),
    ('listen "127.0.0.2:0" { outbound_from = "0.0.0.0/0" } outbound { relay = "smtp://127.0.0.1:9" }', "open relay"),
])
def test_wrong_configuration(make_gateway, conf, complaint):
    gateway = make_gateway(start=False, extra=conf)
    done = gateway.run("config", "check")
    assert done.returncode == 1 and complaint in done.stderr and "gatepost.conf:" in done.stderr, done


# ---- accounts

AUTH = "127.0.0.3:0"


@pytest.fixture
def make_submission(make_gateway, sink, relay):
    """The gateway, and the password of alice@example.net."""
    def make(mode="domain", who='"accounts"', limits=""):
        gateway = make_gateway(start=False, backend=sink.url, limits=limits,
                               listeners={MX: "", AUTH: f"outbound_from = {{ {who} }}"},
                               extra=f'outbound {{ relay = "{relay.url}" from = {mode} }} '
                                     f'domain "example.com" {{ backend = "{sink.url}" }}')
        gateway.set_up()
        made = gateway.run("account", "add", "alice@example.net", "--json")
        assert made.returncode == 0, made.stderr
        return gateway, json.loads(made.stdout)["password"]
    return make


@pytest.fixture
def submission(make_submission, closing):
    gateway, password = make_submission()
    closing.add(gateway.stop)
    return gateway.start(), password


def secure(gateway):
    smtp = Smtp(gateway.ports[AUTH], host="127.0.0.3")
    smtp.ehlo()
    smtp.starttls()
    smtp.ehlo()
    return smtp


def encoded(*words):
    return base64.b64encode("\0".join(words).encode()).decode()


class Client(smtplib.SMTP):
    """Python's own client, which knows nothing of Gatepost."""

    def __init__(self, gateway, mechanism):
        super().__init__("127.0.0.3", gateway.ports[AUTH], timeout=60)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.ehlo()
        assert not self.has_extn("auth"), "no passwords in the clear"
        self.starttls(context=context)
        self.ehlo()
        assert self.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        self.esmtp_features["auth"] = mechanism


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_real_client_sends_by_its_account(submission, relay, mechanism):
    gateway, password = submission
    with Client(gateway, mechanism) as client:
        client.login("Alice@example.net", password)
        client.sendmail("alice@example.net", ["bob@elsewhere.example"], MESSAGE)
    [(_, octets)] = relay.messages
    assert octets.endswith(MESSAGE)
    received = re.sub(rb"\r\n\s+", b" ", octets).split(b"\r\n")[0]
    assert b"(Authenticated sender: alice@example.net)" in received and b"with ESMTPSA " in received, received
    line = gateway.wait_event("message")
    assert line["account"] == "alice@example.net" and line["outbound"] is True
    assert password not in gateway.tail()


def test_a_real_client_with_a_wrong_password(submission, relay):
    gateway, password = submission
    for name, word in (("alice@example.net", password[:-1]), ("bob@example.net", password), ("alice", password)):
        with Client(gateway, "PLAIN") as client, pytest.raises(smtplib.SMTPAuthenticationError) as error:
            client.login(name, word)
        assert error.value.smtp_code == 535 and error.value.smtp_error.startswith(b"5.7.8 ")
    assert [line["account"] for line in gateway.events("auth-failed")] == ["alice@example.net", "bob@example.net", "alice"]
    assert not relay.messages


def test_nothing_is_sent_without_an_account(submission, relay):
    gateway, _ = submission
    with Smtp(gateway.ports[AUTH], host="127.0.0.3") as smtp:
        smtp.ehlo()
        reply = smtp.command("MAIL FROM:<alice@example.net>")
        assert reply.code == 530 and "STARTTLS" in reply.text
        for auth in ("AUTH PLAIN " + encoded("", "alice@example.net", "x"), "AUTH LOGIN", "AUTH CRAM-MD5"):
            reply = smtp.command(auth)
            assert reply.code == 538 and reply.text.startswith("5.7.11 "), reply
    with secure(gateway) as smtp:
        reply = smtp.command("MAIL FROM:<alice@example.net>")
        assert reply.code == 530 and reply.text.startswith("5.7.0 ") and "AUTH" in reply.text
        assert smtp.command("RCPT TO:<bob@elsewhere.example>").code == 503
    assert not relay.messages


@pytest.mark.parametrize("mode, sender, author, code", [
    ("address", "alice@example.net", "alice@example.net", 250),
    ("address", "", "alice@example.net", 250),
    ("address", "", "boss@example.net", 550),
    ("address", "boss@example.net", "alice@example.net", 553),
    ("address", "alice@example.net", "boss@example.net", 550),
    ("domain", "boss@example.net", "boss@example.net", 250),
    ("domain", "alice@example.com", "alice@example.net", 553),
    ("domain", "alice@example.net", "alice@example.com", 550),
    ("any", "boss@example.com", "boss@example.com", 250),
    ("any", "eve@evil.example", "alice@example.net", 553),
    ("any", "alice@example.net", "eve@evil.example", 550),
])
def test_an_account_sends_as_itself(make_submission, closing, relay, mode, sender, author, code):
    gateway, password = make_submission(mode)
    closing.add(gateway.stop)
    gateway.start()
    with secure(gateway) as smtp:
        assert smtp.command("AUTH PLAIN " + encoded("", "alice@example.net", password)).code == 235
        reply = smtp.message(MESSAGE.replace(b"alice@example.net", author.encode(), 1), sender=sender,
                             recipients=["bob@elsewhere.example"])
    assert reply.code == code and len(relay.messages) == (code == 250), reply


def test_the_exchange_by_the_letter(submission):
    gateway, password = submission
    good = encoded("", "alice@example.net", password)
    with secure(gateway) as smtp:
        assert any(line == "AUTH PLAIN LOGIN" for line in smtp.ehlo().lines)
        assert smtp.command("AUTH PLAIN") == (334, [""])
        assert smtp.command("*") == (501, ["5.7.0 Cancelled"])
        assert smtp.command("AUTH PLAIN").code == 334
        reply = smtp.command("A" * 5000)
        assert reply.code == 500 and reply.text.startswith("5.5.6 ")
        for broken in ("AUTH PLAIN !!!!", "AUTH PLAIN =", "AUTH PLAIN AAAA"):
            assert smtp.command(broken).code == 501
        assert smtp.command("AUTH CRAM-MD5").code == 504
        assert smtp.command("AUTH").code == 501
        assert smtp.command("AUTH LOGIN") == (334, ["VXNlcm5hbWU6"])
        assert smtp.command(encoded("alice@example.net")) == (334, ["UGFzc3dvcmQ6"])
        assert smtp.command(encoded(password)).code == 235
        assert not any(line.startswith("AUTH") for line in smtp.ehlo().lines), "once is enough"
        assert smtp.command("AUTH PLAIN " + good).code == 503
        assert smtp.command("MAIL FROM:<alice@example.net> AUTH=<>").code == 250
        assert smtp.command("RCPT TO:<bob@elsewhere.example>").code == 250
        assert smtp.data(MESSAGE).code == 250
    with secure(gateway) as smtp:
        smtp.send(b"AUTH PLAIN\r\n" + good.encode() + b"\r\nMAIL FROM:<alice@example.net>\r\n")
        assert [smtp.reply().code for _ in range(3)] == [334, 235, 250]


def test_tls_from_the_first_octet(make_gateway, sink, relay, closing):
    """RFC 8314: what clients expect of port 465."""
    gateway = make_gateway(start=False, backend=sink.url, listeners={MX: "", AUTH: 'outbound_from = "accounts" tls = implicit'},
                           extra=f'outbound {{ relay = "{relay.url}" }}', limits="connections_per_client = 2")
    gateway.set_up()
    password = json.loads(gateway.run("account", "add", "alice@example.net", "--json").stdout)["password"]
    closing.add(gateway.stop)
    gateway.start()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP_SSL("127.0.0.3", gateway.ports[AUTH], timeout=60, context=context) as client:
        client.ehlo()
        assert not client.has_extn("starttls") and client.has_extn("auth")
        assert client.docmd("STARTTLS")[0] == 503
        client.login("alice@example.net", password)
        client.sendmail("alice@example.net", ["bob@elsewhere.example"], MESSAGE)
    assert len(relay.messages) == 1 and gateway.wait_event("message")["tls"].startswith("TLSv1")
    with Smtp(gateway.ports[AUTH], host="127.0.0.3", greet=False) as smtp:
        smtp.send(b"EHLO client.example.net\r\n")
        gateway.wait_event("tls-failed")
        assert gateway.events("tls-failed")[0]["client"] == "127.0.0.1"
    silent = [Smtp(gateway.ports[AUTH], host="127.0.0.3", greet=False) for _ in range(3)]
    assert silent[2].closed(), "one too many is not even shaken hands with"
    for smtp in silent:
        smtp.close()


def test_nobody_guesses_for_long(make_submission, closing):
    gateway, password = make_submission(limits="auth_failures = 5")
    closing.add(gateway.stop)
    gateway.start()
    codes = []
    while 421 not in codes:
        assert len(codes) < 20
        with secure(gateway) as smtp:
            codes.append(smtp.command("AUTH PLAIN " + encoded("", "alice@example.net", "x")).code)
            if len(codes) == 5:
                assert smtp.reply().code == 421 and smtp.closed()
    assert codes == [535] * 5 + [421]
    with secure(gateway) as smtp:
        assert smtp.command("AUTH PLAIN " + encoded("", "alice@example.net", password)).code == 421, "nor do the right ones count then"
    assert gateway.api("/api/v1/status")["auth_failures"] == 5


def test_accounts_come_and_go(submission, relay):
    gateway, password = submission
    assert gateway.run("account", "add", "alice@example.net").returncode == 1
    assert "domain" in gateway.run("account", "add", "alice@elsewhere.example").stderr
    other = json.loads(gateway.run("account", "add", "bob@example.com", "--json").stdout)["password"]
    listed = json.loads(gateway.run("account", "list", "--json").stdout)
    assert [row["address"] for row in listed] == ["alice@example.net", "bob@example.com"]
    assert gateway.run("account", "remove", "alice@example.net").returncode == 0
    assert gateway.run("account", "remove", "alice@example.net").returncode == 1
    assert gateway.reload()["event"] == "reloaded"
    with secure(gateway) as smtp:
        assert smtp.command("AUTH PLAIN " + encoded("", "alice@example.net", password)).code == 535
        assert smtp.command("AUTH PLAIN " + encoded("", "bob@example.com", other)).code == 235
    text = gateway.run("account", "list").stdout
    assert "bob@example.com" in text and other not in text
    gateway.conf.write_text(gateway.text().replace('domain "example.com"', 'domain "example.org"'))
    assert gateway.reload()["event"] == "reloaded"
    with secure(gateway) as smtp:
        assert smtp.command("AUTH PLAIN " + encoded("", "bob@example.com", other)).code == 535, "its domain is gone"


def test_a_session_does_not_outlive_its_account(submission, relay):
    gateway, password = submission
    with secure(gateway) as smtp:
        assert smtp.command("AUTH PLAIN " + encoded("", "alice@example.net", password)).code == 235
        assert smtp.command("MAIL FROM:<alice@example.net>").code == 250
        assert gateway.run("account", "remove", "alice@example.net").returncode == 0
        assert gateway.reload()["event"] == "reloaded"
        assert smtp.command("RCPT TO:<bob@elsewhere.example>").code == 250, "what has begun is carried to its end"
        assert smtp.data(MESSAGE).code == 250
        assert smtp.command("MAIL FROM:<alice@example.net>").code == 421 and smtp.closed()
    assert len(relay.messages) == 1


def test_networks_and_accounts_side_by_side(make_submission, closing, relay):
    gateway, password = make_submission(who='"127.0.0.1", "accounts"')
    closing.add(gateway.stop)
    gateway.start()
    with Smtp(gateway.ports[AUTH], host="127.0.0.3") as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE, sender="alice@example.net", recipients=["bob@elsewhere.example"]).code == 250
    with secure(gateway) as smtp:
        assert smtp.command("AUTH PLAIN " + encoded("", "alice@example.net", password)).code == 235
        assert smtp.command("MAIL FROM:<bob@example.com>").code == 553, "who says who he is is held to it"
    assert len(relay.messages) == 1


# ---- our own servers are no strangers

def test_limits_for_strangers_do_not_hold_for_our_networks(make_outbound, relay):
    gateway = make_outbound(limits="connection_rate = 2 message_rate = 2 recipient_rate = 2 connections_per_client = 2 "
                                   "messages_per_session = 2")
    relay.script = {"RCPT": {f"u{i}@elsewhere.example": "550 5.1.1 No such user" for i in range(40)}}
    for _ in range(4):
        assert send(gateway).code == 250
    with connect(gateway) as smtp:
        assert smtp.command("MAIL FROM:<alice@example.net>").code == 250
        for i in range(40):
            assert smtp.command(f"RCPT TO:<u{i}@elsewhere.example>").code == 550, "a list with many dead addresses"
        assert smtp.command("RCPT TO:<bob@elsewhere.example>").code == 250
        assert smtp.data(MESSAGE).code == 250
        for _ in range(4):
            reply = smtp.message(MESSAGE, sender="alice@example.net", recipients=["bob@elsewhere.example"])
            assert reply.code == 250, reply
    assert len(relay.messages) == 9
    with connect(gateway, client=STRANGER) as smtp:
        codes = [smtp.command("MAIL FROM:<alice@example.net>").code for _ in range(20)]
        assert codes == [550] * 20
        smtp.send(b"MAIL FROM:<alice@example.net>\r\n")
        assert [smtp.reply().code for _ in range(2)] == [550, 421] and smtp.closed()


def test_an_account_has_rates_of_its_own(make_submission, closing, relay):
    gateway, password = make_submission(limits="message_rate = 2")
    other = json.loads(gateway.run("account", "add", "bob@example.net", "--json").stdout)["password"]
    closing.add(gateway.stop)
    gateway.start()

    def codes(account, word, count):
        with secure(gateway) as smtp:
            assert smtp.command("AUTH PLAIN " + encoded("", account, word)).code == 235
            return [smtp.message(MESSAGE.replace(b"alice@", account.split("@")[0].encode() + b"@", 1), sender=account,
                                 recipients=["bob@elsewhere.example"]).code for _ in range(count)]
    assert codes("alice@example.net", password, 3) == [250, 250, 450]
    assert codes("alice@example.net", password, 1) == [450], "by whatever connection"
    assert codes("bob@example.net", other, 1) == [250], "from the same address"


def test_forwarding_servers(make_outbound, relay):
    """What a mailbox server forwards has a stranger's From, and an own sender (SRS)."""
    forwarded = MESSAGE.replace(b"alice@example.net", b"stranger@elsewhere.example", 1)
    gateway = make_outbound(extra=f'outbound {{ relay = "{relay.url}" }} filter "author" {{ enabled = false }}')
    assert send(gateway, forwarded, sender="SRS0=x=y=elsewhere.example=s@example.net").code == 250
    assert len(relay.messages) == 1


def test_a_broken_file_of_accounts_changes_nothing(submission):
    gateway, password = submission
    accounts = gateway.state / "accounts"
    whole = accounts.read_bytes()
    gateway.expect("reload-refused", "role-failed", "start-failed")
    accounts.write_bytes(whole + b"nonsense\n")
    assert gateway.reload()["event"] == "reload-refused"
    with secure(gateway) as smtp:
        assert smtp.command("AUTH PLAIN " + encoded("", "alice@example.net", password)).code == 235
    accounts.write_bytes(whole)
    assert gateway.reload()["event"] == "reloaded"


def test_recorded_facts_judge_alike(make_outbound, folder):
    """That it was outgoing, and whose account it was, are facts."""
    gateway = make_outbound("from = address", start=False)
    message = folder / "message"
    message.write_bytes(MESSAGE)
    for facts, action in (({"outbound": True, "account": "alice@example.net"}, "forward"),
                          ({"outbound": True, "account": "bob@example.net"}, "reject"),
                          ({"outbound": True, "mail_from": "alice@example.net"}, "forward"),
                          ({"outbound": True}, "forward")):
        (folder / "facts").write_text(json.dumps({"rcpt_to": ["bob@elsewhere.example"], **facts}))
        for path in (message, folder / "facts"):
            path.chmod(0o644)
        done = gateway.run("check", "--facts", folder / "facts", "--json", "--wire", message)
        assert done.returncode == 0, done.stderr
        verdict = json.loads(done.stdout)
        assert verdict["action"] == action and verdict["auth"]["spf"] is None, verdict


# ---- a relay that asks who we are

@pytest.fixture
def make_pair(make_submission, make_gateway, closing):
    """Two gateways: one sends through the other, as alice@example.net. Verified TLS is another test's matter."""
    def make(word=None):
        smarthost, password = make_submission("any")
        closing.add(smarthost.stop)
        smarthost.start()
        beside = fakes.make_folder()
        closing.add(lambda: fakes.remove(beside))
        secret = beside / "relay.password"
        secret.write_text((word or password) + "\n")
        secret.chmod(0o600)
        if fakes.runs_as_nobody():
            os.chown(secret, fakes.NOBODY, fakes.NOBODY)
        gateway = fakes.Gateway(beside, backend="smtp://127.0.0.1:9", listeners={MX: "", OUT: 'outbound_from = "127.0.0.1"'},
                                extra=f'outbound {{ relay = "smtp://127.0.0.3:{smarthost.ports[AUTH]}" relay_tls = require '
                                      f'relay_login = "alice@example.net" relay_password_file = "{secret}" }}')
        gateway.expect("backend-down", "config-warning")
        closing.add(gateway.stop)
        return gateway.start(), smarthost
    return make


def through(gateway):
    with Smtp(gateway.ports[OUT], host="127.0.0.2") as smtp:
        smtp.ehlo()
        return smtp.message(MESSAGE, sender="alice@example.net", recipients=["bob@elsewhere.example"])


def test_logging_in_at_the_relay(make_pair, relay):
    gateway, smarthost = make_pair()
    assert through(gateway).code == 250
    [(_, octets)] = relay.messages
    assert octets.endswith(MESSAGE) and octets.count(b"(Gatepost) with ") == 2
    assert smarthost.wait_event("message")["account"] == "alice@example.net"


def test_a_relay_that_does_not_know_us(make_pair, relay):
    gateway, _ = make_pair("wrong")
    reply = through(gateway)
    assert reply.code == 451 and "relay" in reply.text, reply
    assert any("535" in line["text"] for line in gateway.events("backend-down"))
    assert not relay.messages
