"""Zones that want us to ask: for one message no more than 40 questions leave the gateway, and it is answered
within 20 seconds. Counted where the questions arrive."""

import time

import pytest

from tests.fakes.dnssec import SignedDns
from tests.fakes.smtp import proxy_v1

QUESTIONS, SECONDS = 40, 20
CLIENT, REVERSE = "203.0.113.9", "9.113.0.203.in-addr.arpa"
EVIL = "evil.example"


def mail(domain=EVIL, extra=""):
    return (f"{extra}From: <a@{domain}>\r\nTo: <alice@example.net>\r\nSubject: x\r\n"
            f"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@{EVIL}>\r\n\r\nHi\r\n").encode()


def spf(text):
    return {"TXT": [text]}


def include_bomb():
    """Ten includes, each of which includes ten."""
    def ten(prefix):
        return spf("v=spf1 " + " ".join(f"include:{n}.{prefix}{EVIL}" for n in range(10)) + " -all")
    zone = {EVIL: ten("")}
    for first in range(10):
        zone[f"{first}.{EVIL}"] = ten(f"{first}.")
        for second in range(10):
            zone[f"{second}.{first}.{EVIL}"] = ten(f"{second}.{first}.")
    return zone


def cname_chains(length):
    """Ten terms, each behind a chain of aliases, as long as can be."""
    zone = {EVIL: spf("v=spf1 " + " ".join(f"a:c{n}-0.{EVIL}" for n in range(10)) + " -all")}
    for n in range(10):
        for step in range(length):
            zone[f"c{n}-{step}.{EVIL}"] = {"CNAME": [f"c{n}-{step + 1}.{EVIL}"]}
        zone[f"c{n}-{length}.{EVIL}"] = {"A": ["192.0.2.1"]}
    return zone


def keys_behind_chains():
    zone = {EVIL: spf("v=spf1 -all")}
    for n in range(10):
        zone[f"s{n}._domainkey.d{n}.{EVIL}"] = {"CNAME": [f"k{n}-0.{EVIL}"]}
        for step in range(20):
            zone[f"k{n}-{step}.{EVIL}"] = {"CNAME": [f"k{n}-{step + 1}.{EVIL}"]}
    return zone


def cname_loop():
    zone = {EVIL: spf(f"v=spf1 a:l0.{EVIL} mx:l1.{EVIL} exists:l2.{EVIL} include:l3.{EVIL} -all")}
    for n in range(5):
        zone[f"l{n}.{EVIL}"] = {"CNAME": [f"l{(n + 1) % 5}.{EVIL}"]}
    for name in (f"_dmarc.{EVIL}", REVERSE):
        zone[name] = {"CNAME": [f"l0.{EVIL}"]}
    return zone


def many_mx():
    zone = {EVIL: {**spf("v=spf1 " + " ".join(f"mx:m{n}.{EVIL}" for n in range(10)) + " -all")}}
    for n in range(10):
        zone[f"m{n}.{EVIL}"] = {"MX": [[1, f"h{n}-{m}.{EVIL}"] for m in range(10)]}
        zone.update({f"h{n}-{m}.{EVIL}": {"A": ["192.0.2.1"]} for m in range(10)})
    return zone


def ptr_flood():
    names = [f"p{n}.{EVIL}" for n in range(300)]
    zone = {REVERSE: {"PTR": names}, EVIL: spf(f"v=spf1 ptr ptr:{EVIL} exists:%{{p}}.{EVIL} -all")}
    zone.update({name: {"A": ["192.0.2.1"]} for name in names})
    return zone


def large_txt():
    text = "v=spf1 " + " ".join(f"ip4:192.0.{n % 256}.{n // 256}" for n in range(3900)) + " -all"
    return {EVIL: spf(text[:63000]), f"_dmarc.{EVIL}": {"TXT": ["v=DMARC1; p=none; rua=" + "x" * 63000]}}


