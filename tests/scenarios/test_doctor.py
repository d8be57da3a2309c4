"""`gatepost doctor`: what is right, what to change, and the record to copy; by a scripted DNS."""

import json
import os
import time

import pytest

from tests.fakes.gateway import runs_as_nobody

GOOD = {
    "": {"NS": ["ns.example"]},
    "example.net": {"MX": [[10, "mx.example.net"]], "TXT": ["v=spf1 mx ip4:192.0.2.0/24 -all", "other=1"]},
    "mx.example.net": {"A": ["1.2.3.4"], "CAA": [[0, "issue", "letsencrypt.org"]]},
    "4.3.2.1.in-addr.arpa": {"PTR": ["mx.example.net"]},
    "_dmarc.example.net": {"TXT": ["v=DMARC1; p=reject; rua=mailto:d@example.net"]},
    "_mta-sts.example.net": {"TXT": ["v=STSv1; id=20261120"]},
    "mta-sts.example.net": {"A": ["1.2.3.4"]},
    "_smtp._tls.example.net": {"TXT": ["v=TLSRPTv1; rua=mailto:t@example.net"]},
}


class Doctor:
    def __init__(self, gateway):
        self.gateway = gateway

    def ask(self, *arguments):
        """Exit code and findings, by the check's name."""
        done = self.gateway.run("doctor", "--json", *arguments)
        assert done.returncode in (0, 1) and not done.stderr, done
        said = json.loads(done.stdout)
        assert said["right"] == (done.returncode == 0)
        found = {}
        for check in said["checks"]:
            assert list(check) == ["check", "state", "text", "record"], check
            found.setdefault(check["check"], []).append(check)
        return done.returncode, found


@pytest.fixture
def doctor(make_gateway, dns):
    dns.zone.update({name: dict(entry) for name, entry in GOOD.items()})
    return Doctor(make_gateway(start=False))


def states(found):
    return {name: [check["state"] for check in checks] for name, checks in found.items()}


def test_a_domain_that_is_right(doctor):
    code, found = doctor.ask("Example.NET.")
    assert found.pop("dkim")[0]["record"] == "gatepost dkim keygen example.net"
    assert code == 0 and set(sum(states(found).values(), [])) == {"right"}, found
    assert {"mx", "address", "ptr", "spf", "dmarc", "mta-sts", "tls-rpt", "caa"} <= set(found)
    text = doctor.gateway.run("doctor", "example.net")
    assert text.returncode == 0 and "0 to change" in text.stdout


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
    (change("_mta-sts.example.net", TXT=["v=STSv1"]), "mta-sts", "has no id",
     '_mta-sts.example.net. IN TXT "v=STSv1; id=1"'),
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
def test_what_could_be_better_is_no_failure(doctor, dns, where, check, words):
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
        done = doctor.gateway.run("doctor", "example.net", *arguments, text=False)
        assert done.returncode == 1
        assert not any(octet < 32 and octet != 10 or octet == 127 for octet in done.stdout), done.stdout


def test_wrong_use(doctor):
    assert doctor.gateway.run("doctor", "no domain").returncode == 2
    assert doctor.gateway.run("doctor", "a.example", "b.example").returncode == 2
    _, found = doctor.ask("elsewhere.example")
    assert "no section for elsewhere.example" in found["domain"][0]["text"]


# ---- this host

LISTS = ("zen.spamhaus.org", "bl.spamcop.net", "psbl.surriel.org", "bl.mailspike.net", "list.dnswl.org")


def lists(dns, code="127.0.0.2"):
    for zone in LISTS:
        dns.zone[f"2.0.0.127.{zone}"] = {"A": [code]}
    for zone in ("dbl.spamhaus.org", "multi.surbl.org"):
        dns.zone[f"test.{zone}"] = {"A": ["127.0.1.2"]}


def certificate(folder, name="mx.example.net", days=90, key_of=None):
    """PEM files of a certificate and its key."""
    import datetime
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.utcnow()
    made = (x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "An Authority")]))
            .public_key(key.public_key()).serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=100))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
            .sign(key, hashes.SHA256()))
    paths = folder / "cert.pem", folder / "key.pem"
    other = ec.generate_private_key(ec.SECP256R1()) if key_of == "other" else key
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                             serialization.NoEncryption()))
    for path, mode in zip(paths, (0o644, 0o600)):
        path.chmod(mode)
        if runs_as_nobody():
            os.chown(path, 65534, 65534)
    return f'tls_certificate = "{paths[0]}" tls_key = "{paths[1]}"'


@pytest.fixture
def host(make_gateway, dns, folder, sink):
    """A host on which all is right, and what a test changes of it."""
    dns.zone.update({name: dict(entry) for name, entry in GOOD.items()})
    lists(dns)
    signatures = folder / "signatures"
    signatures.mkdir()
    (signatures / "daily.cvd").write_text("x")
    signatures.chmod(0o755)

    def make(inside=None, backend=sink.url, **keywords):
        inside = certificate(folder) if inside is None else inside
        gateway = make_gateway(start=False, backend=backend, listeners={"127.0.0.1:0": inside}, extra=(
            f'filter "clamav" {{ database = "{signatures}" }}'), **keywords)
        gateway.state.mkdir()
        if runs_as_nobody():
            os.chown(gateway.state, 65534, 65534)
        return Doctor(gateway)
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


def wrong_of(found, check):
    return " ".join(c["text"] for c in found[check] if c["state"] == "wrong")


@pytest.mark.parametrize("changed, words", [
    ({"days": -3}, "expired 3 days ago"), ({"days": 5}, "renew it"),
    ({"name": "mail.example.org"}, "is not for mx.example.net"), ({"key_of": "other"}, "does not belong"),
])
def test_certificates(host, changed, words):
    code, found = host(certificate(host.folder, **changed)).ask()
    assert code == 1 and words in wrong_of(found, "certificate"), found["certificate"]


def test_files_of_certificates(host):
    pair = certificate(host.folder)
    (host.folder / "key.pem").chmod(0o644)
    doctor = host(pair)
    assert "can read the key" in wrong_of(doctor.ask()[1], "certificate")
    (host.folder / "cert.pem").write_text("nothing")
    assert "holds no certificate" in wrong_of(doctor.ask()[1], "certificate")
    (host.folder / "cert.pem").unlink()
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
