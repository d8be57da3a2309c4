"""Facts in, verdict out: what was recorded with every message in quarantine is judged again, and comes to the
same verdict: with the message's octets, and so that it depends on nothing that the facts do not hold."""

import json

import pytest

from tests.fakes.gateway import ROOT
from tests.fakes.smtp import proxy_v1

DEMO = ROOT / "corpus/demo"
LISTENERS = {"127.0.0.1:0": 'proxy_protocol_from = { "127.0.0.1" }'}
HOLD = "policy { tag_score = -900 quarantine_score = -900 reject_score = 900 }"
HEAD = "From: {sender}\r\nTo: alice@example.net\r\nSubject: {name}\r\nDate: Fri, 20 Nov 2026 12:00:00 +0000\r\n" \
       "Message-ID: <{name}@example.org>\r\n"


# What does not lie in the corpus as it is, so that no scanner finds it there.
PLACES = {b"@EICAR@": b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD" + b"-ANTIVIRUS-TEST-FILE!$H+H*",
          b"@GTUBE@": b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD" + b"-ANTI-UBE-TEST-EMAIL*C.34X",
          b"@DATE@": b"Fri, 20 Nov 2026 12:00:00 +0000"}


def demonstration():
    """[(name, client, HELO, MAIL FROM, octets)] of our own corpus."""
    found = []
    for entry in json.loads((DEMO / "messages.json").read_text()):
        octets = (DEMO / entry["file"]).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        for place, words in PLACES.items():
            octets = octets.replace(place, words)
        found.append((entry["file"], entry["client"], entry["helo"], entry["mail_from"], octets))
    return found


def oddities():
    plain = HEAD.format(sender="Bob <bob@example.org>", name="plain").encode()
    html = (b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n"
            b"\r\nPGEgaHJlZj0iaHR0cDovL2xpc3RlZC5leGFtcGxlLyI+zQ==\r\n")
    parts = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
             b"Content-Type: application/zip; name=\"a.zip\"\r\n\r\nPK\x03\x04\xff\xfe\r\n--b--\r\n")
    return [("null sender", "192.0.2.9", "x", "", plain + b"\r\nbounce\r\n"),
            ("eight bit", "2001:db8::9", "[IPv6:2001:db8::9]", "bob@example.org", plain + b"\r\n\xff\xfe\x80\r\n"),
            ("html", "192.0.2.9", "mail.example.org", "bob@example.org", plain + html),
            ("parts", "192.0.2.9", "mail.example.org", "bob@example.org", plain + parts),
            ("slow", "192.0.2.9", "slow.example", "bob@slow.example", plain + b"\r\nslow\r\n"),
            ("broken", "192.0.2.9", "broken.example", "bob@broken.example", plain + b"\r\nbroken\r\n"),
            ("bare lf", "192.0.2.9", "mail.example.org", "bob@example.org", plain + b"\r\none\ntwo\r\n"),
            ("many headers", "192.0.2.9", "mail.example.org", "bob@example.org",
             b"".join(b"X-%d: y\r\n" % i for i in range(300)) + plain + b"\r\nx\r\n")]


@pytest.fixture
def holding(make_gateway, sink, dns):
    dns.zone.update(json.loads((DEMO / "dns.json").read_text())["dns"])
    dns.zone["slow.example"] = {"rcode": "TIMEOUT"}
    dns.zone["broken.example"] = {"rcode": "SERVFAIL"}
    return make_gateway(backend=sink.url, listeners=LISTENERS, limits="evaluate_timeout = 3s",
                        extra=HOLD + '\nfilter "bayes" { min_learned = 1 }')


def learn(gateway, folder):
    """So that the classifier has something to say."""
    for label, files in (("spam", ["spam.eml", "phishing.eml", "gtube.eml"]), ("ham", ["ham.eml", "newsletter.eml"])):
        for file in files:
            copy = folder / file
            copy.write_bytes((DEMO / file).read_bytes())
            copy.chmod(0o644)
            done = gateway.run("learn", label, copy)
            assert done.returncode == 0, done


def test_every_held_message_replays(holding, folder):
    gateway, sent = holding, demonstration() + oddities()
    learn(gateway, folder)
    refused = []
    for number, (name, client, helo, mail_from, octets) in enumerate(sent):
        with gateway.smtp(proxy=proxy_v1(client, to="::1" if ":" in client else "127.0.0.1")) as smtp:
            smtp.ehlo(helo)
            reply = smtp.message(octets, sender=mail_from, recipients=[f"m{number}@example.net"])
            if reply.code != 250:
                refused.append((name, reply))
    held, wrong, findings, viruses = gateway.held(), [], set(), 0
    assert len(held) >= 12, refused
    facts, verdict, message = folder / "facts.json", folder / "verdict.json", folder / "message"
    for local, (ident,) in held.items():
        name = sent[int(local[1:])][0]
        entry = json.loads(gateway.run("quarantine", "show", "--json", ident).stdout)["entry"]
        facts.write_text(entry["facts"] if isinstance(entry["facts"], str) else json.dumps(entry["facts"]))
        verdict.write_text(entry["verdict"] if isinstance(entry["verdict"], str) else json.dumps(entry["verdict"]))
        message.write_bytes(gateway.run("quarantine", "show", "--message", ident, text=False).stdout)
        for path in (facts, verdict, message):
            path.chmod(0o644)
        recorded = json.loads(verdict.read_text())
        viruses += recorded["virus"] is not None
        findings.update(finding["name"] for finding in recorded["findings"])
        done = gateway.run("replay", facts, verdict, message)
        if done.returncode:
            wrong.append(f"{name}: {done.stdout}{done.stderr}")
    print(f"\n{len(held)} of {len(sent)} were held; refused: {[name for name, _ in refused]}; findings: {sorted(findings)}")
    assert not wrong, "\n".join(wrong)
    assert viruses, "the test virus was not found"


def test_another_policy_changes_the_verdict(holding, folder):
    """The same facts under another policy: it says what would become of the message."""
    gateway = holding
    with gateway.smtp(proxy=proxy_v1("192.0.2.9")) as smtp:
        smtp.ehlo()
        assert smtp.message(HEAD.format(sender="bob@example.org", name="x").encode() + b"\r\nx\r\n").code == 250
    ident = gateway.held()["alice"][0]
    entry = json.loads(gateway.run("quarantine", "show", "--json", ident).stdout)["entry"]
    facts, verdict, message = folder / "facts.json", folder / "verdict.json", folder / "message"
    facts.write_text(entry["facts"])
    verdict.write_text(entry["verdict"])
    message.write_bytes(gateway.run("quarantine", "show", "--message", ident, text=False).stdout)
    gateway.parts["extra"] = ""
    gateway.write()
    done = gateway.run("replay", facts, verdict, message)
    assert done.returncode == 1 and "action: forward, was quarantine" in done.stdout, done