def macros():
    terms = " ".join(f"exists:%{{i}}.%{{l}}.%{{h}}.{n}.{EVIL}" for n in range(10))
    return {EVIL: spf(f"v=spf1 {terms} -all")}


def slow_everything():
    zone = {EVIL: spf("v=spf1 " + " ".join(f"include:s{n}.{EVIL}" for n in range(10)) + " -all")}
    zone.update({f"s{n}.{EVIL}": {"rcode": "TIMEOUT"} for n in range(10)})
    zone.update({f"_dmarc.{EVIL}": {"rcode": "TIMEOUT"}, REVERSE: {"rcode": "TIMEOUT"}})
    return zone


def broken_everything():
    zone = slow_everything()
    return {name: {"rcode": "SERVFAIL"} if "rcode" in entry else entry for name, entry in zone.items()}


def signatures(count, domain="d{n}." + EVIL):
    one = ("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={d}; s=s{n}; h=from;\r\n"
           " bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=dGVzdA==\r\n")
    return "".join(one.format(n=n, d=domain.format(n=n)) for n in range(count))


DEEP = ".".join(["x"] * 110 + [EVIL])

CASES = {
    "include bomb": (include_bomb(), mail()),
    "CNAME chains of 3": (cname_chains(3), mail()),
    "CNAME chains of 8": (cname_chains(8), mail()),
    "CNAME chains of 100": (cname_chains(100), mail()),
    "CNAME loop": (cname_loop(), mail()),
    "many MX": (many_mx(), mail()),
    "PTR flood": (ptr_flood(), mail()),
    "64 kB of TXT": (large_txt(), mail()),
    "macros": (macros(), mail()),
    "broken": (broken_everything(), mail()),
    "DMARC walk": ({EVIL: spf("v=spf1 -all")}, mail(DEEP)),
    "keys behind chains": (keys_behind_chains(), mail(extra=signatures(100))),
    "100 signatures": ({EVIL: spf("v=spf1 -all")}, mail(extra=signatures(100))),
    "100 signatures with walks": (include_bomb(), mail(DEEP, signatures(100, "x" + ".x" * 100 + ".d{n}." + EVIL))),
    "all at once": ({**include_bomb(), **ptr_flood(), **keys_behind_chains(), EVIL: include_bomb()[EVIL]},
                    mail(DEEP, signatures(100, "x" + ".x" * 100 + ".d{n}." + EVIL))),
}


def count(gateway, dns, message, sender=f"a@{EVIL}"):
    """How many questions came, and how long it took. All that is asked is asked before the answer."""
    before, begin = len(dns.questions), time.monotonic()
    with gateway.smtp(proxy=proxy_v1(CLIENT)) as smtp:
        smtp.ehlo(EVIL)
        reply = smtp.message(message, sender=sender)
    assert reply.code // 100 in (2, 5), reply
    return len(dns.questions) - before, time.monotonic() - begin


@pytest.fixture
def exposed(make_gateway, sink):
    """DNS lists are off: what they ask is not the sender's to choose."""
    return lambda **keywords: make_gateway(
        backend=sink.url, listeners={"127.0.0.1:0": 'proxy_protocol_from = "127.0.0.1"'},
        **{"extra": 'filter "dnsbl" { enabled = false }', **keywords})


@pytest.mark.parametrize("steps", ["forwarder", "recursion"])
@pytest.mark.parametrize("name", CASES)
def test_questions_of_one_message(exposed, dns, name, steps):
    """A forwarder follows aliases by itself; who recurses has to ask for each step."""
    zone, message = CASES[name]
    dns.zone.update(zone)
    dns.follows = steps == "forwarder"
    asked, seconds = count(exposed(), dns, message)
    assert asked < QUESTIONS and seconds < SECONDS


