"""`gatepost doctor`: what is right, what to change, and the record to copy; by a scripted DNS."""

import json
import os
import time

import pytest

from tests.fakes.dnssec import SignedDns
from tests.fakes.gateway import environment, runs_as_nobody
from tests.fakes.https import Authority, Https, text

GOOD = {
    "": {"NS": ["ns.example"]},
    "example.net": {"MX": [[10, "mx.example.net"]], "TXT": ["v=spf1 mx ip4:192.0.2.0/24 -all", "other=1"]},
    "mx.example.net": {"A": ["1.2.3.4"], "CAA": [[0, "issue", "letsencrypt.org"]]},
    "4.3.2.1.in-addr.arpa": {"PTR": ["mx.example.net"]},
    "_dmarc.example.net": {"TXT": ["v=DMARC1; p=reject; rua=mailto:d@example.net"]},
    "_mta-sts.example.net": {"TXT": ["v=STSv1; id=20261120"]},
    "mta-sts.example.net": {"A": ["127.0.0.1"]},
    "_smtp._tls.example.net": {"TXT": ["v=TLSRPTv1; rua=mailto:t@example.net"]},
}


POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.net\r\nmax_age: 604800\r\n"


class Doctor:
    def __init__(self, gateway, *more, authority=None):
        self.gateway = gateway
        self.more = more
        self.environment = {**environment(), **({"SSL_CERT_FILE": str(authority.path)} if authority else {})}

    def run(self, *arguments, **keywords):
        return self.gateway.run("doctor", *arguments, *self.more, env=self.environment, **keywords)

    def ask(self, *arguments):
        """Exit code and findings, by the check's name."""
        done = self.run("--json", *arguments)
        assert done.returncode in (0, 1) and not done.stderr, done
        said = json.loads(done.stdout)
        assert said["right"] == (done.returncode == 0)
        found = {}
        for check in said["checks"]:
            assert list(check) == ["check", "state", "text", "record"], check
            found.setdefault(check["check"], []).append(check)
        return done.returncode, found


@pytest.fixture
def authority(folder):
    return Authority(folder)


@pytest.fixture
def website(authority, closing):
    """Where the policy of MTA-STS is."""
    server = Https(*authority.issue("mta-sts.example.net"))
    server.reply = text(POLICY)
    closing.add(server.close)
    return server


def pair(paths):
    return f'tls_certificate = "{paths[0]}" tls_key = "{paths[1]}"'


@pytest.fixture
def make_doctor(make_gateway, dns, authority, website):
    def make(inside=None):
        dns.zone.update({name: dict(entry) for name, entry in GOOD.items()})
        inside = pair(authority.issue("mx.example.net", url="http://r10.i.lencr.org/")) if inside is None else inside
        return Doctor(make_gateway(start=False, listeners={"127.0.0.1:0": inside}), "--sts-port", website.port,
                      authority=authority)
    return make


@pytest.fixture
def doctor(make_doctor):
    return make_doctor()


def states(found):
    return {name: [check["state"] for check in checks] for name, checks in found.items()}


def test_a_domain_that_is_right(doctor):
    code, found = doctor.ask("Example.NET.")
    assert found.pop("dkim")[0]["record"] == "gatepost dkim keygen example.net"
    assert code == 0 and set(sum(states(found).values(), [])) == {"right"}, found
    assert {"mx", "address", "ptr", "spf", "dmarc", "mta-sts", "tls-rpt", "caa"} <= set(found)
    shown = doctor.run("example.net")
    assert shown.returncode == 0 and "0 to change" in shown.stdout


def change(name, **records):
    """What the zone has at a name instead."""
    return name, records


