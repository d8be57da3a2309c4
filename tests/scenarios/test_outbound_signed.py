"""Outgoing mail is signed with the keys of From's domain; it verifies with dkimpy (Debian's python3-dkim),
also behind real Postfixes on both sides."""

import json
import os
import re
import time

import pytest

from tests.fakes import corpora
from tests.fakes.servers import Postfix
from tests.fakes.smtp import Smtp

dkim = pytest.importorskip("dkim")

MX, OUT = "127.0.0.1:0", "127.0.0.2:0"
MESSAGE = (b"From: Alice <alice@example.net>\r\nTo: bob@elsewhere.example\r\nSubject: Minutes\r\n"
           b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\n"
           b"Good morning,\r\n..and a dot.\r\n trailing blanks  \r\n\r\n\r\n")
KINDS = {"rsa-sha256": [], "ed25519-sha256": ["--ed25519"]}


class Keys:
    """What the gateway's `dkim keygen` printed, as a verifier finds it."""

    def __init__(self, gateway):
        self.gateway, self.records = gateway, {}

    def make(self, algorithm, selector, domain="example.net"):
        done = self.gateway.run("dkim", "keygen", domain, "--selector", selector, "--json", *KINDS[algorithm])
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        self.records[made["name"]] = made["value"]

    def lookup(self, name, timeout=5):
        return self.records[name.decode().rstrip(".")].encode()

    def verified(self, octets):
        """[(algorithm, selector, domain)] of the signatures, each of which must hold."""
        found, reader = [], dkim.DKIM(octets)
        for i, (_, value) in enumerate(h for h in reader.headers if h[0].lower() == b"dkim-signature"):
            assert reader.verify(i, dnsfunc=self.lookup), value
            tags = dict(re.findall(rb"(\w+)=([^;\s]*)", re.sub(rb"\s", b"", value)))
            found.append(tuple(tags[tag].decode() for tag in (b"a", b"s", b"d")))
        return sorted(found)


@pytest.fixture
def make_signing(make_gateway, sink, closing):
    def make(*kinds, inside="", relay=None, **keywords):
        gateway = make_gateway(start=False, **{
            "backend": sink.url, "listeners": {MX: "", OUT: 'outbound_from = "127.0.0.0/8"'},
            "extra": f'outbound {{ relay = "{relay or sink.url}" {inside} }}', **keywords})
        gateway.set_up()
        keys = Keys(gateway)
        for number, algorithm in enumerate(kinds):
            keys.make(algorithm, f"s{number + 1}")
        closing.add(gateway.stop)
        return gateway.start(), keys
    return make


def until(happened):
    """Waits for what another process does and tells nobody."""
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, "it did not come"
        os.sched_yield()


def send(gateway, octets=MESSAGE, sender="alice@example.net", recipients=("bob@elsewhere.example",)):
    with Smtp(gateway.ports[OUT], host="127.0.0.2") as smtp:
        smtp.ehlo("backend.example.net")
        return smtp.message(octets, sender=sender, recipients=recipients)


@pytest.mark.parametrize("kinds", [("rsa-sha256",), ("ed25519-sha256",), ("rsa-sha256", "ed25519-sha256")])
def test_signatures_verify(make_signing, sink, kinds):
    gateway, keys = make_signing(*kinds)
    assert send(gateway).code == 250
    [octets] = sink.messages()
    assert octets.endswith(MESSAGE) and octets.startswith(b"DKIM-Signature: ")
    assert keys.verified(octets) == sorted((kind, f"s{n + 1}", "example.net") for n, kind in enumerate(kinds))
    assert send(gateway, sender="").code == 250
    assert len(keys.verified(sink.messages()[1])) == len(kinds), "bounces and reports too"


@pytest.mark.parametrize("kinds, inside", [((), ""), (("rsa-sha256",), "sign = false")])
def test_unsigned(make_signing, sink, kinds, inside):
    gateway, keys = make_signing(*kinds, inside=inside)
    assert send(gateway).code == 250
    assert keys.verified(sink.messages()[0]) == []


def test_only_what_is_ours_and_goes_out(make_signing, sink):
    gateway, keys = make_signing("rsa-sha256", inside="from = any", domain_extra='} domain "example.org" { '
                                 f'backend = "{sink.url}"')
    other = MESSAGE.replace(b"alice@example.net", b"alice@example.org")
    assert send(gateway, other).code == 250, "From's domain has no key, whosever MAIL FROM is"
    assert keys.verified(sink.messages()[0]) == []
    with gateway.smtp(MX) as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE, sender="alice@example.net").code == 250
    assert keys.verified(sink.messages()[1]) == [], "what comes in says what it likes in From"


def test_what_is_cut_was_not_signed(make_signing, sink):
    gateway, keys = make_signing("rsa-sha256")
    forged = b"Authentication-Results: mx.example.net; dmarc=pass\r\nX-Spam-Flag: NO\r\n"
    assert send(gateway, forged + MESSAGE).code == 250
    [octets] = sink.messages()
    assert b"X-Spam" not in octets and len(keys.verified(octets)) == 1