def heavy():
    """What large honest senders have: 8 includes, 2 mx of 5 hosts, keys at a provider, a deep name."""
    domain, key = f"mail.news.{EVIL}", "v=DKIM1; p=MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
    zone = {domain: spf("v=spf1 " + " ".join(f"include:s{n}.{EVIL}" for n in range(8))
                        + f" mx:m0.{EVIL} mx:m1.{EVIL} -all"),
            REVERSE: {"PTR": [f"out.{EVIL}"]}, f"out.{EVIL}": {"A": [CLIENT]},
            f"_dmarc.{EVIL}": {"CNAME": [f"a.dmarc.{EVIL}"]}, f"a.dmarc.{EVIL}": {"CNAME": [f"b.dmarc.{EVIL}"]},
            f"b.dmarc.{EVIL}": {"TXT": ["v=DMARC1; p=reject"]}}
    zone.update({f"s{n}.{EVIL}": spf("v=spf1 ip4:192.0.2.1 ?all") for n in range(8)})
    for n in range(2):
        zone[f"m{n}.{EVIL}"] = {"MX": [[1, f"h{n}-{m}.{EVIL}"] for m in range(5)]}
        zone.update({f"h{n}-{m}.{EVIL}": {"A": ["192.0.2.1" if (n, m) != (1, 4) else CLIENT]} for m in range(5)})
        zone[f"s{n}._domainkey.{domain}"] = {"CNAME": [f"k{n}.{EVIL}"]}
        zone[f"k{n}.{EVIL}"] = {"CNAME": [f"p{n}.{EVIL}"]}
        zone[f"p{n}.{EVIL}"] = {"TXT": [key]}
    return domain, zone


@pytest.mark.parametrize("steps", ["forwarder", "recursion"])
def test_a_heavy_sender_that_is_honest(exposed, dns, sink, steps):
    domain, zone = heavy()
    dns.zone.update(zone)
    dns.follows = steps == "forwarder"
    asked, _ = count(exposed(), dns, mail(domain, signatures(2, domain)), f"a@{domain}")
    assert asked < QUESTIONS
    found = sink.messages()[0].split(b"From: <a@")[0]
    assert b"spf=pass" in found and b"iprev=pass" in found, found
    assert found.count(b"dkim=") == 2 and b"dmarc=" in found and b"temperror" not in found, found


@pytest.mark.parametrize("length, result", [(8, "pass"), (9, "temperror")])
def test_aliases_are_followed(exposed, dns, sink, length, result):
    dns.follows = False
    dns.zone[EVIL] = spf(f"v=spf1 a:c0.{EVIL} -all")
    dns.zone.update({f"c{n}.{EVIL}": {"CNAME": [f"c{n + 1}.{EVIL}"]} for n in range(length)})
    dns.zone[f"c{length}.{EVIL}"] = {"A": [CLIENT]}
    count(exposed(), dns, mail())
    assert f"spf={result}".encode() in sink.messages()[0]


def test_slow_answers(exposed, dns):
    """By the time-outs that hold when nothing is configured."""
    dns.zone.update(slow_everything())
    section = f'dns {{ forward = "{dns.address}" }} filter "dnsbl" {{ enabled = false }}'
    asked, seconds = count(exposed(dns=None, extra=section), dns, mail(extra=signatures(100)))
    assert asked < QUESTIONS and seconds < SECONDS


def test_what_does_not_exist_is_remembered(exposed, dns):
    dns.negative_ttl = 300
    dns.zone[EVIL] = spf(f"v=spf1 a:gone1.{EVIL} -all")
    gateway = exposed()
    count(gateway, dns, mail())
    for name, kind in ((f"gone1.{EVIL}", "A"), (f"_dmarc.{EVIL}", "TXT")):
        assert dns.asked(name, kind) == 1, name
    count(gateway, dns, mail())
    for name, kind in ((f"gone1.{EVIL}", "A"), (f"_dmarc.{EVIL}", "TXT")):
        assert dns.asked(name, kind) == 1, name