@pytest.mark.parametrize("where, check, words, record", [
    (change("example.net", TXT=["v=spf1 -all"]), "mx", "has no MX", "example.net. IN MX 10 mx.example.net."),
    (change("example.net", rcode="SERVFAIL"), "mx", "SERVFAIL", None),
    (change("example.net", MX=[[0, "."]]), "mx", "null MX", "example.net. IN MX 10 mx.example.net."),
    (change("example.net", MX=[[5, "192.0.2.1"]]), "mx", "is no host name", "example.net. IN MX 5 mx.example.net."),
    (change("example.net", MX=[[5, "gone.example.net"]]), "mx", "has no address", None),
    (change("example.net", MX=[[5, "mta-sts.example"]]), "mx", "No MX of example.net leads to this host",
     "example.net. IN MX 10 mx.example.net."),
    (change("mx.example.net", CNAME=["mta-sts.example.net"]), "mx", "alias (CNAME)",
     "example.net. IN MX 10 mta-sts.example.net."),
    (change("mx.example.net", TXT=["x"]), "address", "has no address", "mx.example.net. IN A ADDRESS"),
    (change("4.3.2.1.in-addr.arpa", TXT=["x"]), "ptr", "has no name", "4.3.2.1.in-addr.arpa. IN PTR mx.example.net."),
    (change("4.3.2.1.in-addr.arpa", PTR=["ns.example"]), "ptr", "does not lead back",
     "4.3.2.1.in-addr.arpa. IN PTR mx.example.net."),
    (change("example.net", MX=[[10, "mx.example.net"]]), "spf", "has no SPF record",
     'example.net. IN TXT "v=spf1 mx -all"'),
    (change("example.net", MX=[[10, "mx.example.net"]], TXT=["v=spf1 -all", "v=spf1 +all"]), "spf",
     "2 SPF records", None),
    (change("example.net", TXT=["v=spf1 mx +all"]), "spf", "ends in +all", None),
    (change("example.net", TXT=["v=spf1 mx"]), "spf", 'ends in no "all"', 'example.net. IN TXT "v=spf1 mx -all"'),
    (change("example.net", TXT=["v=spf1 ipv4:1.2.3.4 -all"]), "spf", "is broken", None),
    (change("example.net", TXT=["v=spf1 include:loop.example.net -all"]), "spf", "no valid one", None),
    (change("example.net", TXT=["v=spf1 include:example.net -all"]), "spf", "more than 10 look-ups", None),
    (change("example.net", TXT=["v=spf1 " + "a:mx.example.net " * 11 + "-all"]), "spf", "more than 10", None),
    (change("_dmarc.example.net", A=["1.2.3.4"]), "dmarc", "has no DMARC record",
     '_dmarc.example.net. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@example.net"'),
    (change("_dmarc.example.net", TXT=["v=DMARC1; p=no"]), "dmarc", "no valid policy",
     '_dmarc.example.net. IN TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@example.net"'),
    (change("_dmarc.example.net", TXT=["v=DMARC1; p=none", "v=DMARC1; p=reject"]), "dmarc", "2 DMARC", None),
    (change("_dmarc.example.net", TXT=["v=DMARC1; p=reject; rua=mailto:a@reports.example!10m"]), "dmarc",
     "does not agree", 'example.net._report._dmarc.reports.example. IN TXT "v=DMARC1"'),
    (change("_mta-sts.example.net", TXT=["v=STSv1"]), "mta-sts", "has no id", None),
    (change("_mta-sts.example.net", TXT=["v=STSv1; id=2026-11"]), "mta-sts", "has no id", None),
    (change("mta-sts.example.net", TXT=["x"]), "mta-sts", "has no address", None),
    (change("_smtp._tls.example.net", TXT=["v=TLSRPTv1"]), "tls-rpt", "nowhere",
     '_smtp._tls.example.net. IN TXT "v=TLSRPTv1; rua=mailto:postmaster@example.net"'),
    (change("mx.example.net", A=["1.2.3.4"], CAA=[[0, "issue", ";"]]), "caa", "forbid every authority",
     'mx.example.net. IN CAA 0 issue "letsencrypt.org"'),
    (change("mx.example.net", A=["1.2.3.4"], CAA={"rcode": "SERVFAIL"}), "caa", "SERVFAIL", None),
])
def test_what_has_to_be_changed(doctor, dns, where, check, words, record):
    dns.zone[where[0]] = where[1]
    dns.zone["mta-sts.example"] = {"A": ["1.2.3.5"]}
    code, found = doctor.ask("example.net")
    said = [c for c in found[check] if c["state"] == "wrong" and words in c["text"]]
    assert code == 1 and said, found[check]
    assert record is None or record in [c["record"] for c in said], said


