"""ARC sealing (RFC 8617) over real SMTP: what the mailbox server gets verifies with dkimpy (Debian's
python3-dkim), as what it must; a seal that cannot be made costs no message."""

import json
import pathlib
import re

import pytest

dkim = pytest.importorskip("dkim")

SEAL = 'arc { seal_as = "example.net" }'
HEAD = (b"From: Ann <ann@author.example>\r\nTo: alice@example.net\r\nSubject: hello\r\n"
        b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@author.example>\r\n")
MESSAGE = HEAD + b"\r\nHi\r\n"
SIGNED = [b"from", b"to", b"subject", b"date", b"message-id"]
ARC = re.compile(rb"^(ARC-[A-Za-z-]+:[^\r]*(?:\r\n[ \t][^\r]*)*\r\n)", re.M | re.I)


def make_key(gateway, domain, *options):
    """A key of the gateway's, its record in the DNS: what `gatepost dkim keygen --json` says of it."""
    made = gateway.run("dkim", "keygen", domain, "--json", *options)
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    gateway.parts["dns"].zone[key["name"]] = {"TXT": [key["value"]]}
    return key


@pytest.fixture
def make_sealer(make_gateway, sink, closing):
    """A gateway that seals as example.net, unless the configuration says something else."""
    def make(**keywords):
        gateway = make_gateway(start=False, **{"backend": sink.url, "extra": SEAL, **keywords})
        gateway.set_up()
        gateway.key = make_key(gateway, "example.net", "--selector", "s1")
        closing.add(gateway.stop)
        return gateway.start()
    return make


@pytest.fixture
def sealer(make_sealer):
    return make_sealer()


@pytest.fixture(scope="module")
def lists_key():
    """(PEM, record) of list.example"""
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.TraditionalOpenSSL, forms.NoEncryption())
    public = key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    return pem, "v=DKIM1; k=rsa; p=" + "".join(public.decode().split("\n")[1:-2])


@pytest.fixture
def relay(lists_key, dns):
    """relay(message, "none", "pass"): as lists have sealed it, one after the other, with what each found."""
    pem, record = lists_key
    dns.zone["s._domainkey.list.example"] = {"TXT": [record]}

    def seal(message, *found):
        for result in found:
            results = b"Authentication-Results: mx.list.example; arc=%s\r\n" % result.encode()
            message = b"".join(dkim.arc_sign(results + message, b"s", b"list.example", pem,
                                             b"mx.list.example", include_headers=SIGNED)) + message
        return message
    return seal


def verify(dns, message):
    """(verdict, [a dict a set, the newest first]); of the newest the headers are what they must be."""
    def lookup(name, timeout=5):
        values = dns.zone.get(name.decode().rstrip("."), {}).get("TXT", [""])
        return values[0].encode()

    verdict, sets, _ = dkim.arc_verify(message, dnsfunc=lookup)
    return verdict, sets


def arc_lines(message):
    return ARC.findall(message.split(b"\r\n\r\n")[0] + b"\r\n")


def flat(line):
    return re.sub(rb"\s+", b" ", line.split(b":", 1)[1]).strip()


def field(message, name):
    """The first header of that name, unfolded."""
    found = re.search(rb"^" + name + rb":([^\r]*(?:\r\n[ \t][^\r]*)*)\r\n", message, re.M)
    return re.sub(rb"\s+", b" ", found[1]).strip() if found else None


def send(gateway, message, recipients=("alice@example.net",)):
    with gateway.smtp() as smtp:
        smtp.ehlo("list.example")
        return smtp.message(message, sender="bounces@list.example", recipients=list(recipients))


def deliver(gateway, sink, message):
    """Sends it, gives what arrived."""
    before = len(sink.messages())
    reply = send(gateway, message)
    assert reply.code == 250, reply
    delivered = sink.messages()
    assert len(delivered) == before + 1
    return delivered[-1]


