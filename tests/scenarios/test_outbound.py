"""Outgoing mail: who may send it, what becomes of it, and that nobody else gets anything relayed."""

import time

import pytest

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


def test_spam_is_refused_at_the_score_and_held_where_that_is_wanted(make_outbound, relay):
    octets = MESSAGE.replace(b"Subject: Minutes", b"Subject: BUY VIAGRA NOW!!! $$$ ONLY TODAY")
    gateway = make_outbound("reject_score = 1")
    reply = send(gateway, octets)
    assert reply.code == 550 and "spam" in reply.text, reply
    gateway.conf.write_text(gateway.text().replace("reject_score = 1", "quarantine_score = 1"))
    assert gateway.reload()["event"] == "reloaded"
    assert send(gateway, octets).code == 250
    assert not relay.messages
    [held] = gateway.held()["bob"]
    assert gateway.run("quarantine", "release", held).returncode == 0
    end = time.monotonic() + 60
    while not relay.messages and time.monotonic() < end:
        pass
    assert relay.owners() == {"bob@elsewhere.example": 1}, "a release takes the way that it was on"


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