@pytest.mark.parametrize("where, check, words", [
    (change("example.net", MX=[[10, "mx.example.net"], [20, "mx2.example.net"]], TXT=["v=spf1 -all"]), "mx",
     "not this host"),
    (change("example.net", MX=[[10, "mx.example.net"]], TXT=["v=spf1 ptr -all"]), "spf", '"ptr"'),
    (change("_dmarc.example.net", TXT=["v=DMARC1; p=none; rua=mailto:d@example.net"]), "dmarc", "asks for nothing"),
    (change("_dmarc.example.net", TXT=["v=DMARC1; p=reject"]), "dmarc", "no rua"),
    (change("_mta-sts.example.net", A=["1.2.3.4"]), "mta-sts", "has no MTA-STS"),
    (change("_smtp._tls.example.net", A=["1.2.3.4"]), "tls-rpt", "has no TLS-RPT"),
])
def test_what_could_be_better_is_no_failure(doctor, dns, website, where, check, words):
    website.reply = text(POLICY + "mx: mx2.example.net")
    dns.zone["mx2.example.net"] = {"A": ["1.2.3.9"]}
    dns.zone[where[0]] = where[1]
    code, found = doctor.ask("example.net")
    assert code == 0 and [c for c in found[check] if c["state"] == "advice" and words in c["text"]], found


def test_a_policy_further_up_holds(doctor, dns):
    del dns.zone["_dmarc.example.net"]
    dns.zone["_dmarc.net"] = {"TXT": ["v=DMARC1; p=none; sp=quarantine; psd=y; rua=mailto:a@example.net"]}
    _, found = doctor.ask("example.net")
    assert found["dmarc"][0]["state"] == "right" and "at net" in found["dmarc"][0]["text"], found["dmarc"]


@pytest.mark.parametrize("kind", [[], ["--ed25519"]])
def test_dkim_keys(doctor, dns, kind):
    doctor.gateway.set_up()
    made = doctor.gateway.run("dkim", "keygen", "--json", *kind, "example.net")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    code, found = doctor.ask("example.net")
    assert code == 1 and "is not published" in found["dkim"][0]["text"]
    record = found["dkim"][0]["record"]
    name, text = record.split(" IN TXT ")
    assert name == key["name"] + "." and text.strip('"').replace('" "', "") == key["value"]
    dns.zone[key["name"]] = {"TXT": [key["value"]]}
    code, found = doctor.ask("example.net")
    assert code == 0 and found["dkim"][0]["state"] == "right", found["dkim"]
    wrong = key["value"][:-12] + "AAAA" + key["value"][-8:]
    for published in (wrong, "v=DKIM1; p=", "v=spf1 -all", "v=DKIM1; k=rsa; p=x" * 3):
        dns.zone[key["name"]] = {"TXT": [published]}
        code, found = doctor.ask("example.net")
        assert code == 1 and "does not belong" in found["dkim"][0]["text"], found["dkim"]