def check_own_set(delivered, instance):
    """Three lines on top, the results in them those that stand below; returns the seal's."""
    lines = arc_lines(delivered)
    assert [line.split(b":")[0].lower() for line in lines[:3]] == \
        [b"arc-seal", b"arc-message-signature", b"arc-authentication-results"], delivered
    assert delivered.startswith(b"".join(lines[:3]) + b"Authentication-Results: mx.example.net;")
    assert flat(lines[2]) == b"i=%d; " % instance + field(delivered, b"Authentication-Results")
    for line in lines[:2]:
        assert b"i=%d;" % instance in flat(line) and b"d=example.net;" in flat(line), line
    names = re.search(rb"h=([^;]*);", re.sub(rb"\s", b"", lines[1]))[1].lower().split(b":")
    assert not {b"arc-seal", b"authentication-results", b"x-spam-status", b"received"} & set(names)
    return flat(lines[0])


@pytest.mark.parametrize("chain", [[], ["none"], ["none", "pass"]])
def test_one_more_set_on_a_chain_that_holds(sealer, sink, dns, relay, chain):
    sent = relay(MESSAGE, *chain)
    delivered = deliver(sealer, sink, sent)
    seal = check_own_set(delivered, len(chain) + 1)
    assert b"cv=%s;" % (b"pass" if chain else b"none") in seal
    verdict, sets = verify(dns, delivered)
    assert verdict == dkim.CV_Pass and len(sets) == len(chain) + 1, sets
    assert delivered.endswith(sent)


FAILED = {"body": lambda m: m + b"more\r\n", "header": lambda m: m.replace(b"Subject: hello", b"Subject: hallo"),
          "a set that lacks one": lambda m: m.replace(arc_lines(m)[1], b""),
          "twice": lambda m: arc_lines(m)[0] + m, "no instance": lambda m: b"ARC-Seal: a=rsa-sha256\r\n" + m}


@pytest.mark.parametrize("change", FAILED)
def test_of_a_chain_that_does_not_hold_only_our_set_is_signed(sealer, sink, dns, relay, change):
    delivered = deliver(sealer, sink, FAILED[change](relay(MESSAGE, "none", "pass")))
    seal = check_own_set(delivered, 3)
    assert b"cv=fail;" in seal
    assert b"arc=fail" in field(delivered, b"Authentication-Results")
    assert verify(dns, delivered)[0] != dkim.CV_Pass
    # Section 5.1.2: as if ours were the only one.
    lines = arc_lines(delivered)
    checked = dkim.ARC(b"".join(lines[:3]) + ARC.sub(b"", delivered))
    _, headers = checked.sorted_arc_headers()
    got = checked.verify_instance(headers, 3, dnsfunc=lambda name, timeout=5: sealer.key["value"].encode())
    assert got["ams-valid"] and got["as-valid"] and got["cv"] == dkim.CV_Fail, got


@pytest.mark.parametrize("name", ["failed before", "failed before, and changed", "ten sets", "fifty sets"])
def test_a_chain_that_is_not_added_to(sealer, sink, relay, name):
    failed = relay(relay(MESSAGE, "none").replace(b"Hi", b"Ho"), "fail")
    message = {"failed before": failed,
               "failed before, and changed": failed.replace(arc_lines(failed)[3], b""),
               "ten sets": relay(MESSAGE, "none", *["pass"] * 9),
               "fifty sets": b"".join(
                   b"ARC-Seal: i=%d; a=rsa-sha256; d=list.example; s=s; cv=pass; b=AAAA\r\n"
                   b"ARC-Message-Signature: i=%d; a=rsa-sha256; d=list.example; s=s; h=from; bh=AAAA; b=AAAA\r\n"
                   b"ARC-Authentication-Results: i=%d; mx.list.example; none\r\n" % (i, i, i)
                   for i in range(50, 0, -1)) + MESSAGE}[name]
    delivered = deliver(sealer, sink, message)
    assert delivered.startswith(b"Authentication-Results: mx.example.net;")
    assert arc_lines(delivered) == arc_lines(message) and delivered.endswith(message)