def test_questions_go_out_before_the_message_comes(exposed, dns, sink):
    dns.zone.update({EVIL: spf(f"v=spf1 a:host.{EVIL} -all"), REVERSE: {"PTR": [f"host.{EVIL}"]},
                     f"host.{EVIL}": {"A": [CLIENT]}})
    gateway = exposed()
    with gateway.smtp(proxy=proxy_v1(CLIENT)) as smtp:
        dns.wait_asked(REVERSE, "PTR")
        smtp.ehlo(EVIL)
        dns.hold(EVIL)  # nobody waits for it at MAIL
        assert smtp.command(f"MAIL FROM:<a@{EVIL}>").code == 250
        dns.wait_asked(EVIL, "TXT")
        assert smtp.command("RCPT TO:<alice@example.net>").code == 250
        dns.release(EVIL)
        assert smtp.data(mail()).code == 250
        assert dns.asked(EVIL, "TXT") == 1
    assert b"spf=pass" in sink.messages()[0]


@pytest.mark.parametrize("name", ["evil\r\nX-Injected: yes.example", "a b\x00.example", "\x1b[31mred.example",
                                  "<script>.example", "\xe4\xff.example", "\"q\".example", "x" * 63 + ".;dmarc=pass"])
def test_odd_names_reach_no_header_and_no_log(exposed, dns, sink, name):
    dns.zone.update({REVERSE: {"PTR": [name]}, EVIL: spf("v=spf1 ptr -all")})
    gateway = exposed()
    count(gateway, dns, mail())
    ours = sink.messages()[0].split(b"From: <a@")[0]
    for line in ours.split(b"\r\n"):
        assert all(32 <= octet < 127 or octet == 9 for octet in line), line
    for piece in (b"injected", b"script", b"31mred", b"dmarc=pass", b"xxxxxxxx"):
        assert piece not in ours.lower(), ours
    gateway.wait_event("message")
    logged = gateway.tail()
    assert "X-Injected" not in logged and "<script>" not in logged and "\x1b" not in logged
    assert not gateway.noise, "every line of the log is one of JSON"


def test_dnssec(exposed, folder, sink):
    apex = "signed.example"
    dns = SignedDns(apex, {apex: {}, f"good.{apex}": spf(f"v=spf1 ip4:{CLIENT} -all"),
                           f"bad.{apex}": spf(f"v=spf1 ip4:{CLIENT} -all"),
                           f"bare.{apex}": spf(f"v=spf1 ip4:{CLIENT} -all"),
                           "unsigned.example": spf(f"v=spf1 ip4:{CLIENT} -all")})
    dns.broken.add(f"bad.{apex}")
    dns.bare.add(f"bare.{apex}")
    anchor = folder / "anchor"
    anchor.write_text(dns.anchor)
    anchor.chmod(0o644)
    gateway = exposed(dns=None, extra=(
        f'dns {{ forward = "{dns.address}" trust_anchor = "{anchor}" timeout = 4s }} '
        'filter "dnsbl" { enabled = false } filter "iprev" { enabled = false }'))
    try:
        for domain, result in ((f"good.{apex}", "pass"), (f"bad.{apex}", "temperror"),
                               (f"bare.{apex}", "temperror"),
                               ("unsigned.example", "pass")):
            with gateway.smtp(proxy=proxy_v1(CLIENT)) as smtp:
                smtp.ehlo("client.example")
                smtp.message(mail(domain), sender=f"a@{domain}")
            ours = next(m for m in sink.messages() if b"smtp.mailfrom=a@" + domain.encode() in m)
            ours = ours.replace(b"\r\n ", b" ")
            assert f"spf={result} smtp.mailfrom=a@{domain}".encode() in ours, ours
    finally:
        dns.close()


def test_trust_anchor_that_is_none(exposed, folder):
    gateway = exposed(start=False, dns=None, extra=f'dns {{ trust_anchor = "{folder}/nothing" }}')
    gateway.expect("role-failed", "start-failed")
    done = gateway.run("check", "--json")
    assert done.returncode == 1 and "trust anchor" in done.stderr, done