def test_hostile_answers_are_shown_harmlessly(doctor, dns):
    dns.zone["example.net"]["TXT"] = ["v=spf1 include:a\x1b[31m.example -all"]
    dns.zone["4.3.2.1.in-addr.arpa"] = {"PTR": ["evil\x1b[2J\nname.example"]}
    dns.zone["_dmarc.example.net"]["TXT"] = ["v=DMARC1; p=reject; rua=mailto:x@\x07.example"]
    for arguments in ([], ["--json"]):
        done = doctor.run("example.net", *arguments, text=False)
        assert done.returncode == 1
        assert not any(octet < 32 and octet != 10 or octet == 127 for octet in done.stdout), done.stdout


def test_wrong_use(doctor):
    assert doctor.gateway.run("doctor", "no domain").returncode == 2
    assert doctor.gateway.run("doctor", "a.example", "b.example").returncode == 2
    _, found = doctor.ask("elsewhere.example")
    assert "no section for elsewhere.example" in found["domain"][0]["text"]


# ---- MTA-STS

def said(found, state):
    return [c["text"] for c in found["mta-sts"] if c["state"] == state]


def policy(mode="enforce", mx="mx.example.net", max_age=604800):
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age}\n"


def test_the_policy_is_fetched(doctor, website):
    _, found = doctor.ask("example.net")
    assert len(website.requests) == 1
    assert website.requests[0].startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.net\r\n")
    assert any("is enforced" in text for text in said(found, "right")), found["mta-sts"]
    assert any("is right for mx.example.net" in text for text in said(found, "right")), found["mta-sts"]