def test_held_mail_leaves_signed(make_signing, sink):
    gateway, keys = make_signing("rsa-sha256", inside="quarantine_score = -1000")
    assert send(gateway).code == 250
    assert not sink.messages()
    [held] = gateway.held()["bob"]
    assert gateway.run("quarantine", "release", held).returncode == 0
    until(sink.messages)
    [octets] = sink.messages()
    assert octets.endswith(MESSAGE) and len(keys.verified(octets)) == 1


def test_new_keys_after_a_reload(make_signing, sink):
    gateway, keys = make_signing()
    for number, selector in enumerate(("s1", "s2")):
        keys.make("rsa-sha256", selector)
        assert gateway.reload()["event"] == "reloaded"
        assert send(gateway).code == 250
        octets = sink.messages()[number]
        assert keys.verified(octets) == [("rsa-sha256", selector, "example.net")]


def from_alice(octets):
    """A real message as if it were hers: its From is replaced, and what others signed left out."""
    head, _, body = octets.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", head)
    kept = [f for f in fields if re.match(rb"(content-|mime-version|subject|to|cc|date|message-id|x-(?!spam|gatepost))[^:]*:", f, re.I)]
    return b"\r\n".join([b"From: Alice <alice@example.net>", *kept]) + b"\r\n\r\n" + body


def test_real_mail_verifies_and_is_what_it_was(make_signing, sink):
    gateway, keys = make_signing("rsa-sha256", "ed25519-sha256", inside="reject_score = 1000")
    gateway.expect("filter-failed")
    sent = [from_alice(octets) for octets in corpora.messages(300, seed=5)]
    taken = []
    for octets in sent:
        reply = send(gateway, octets)
        assert reply.code in (250, 550), reply
        if reply.code == 250:
            taken.append(octets)
    assert len(taken) > 250, len(taken)
    arrived = sink.messages()
    assert len(arrived) == len(taken)
    for octets in arrived:
        assert any(octets.endswith(t) for t in taken), octets[:2000]
        assert len(keys.verified(octets)) == 2, octets[:2000]


def injected(server, octets, recipient):
    """Hands a message to a Postfix, as its users do."""
    with Smtp(server.port) as smtp:
        smtp.ehlo("client.example.net")
        assert smtp.message(octets, sender="alice@example.net", recipients=[recipient]).code == 250


def test_between_two_postfixes(make_signing, closing):
    """Mailbox server → relayhost = Gatepost → smarthost: once, signed, and its body as it was."""
    smarthost = Postfix("virtual_mailbox_domains = elsewhere.example\nmyhostname = smarthost.example")
    closing.add(smarthost.close)
    gateway, keys = make_signing("rsa-sha256", "ed25519-sha256", relay=smarthost.url,
                                 limits="connections_per_client = 100 messages_per_session = 100")
    backend = Postfix(f"relayhost = [127.0.0.2]:{gateway.ports[OUT]}\nsmtp_address_preference = ipv4\n"
                      "minimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nqueue_run_delay = 1s")
    closing.add(backend.close)
    count = 40
    for i in range(count):
        body = b"Number %d\r\n.\r\n..\r\n\tb\xc3\xa4r  \r\n%s\r\n\r\n" % (i, b"x" * i)
        injected(backend, MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
                 b"charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body, f"u{i}@elsewhere.example")
    backend.settle()
    smarthost.settle()
    arrived = smarthost.messages()
    assert sorted(arrived) == sorted(f"u{i}" for i in range(count))
    for i in range(count):
        [octets] = arrived[f"u{i}"]
        octets = octets.replace(b"\n", b"\r\n")
        assert b"Number %d\r\n.\r\n..\r\n\tb\xc3\xa4r  \r\n%s\r\n" % (i, b"x" * i) in octets
        assert len(keys.verified(octets)) == 2, octets
    assert len(gateway.events("message")) == count


def test_postfix_keeps_what_cannot_be_sent_now(make_signing, closing):
    """No queue here: the mailbox server's own holds it while the smarthost is away, and nothing is lost or doubled."""
    smarthost = Postfix("virtual_mailbox_domains = elsewhere.example")
    closing.add(smarthost.close)
    gateway, keys = make_signing("rsa-sha256", relay=smarthost.url)
    gateway.expect("backend-down", "delivery-uncertain")
    backend = Postfix(f"relayhost = [127.0.0.2]:{gateway.ports[OUT]}\nminimal_backoff_time = 1s\n"
                      "maximal_backoff_time = 2s\nqueue_run_delay = 1s\ntransport_retry_time = 1s")
    closing.add(backend.close)
    smarthost.run("stop")
    injected(backend, MESSAGE, "bob@elsewhere.example")
    until(lambda: list((backend.folder / "queue/deferred").rglob("*/*")))
    smarthost.run("start")
    until(smarthost.messages)
    backend.settle()
    [octets] = smarthost.messages()["bob"]
    assert len(keys.verified(octets.replace(b"\n", b"\r\n"))) == 1