def test_what_is_forged_is_not_sealed_in(sealer, sink, dns):
    forged = (b"Authentication-Results: mx.example.net; dmarc=pass header.from=bank.example\r\n"
              b"Authentication-Results: mx.example.net (x); spf=pass\r\n"
              b"X-Spam-Status: No\r\nBIMI-Indicator: x\r\n"
              b"Authentication-Results: elsewhere.example; dkim=pass header.d=bank.example\r\n")
    delivered = deliver(sealer, sink, forged + MESSAGE)
    check_own_set(delivered, 1)
    assert verify(dns, delivered)[0] == dkim.CV_Pass
    assert b"dmarc=pass" not in delivered and b"BIMI" not in delivered
    assert b"bank.example" not in b"".join(arc_lines(delivered))


BODIES = {
    "empty": HEAD + b"\r\n",
    "headers alone": HEAD,
    "blank lines at the end": MESSAGE + b"\r\n\r\n\r\n",
    "blanks at line ends": MESSAGE + b"a \t\r\n \t \r\n",
    "long lines": MESSAGE + b"x" * 997 + b"\r\n",
    "8-bit": MESSAGE.replace(b"Subject: hello", "Subject: grüße".encode()) + "ä\r\n".encode(),
    "dots": MESSAGE + b".\r\n..\r\n.x\r\n",
    "folded": MESSAGE.replace(b"Subject: hello", b"Subject:\r\n hello\r\n\t there"),
    "twice": b"List-Id: <a>\r\nList-Id: <b>\r\n" + MESSAGE,
    "signed by DKIM": b"DKIM-Signature: v=1; a=rsa-sha256; d=author.example; s=s; h=from; bh=AAAA; b=AAAA\r\n" + MESSAGE,
    "many of them": b"DKIM-Signature: v=1; a=x; d=author.example; s=s; h=from; bh=AAAA; b=AAAA\r\n" * 40 + MESSAGE,
    "many headers": b"List-Id: <a>\r\n" * 900 + MESSAGE,
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_sealed_is_what_arrives(sealer, sink, dns, name):
    delivered = deliver(sealer, sink, BODIES[name])
    check_own_set(delivered, 1)
    assert verify(dns, delivered)[0] == dkim.CV_Pass, delivered
    assert (b"DKIM-Signature" in arc_lines(delivered)[1]) == (b"DKIM-Signature" in BODIES[name])


def test_bare_line_feeds_are_line_ends_before(sealer, sink, dns):
    delivered = deliver(sealer, sink, MESSAGE + b"one\ntwo\nthree \n\r\n")
    assert delivered.endswith(b"Hi\r\none\r\ntwo\r\nthree \r\n\r\n")
    assert verify(dns, delivered)[0] == dkim.CV_Pass


def test_tagged_mail_is_sealed_too(make_sealer, sink, dns):
    gateway = make_sealer(domain_extra="tag_score = -90 quarantine_score = 90 reject_score = 99")
    delivered = deliver(gateway, sink, MESSAGE)
    assert b"X-Spam-Flag: YES" in delivered
    check_own_set(delivered, 1)
    assert verify(dns, delivered)[0] == dkim.CV_Pass


def test_held_mail_is_not(make_sealer, sink):
    gateway = make_sealer(domain_extra="tag_score = -91 quarantine_score = -90 reject_score = 99")
    assert send(gateway, MESSAGE).code == 250
    held = gateway.held()["alice"][0]
    assert gateway.run("quarantine", "release", held).returncode == 0
    gateway.wait_event("released")
    assert not arc_lines(sink.messages()[0])


def test_a_domain_that_wants_no_seal(make_sealer, sink):
    gateway = make_sealer(domain_extra="arc_seal = false")
    assert not arc_lines(deliver(gateway, sink, MESSAGE))


def test_one_message_is_not_both(make_sealer, sink):
    also = f'domain "example.com" {{ backend = {{ "{sink.url}" }} arc_seal = %s }}'
    for seals, code in (("true", 250), ("false", 452)):
        gateway = make_sealer(extra=SEAL + also % seals)
        with gateway.smtp() as smtp:
            smtp.ehlo()
            for command, expected in (("MAIL FROM:<a@list.example>", 250), ("RCPT TO:<alice@example.net>", 250),
                                      ("RCPT TO:<alice@example.com>", code)):
                assert smtp.command(command).code == expected
        gateway.stop()
        pathlib.Path(gateway.key["file"]).unlink()


def test_off_unless_it_is_asked_for(make_sealer, sink):
    assert not arc_lines(deliver(make_sealer(extra=""), sink, MESSAGE))


# ---- who dies


def test_an_inspector_that_dies_of_a_draft_is_replaced(make_sealer, sink, dns):
    """Each dies of the second one: that of the seal, which the next one makes."""
    gateway = make_sealer(globals_extra="inspectors_per_front = 1",
                          environment={"GATEPOST_FAULT": "inspector.before-draft=kill:2"})
    gateway.expect("inspector-died")
    delivered = deliver(gateway, sink, MESSAGE)
    check_own_set(delivered, 1)
    assert verify(dns, delivered)[0] == dkim.CV_Pass


def test_without_a_seal_rather_than_not_at_all(make_sealer, sink):
    gateway = make_sealer(environment={"GATEPOST_FAULT": "inspector.before-draft=kill"})
    gateway.expect("not-signed", "inspector-died")
    for i in range(3):
        delivered = deliver(gateway, sink, MESSAGE)
        assert not arc_lines(delivered) and delivered.endswith(MESSAGE)
    assert len(gateway.events("not-signed")) == 3 and not gateway.held()


# ---- keys and configuration


def selector_of(delivered):
    return re.search(rb"; s=([^;]*);", flat(arc_lines(delivered)[0]))[1]


def test_a_new_key_signs_from_the_next_reload_on(sealer, sink, dns):
    assert selector_of(deliver(sealer, sink, MESSAGE)) == b"s1"
    make_key(sealer, "example.net", "--selector", "s2")
    assert selector_of(deliver(sealer, sink, MESSAGE)) == b"s1", "nothing changes by itself"
    assert sealer.reload()["event"] == "reloaded"
    delivered = deliver(sealer, sink, MESSAGE)
    assert selector_of(delivered) == b"s2"
    assert verify(dns, delivered)[0] == dkim.CV_Pass


def test_a_key_is_published_before_it_signs_and_withdrawn_after(sealer, sink, dns):
    following = make_key(sealer, "example.net", "--selector", "s2", "--next")
    for step, selector in ((lambda: None, b"s1"),
                           (lambda: pathlib.Path(following["file"]).touch(), b"s2"),
                           (lambda: pathlib.Path(sealer.key["file"]).unlink(), b"s2")):
        step()
        assert sealer.reload()["event"] == "reloaded"
        delivered = deliver(sealer, sink, MESSAGE)
        assert selector_of(delivered) == selector and verify(dns, delivered)[0] == dkim.CV_Pass


def test_a_key_that_is_missing_is_an_error_that_names_the_remedy(sealer, sink):
    pathlib.Path(sealer.key["file"]).unlink()
    make_key(sealer, "example.net", "--selector", "e1", "--ed25519")
    sealer.expect("reload-refused", "role-failed", "start-failed")
    assert sealer.reload()["event"] == "reload-refused"
    assert selector_of(deliver(sealer, sink, MESSAGE)) == b"s1", "the old ones go on"
    checked = sealer.run("config", "check")
    assert checked.returncode == 1
    assert re.search(r"gatepost\.conf:\d+:\d+: there is no RSA key of example\.net: `gatepost dkim keygen "
                     r"example\.net`", checked.stderr), checked.stderr


@pytest.mark.parametrize("extra, hint", [
    ('arc { seal_as = "not a domain" }', "is no domain"),
    (SEAL + ' filter "arc" { enabled = false }', 'needs filter "arc"'),
    ('arc "x" { seal_as = "example.net" }', "has no title"),
])
def test_configurations_that_are_wrong(make_gateway, extra, hint):
    checked = make_gateway(start=False, extra=extra).run("config", "check")
    assert checked.returncode == 1 and hint in checked.stderr, checked.stderr