@pytest.mark.parametrize("reply, words", [
    (text("gone", "404 Not Found"), "HTTP status 404"),
    (text("", "301 Moved Permanently", more="Location: https://elsewhere.example/\r\n"), "no redirection"),
    (text(POLICY, kind="text/html"), 'served as "text/html"'),
    (text(POLICY, kind="x\x1b[2J"), 'served as "x'),
    (text("<html>"), 'line 1 is not "name: value"'),
    (text(policy(mode="maybe")), 'no valid value for "mode"'),
    (text(policy(mx="mx.*.net")), 'no valid value for "mx"'),
    (text(policy(max_age=31557601)), 'no valid value for "max_age"'),
    (text("version: STSv1\nmode: enforce\nmax_age: 86400\n"), 'it has no "mx"'),
    (text(policy(mx="*.mx.example.net")), "does not name the MX mx.example.net"),
    (text(b"\0" * 70000), "larger than 65536"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFF\r\n", "does not speak HTTP"),
    (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 90000, "larger than 65536"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nversion: STSv1", "cut short"),
    (b"SSH-2.0-x\r\n", "does not speak HTTP"),
    (b"", "cut short"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_policy_that_is_wrong(doctor, website, reply, words):
    website.reply = reply
    code, found = doctor.ask("example.net")
    assert code == 1 and any(words in text for text in said(found, "wrong")), found["mta-sts"]
    assert not any("\x1b" in text for text in said(found, "wrong"))


@pytest.mark.parametrize("reply", [
    b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n10;x=y\r\nversion: STSv1\r\n\r\n"
    b"38\r\nmode: enforce\nmx: *.example.net\nmax_age: 604800\nother: x\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.0 200 OK\nContent-Type: Text/Plain\n\n" + POLICY.encode(),
    text(policy() + "mode: none\nmax_age: 1\nversion: STSv2"),  # of two the first counts
], ids=["chunked", "1.0", "twice"])
def test_a_policy_in_another_form(doctor, website, reply):
    website.reply = reply
    code, found = doctor.ask("example.net")
    assert code == 0 and set(states(found)["mta-sts"]) == {"right"}, found["mta-sts"]


@pytest.mark.parametrize("reply, words, mode", [
    (text(policy(mode="testing")), "is in testing", "enforce"),
    (text("version: STSv1\nmode: none\nmax_age: 0\n"), "nothing is protected", "testing"),
    (text(policy(max_age=3600)), "3600 seconds", None),
], ids=["testing", "none", "short"])
def test_a_policy_that_could_be_better(doctor, website, reply, words, mode):
    website.reply = reply
    code, found = doctor.ask("example.net")
    assert code == 0
    advice = [c for c in found["mta-sts"] if c["state"] == "advice" and words in c["text"]]
    assert advice, found["mta-sts"]
    if mode:
        assert advice[0]["record"] == \
            f"version: STSv1\nmode: {mode}\nmx: mx.example.net\nmax_age: 604800"
        shown = doctor.run("example.net").stdout.splitlines()
        assert f"{'':20} mode: {mode}" in shown and f"{'':20} mx: mx.example.net" in shown


def test_the_certificate_of_the_policy_must_be_right(doctor, authority, website, folder, closing):
    for certificate, words in ((authority.issue("elsewhere.example"), "hostname mismatch"),
                               (authority.issue("mta-sts.example.net", days=-1), "expired"),
                               (Authority(folder).issue("mta-sts.example.net"), "certificate")):
        server = Https(*certificate)
        server.reply = text(POLICY)
        closing.add(server.close)
        doctor.more = ("--sts-port", server.port)
        code, found = doctor.ask("example.net")
        assert code == 1 and any("cannot be fetched" in text and words in text for text in said(found, "wrong")), found["mta-sts"]
        assert not server.requests


@pytest.mark.parametrize("mode, code, state", [("enforce", 1, "wrong"), ("testing", 0, "advice")])
@pytest.mark.parametrize("kind, words", [
    ("none", "self-signed"), ("other", "is not for that name"), ("untrusted", "is not trusted"),
])
def test_the_certificate_that_the_policy_asks_for(make_doctor, website, authority, folder, kind, words, mode, code,
                                                  state):
    issuer, name = {"none": (None, ""), "other": (authority, "mx.example.org"),
                    "untrusted": (Authority(folder), "mx.example.net")}[kind]
    doctor = make_doctor(pair(issuer.issue(name)) if issuer else "")
    website.reply = text(policy(mode=mode))
    got, found = doctor.ask("example.net")
    assert got == code and any(words in text for text in said(found, state)), found["mta-sts"]


def test_listeners_that_strangers_do_not_see(make_gateway, dns, authority, folder, website):
    dns.zone.update({name: dict(entry) for name, entry in GOOD.items()})
    right, wrong = pair(authority.issue("mx.example.net", url=LE)), pair(Authority(folder).issue("out.example.net"))

    def ask(public):
        extra = 'outbound { relay = "smtp://127.0.0.1:9" }'
        gateway = make_gateway(start=False, extra=extra, listeners={
            "127.0.0.1:0": f'{wrong} outbound_from = {{ "127.0.0.1" }}', "127.0.0.2:0": public})
        return Doctor(gateway, "--sts-port", website.port, authority=authority).ask("example.net")

    code, found = ask(right)
    assert code == 0 and "127.0.0.2:0" in said(found, "right")[-1], found["mta-sts"]
    code, found = ask('tls = "off"')
    assert code == 1 and any("No listener offers TLS" in text for text in said(found, "wrong")), found["mta-sts"]


def test_nobody_serves_the_policy(doctor, website, dns):
    website.close()
    dns.zone["mta-sts.example.net"] = {"A": ["127.0.0.2", "127.0.0.1"]}
    code, found = doctor.ask("example.net")
    assert code == 1 and any("Connection refused" in text for text in said(found, "wrong")), found["mta-sts"]


# ---- CAA, TLSA

LE, DIGICERT = "http://r10.i.lencr.org/", "http://cacerts.digicert.com/x.crt"


@pytest.mark.parametrize("url, where, permitted, state, words", [
    (LE, "mx.example.net", ["letsencrypt.org; validationmethods=dns-01"], "right", "which CAA permits"),
    (LE, "net", ["example.org", "letsencrypt.org"], "right", "which CAA permits"),
    (LE, "example.net", ["digicert.com"], "wrong", "will not be renewed"),
    (DIGICERT, "example.net", ["letsencrypt.org", "digicert.com"], "right", "which CAA permits"),
    # They could be one and the same, for all that can be known here.
    (DIGICERT, "example.net", ["www.digicert.com"], "advice", 'from "An Authority"'),
    (None, "example.net", ["letsencrypt.org"], "advice", 'from "An Authority"'),
    ("mailto:x", "example.net", ["letsencrypt.org"], "advice", "If these are not the same"),
])
def test_caa_and_the_issuer(make_doctor, authority, dns, url, where, permitted, state, words):
    doctor = make_doctor(pair(authority.issue("mx.example.net", url=url)))
    del dns.zone["mx.example.net"]["CAA"]
    dns.zone.setdefault(where, {})["CAA"] = [[0, "issue", issuer] for issuer in permitted]
    _, found = doctor.ask("example.net")
    assert any(c["state"] == state and words in c["text"] for c in found["caa"]), found["caa"]
    assert state == "wrong" or "wrong" not in states(found)["caa"]


def test_caa_of_the_policy_s_site(doctor, dns):
    dns.zone["mta-sts.example.net"]["CAA"] = [[0, "issue", ";"]]
    code, found = doctor.ask("example.net")
    assert code == 1 and [c["text"] for c in found["caa"] if c["state"] == "wrong"] == [
        "CAA records forbid every authority to issue a certificate for mta-sts.example.net."]
    del dns.zone["_mta-sts.example.net"]
    assert "wrong" not in states(doctor.ask("example.net")[1])["caa"]


def digest(certificate):
    """What "3 1 1" has of it."""
    import hashlib
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER,
                                           serialization.PublicFormat.SubjectPublicKeyInfo)).digest()


def test_tlsa(make_gateway, authority, folder, closing):
    certificate, key = authority.issue("mx.example.net")
    dns = SignedDns("example.net", {name: dict(entry) for name, entry in GOOD.items()})
    closing.add(dns.close)
    (folder / "anchor").write_text(dns.anchor)
    (folder / "anchor").chmod(0o644)
    doctor = Doctor(make_gateway(start=False, dns=None, listeners={"127.0.0.1:0": pair((certificate, key))}, extra=(
        f'dns {{ forward = "{dns.address}" trust_anchor = "{folder}/anchor" timeout = 4s }}')), authority=authority)
    promised = "_25._tcp.mx.example.net"

    def tlsa(*records):
        dns.zone[promised] = {"TLSA": [list(record) for record in records]}
        return doctor.ask("example.net")[1]["tlsa"]

    assert [c["state"] for c in tlsa([3, 1, 1, b"x" * 32], [3, 1, 1, digest(certificate)])] == ["right"]
    # Neither usage 1 nor another selector.
    for wrong in ([1, 1, 1, digest(certificate)], [3, 0, 1, digest(certificate)], [3, 1, 7, digest(certificate)],
                  [2, 1, 1, digest(certificate)], [3, 1, 1, b""]):
        said_of = tlsa(wrong)
        assert [c["state"] for c in said_of] == ["wrong"], said_of
        assert said_of[0]["record"] == f"{promised}. IN TLSA 3 1 1 {digest(certificate).hex()}"
    chain = authority.path.read_bytes()
    certificate.write_bytes(certificate.read_bytes() + chain)
    assert [c["state"] for c in tlsa([2, 1, 1, digest(authority.path)])] == ["right"]


@pytest.mark.parametrize("way, state", [
    (["a.example.net"], "right"),
    (["outside.example"], "advice"),
    (["outside.example", "a.example.net"], "advice"),
])
def test_tlsa_behind_aliases(make_gateway, authority, folder, closing, way, state):
    """Validated is what was so at each step: not what an alias in an unsigned zone leads to."""
    certificate, key = authority.issue("mx.example.net")
    dns = SignedDns("example.net", {name: dict(entry) for name, entry in GOOD.items()})
    closing.add(dns.close)
    dns.follows = False
    (folder / "anchor").write_text(dns.anchor)
    (folder / "anchor").chmod(0o644)
    names = ["_25._tcp.mx.example.net", *way]
    dns.zone.update({name: {"CNAME": [to]} for name, to in zip(names, way)})
    dns.zone[way[-1]] = {"TLSA": [[3, 1, 1, digest(certificate)]]}
    doctor = Doctor(make_gateway(start=False, dns=None, listeners={"127.0.0.1:0": pair((certificate, key))}, extra=(
        f'dns {{ forward = "{dns.address}" trust_anchor = "{folder}/anchor" timeout = 4s }}')), authority=authority)
    found = doctor.ask("example.net")[1]["tlsa"]
    assert [c["state"] for c in found] == [state], found


def test_tlsa_without_dnssec(doctor, dns):
    dns.zone["_25._tcp.mx.example.net"] = {"TLSA": [[3, 1, 1, b"x" * 32]]}
    code, found = doctor.ask("example.net")
    assert code == 0 and [c["state"] for c in found["tlsa"]] == ["advice"]


# ---- this host

LISTS = ("zen.spamhaus.org", "bl.spamcop.net", "psbl.surriel.org", "bl.mailspike.net", "list.dnswl.org")


def lists(dns, code="127.0.0.2"):
    for zone in LISTS:
        dns.zone[f"2.0.0.127.{zone}"] = {"A": [code]}
    for zone in ("dbl.spamhaus.org", "multi.surbl.org"):
        dns.zone[f"test.{zone}"] = {"A": ["127.0.1.2"]}


@pytest.fixture
def host(make_gateway, dns, folder, sink, authority):
    """A host on which all is right, and what a test changes of it."""
    dns.zone.update({name: dict(entry) for name, entry in GOOD.items()})
    lists(dns)
    signatures = folder / "signatures"
    signatures.mkdir()
    (signatures / "daily.cvd").write_text("x")
    signatures.chmod(0o755)

    def make(inside=None, backend=sink.url, **keywords):
        inside = pair(authority.issue("mx.example.net")) if inside is None else inside
        gateway = make_gateway(start=False, backend=backend, listeners={"127.0.0.1:0": inside}, extra=(
            f'filter "clamav" {{ database = "{signatures}" }}'), **keywords)
        gateway.state.mkdir()
        if runs_as_nobody():
            os.chown(gateway.state, 65534, 65534)
        return Doctor(gateway, authority=authority)
    make.signatures = signatures / "daily.cvd"
    make.folder = folder
    return make


def test_a_host_that_is_right(host):
    code, found = host().ask()
    wrong = [c for checks in found.values() for c in checks if c["state"] == "wrong" and c["check"] != "disk"]
    assert not wrong, wrong
    assert code == (found["disk"][0]["state"] == "wrong")
    assert {"resolver", "dnssec", "dnsbl", "backend", "certificate", "antivirus", "clock", "state",
            "disk"} <= set(found)
    assert len(found["dnsbl"]) == 7 and found["certificate"][0]["state"] == "right"


def test_the_key_that_seals_is_the_hosts(host, dns):
    doctor = host(globals_extra='arc { seal_as = "arc.example.net" }')
    doctor.gateway.set_up()
    made = doctor.gateway.run("dkim", "keygen", "--json", "arc.example.net")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    code, found = doctor.ask()
    assert code == 1 and "is not published" in found["dkim"][0]["text"]
    dns.zone[key["name"]] = {"TXT": [key["value"]]}
    assert doctor.ask()[1]["dkim"][0]["state"] == "right"


def wrong_of(found, check):
    return " ".join(c["text"] for c in found[check] if c["state"] == "wrong")


@pytest.mark.parametrize("changed, words", [
    ({"days": -3}, "expired 3 days ago"), ({"days": 5}, "renew it"),
    ({"name": "mail.example.org"}, "is not for mx.example.net"), ({"key_of": "other"}, "does not belong"),
])
def test_certificates(host, authority, changed, words):
    code, found = host(pair(authority.issue(**{"name": "mx.example.net", **changed}))).ask()
    assert code == 1 and words in wrong_of(found, "certificate"), found["certificate"]


def test_files_of_certificates(host, authority):
    certificate, key = authority.issue("mx.example.net")
    key.chmod(0o644)
    doctor = host(pair((certificate, key)))
    assert "can read the key" in wrong_of(doctor.ask()[1], "certificate")
    certificate.write_text("nothing")
    assert "holds no certificate" in wrong_of(doctor.ask()[1], "certificate")
    certificate.unlink()
    assert "cannot be read" in wrong_of(doctor.ask()[1], "certificate")


def test_without_a_certificate(host):
    _, found = host("").ask()
    assert [c["state"] for c in found["certificate"]] == ["advice"]


def test_lists_that_are_not_well(host, dns):
    doctor = host()
    del dns.zone["2.0.0.127.bl.spamcop.net"]
    dns.zone["2.0.0.127.zen.spamhaus.org"] = {"A": ["127.255.255.254"]}
    dns.zone["1.0.0.127.psbl.surriel.org"] = {"A": ["127.0.0.2"]}
    dns.zone["2.0.0.127.bl.mailspike.net"] = {"A": ["203.0.113.1"]}
    dns.zone["2.0.0.127.list.dnswl.org"] = {"rcode": "SERVFAIL"}
    code, found = doctor.ask()
    wrong = {c["text"].split()[0]: c for c in found["dnsbl"] if c["state"] == "wrong"}
    assert code == 1 and set(wrong) == set(LISTS)
    assert "does not list 127.0.0.2" in wrong["bl.spamcop.net"]["text"]
    assert "refuses" in wrong["zen.spamhaus.org"]["text"]
    assert "lists everything" in wrong["psbl.surriel.org"]["text"]
    assert wrong["zen.spamhaus.org"]["record"] == \
        'filter "dnsbl" { zone "zen.spamhaus.org" { enabled = false } }'


def test_backends(host, make_sink):
    gone, lmtp = make_sink(), make_sink(protocol="lmtp")
    gone.close()
    code, found = host(backend=[gone.url, lmtp.url, "smtp://nowhere.example:25", "lmtp:/nonexistent"]).ask()
    assert code == 1
    assert [c["state"] for c in found["backend"]] == ["wrong", "right", "wrong", "wrong"], found["backend"]


def test_no_resolver(host, dns):
    doctor = host()
    dns.close()
    code, found = doctor.ask()
    assert code == 1 and "No name is resolved" in wrong_of(found, "resolver") and "dnsbl" not in found


def test_forwarders_without_dnssec(host):
    doctor = host()
    doctor.gateway.write(doctor.gateway.text().replace("timeout = 2s", "timeout = 2s dnssec = true"))
    code, found = doctor.ask()
    assert code == 1 and "hold the signatures back" in wrong_of(found, "dnssec") and "resolver" not in found


def test_old_signatures_and_a_slow_clock(host):
    doctor, now = host(), time.time()
    os.utime(host.signatures, (now - 5 * 86400, now - 5 * 86400))
    assert "5 days old" in wrong_of(doctor.ask()[1], "antivirus")
    os.utime(host.signatures, (now + 3600, now + 3600))
    assert "minutes slow" in wrong_of(doctor.ask()[1], "clock")
    host.signatures.unlink()
    assert "no virus signatures" in wrong_of(doctor.ask()[1], "antivirus")


def test_state_folder(host):
    doctor = host()
    doctor.gateway.state.rmdir()
    code, found = doctor.ask()
    assert code == 1 and "cannot be written" in wrong_of(found, "state")
    assert found["state"][0]["record"] == "gatepost setup"
