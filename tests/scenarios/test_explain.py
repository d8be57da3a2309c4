"""Why the classifier judged as it did, where administrators look, and nowhere that a sender can see."""

import json

import pytest

FACTS = {"now": "2026-11-20T12:00:00Z", "client": {"ip": "192.0.2.1"}, "helo": "mail.example.org",
         "mail_from": "bob@example.org", "rcpt_to": ["alice@example.net"], "dns": {}}
KINDS = {"spam": "cheap pills from our shop", "ham": "minutes of the project meeting"}


def message(kind, number):
    return (f"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: {KINDS[kind]}\r\n"
            f"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{number}@example.org>\r\n\r\n"
            f"Number {number}: {KINDS[kind]}, as you asked.\r\n").encode()


@pytest.fixture
def taught(make_gateway, folder):
    gateway = make_gateway(start=False, extra='filter "bayes" { min_learned = 10 }')
    for kind in KINDS:
        (folder / kind).mkdir()
        (folder / kind).chmod(0o755)
        for number in range(20):
            (folder / kind / str(number)).write_bytes(message(kind, f"{kind}{number}"))
        done = gateway.run("learn", kind, folder / kind)
        assert done.returncode == 0, done.stderr
    return gateway


def check(gateway, folder, kind, *options):
    (folder / "facts").write_text(json.dumps(FACTS))
    (folder / "message").write_bytes(message(kind, "new"))
    for name in ("facts", "message"):
        (folder / name).chmod(0o644)
    done = gateway.run("check", "--facts", folder / "facts", *options, folder / "message")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_strongest_features(taught, folder):
    for kind, sign, word in (("spam", "+", "pills"), ("ham", "-", "project")):
        verdict = json.loads(check(taught, folder, kind, "--json"))
        strongest = verdict["bayes"]["strongest"]
        assert 1 <= len(strongest) <= 12 and strongest[0].startswith(sign), verdict["bayes"]
        assert any(word in text for text in strongest), strongest
        text = check(taught, folder, kind)
        assert strongest[0] in text, text
        told = [verdict["reason"], verdict["reply"], verdict["authentication_results"],
                *(f["text"] for f in verdict["findings"])]
        assert not any(strongest[0] in sentence for sentence in told)


OURS = "Authentication-Results: {}; none\r\nX-Spam-Status: Yes, score=3.0 required=5.0 tests={}=3.0\r\n"


def strongest_of(gateway, folder):
    verdict = json.loads(check(gateway, folder, "odd", "--json"))
    assert "URI_IP" in {finding["name"] for finding in verdict["findings"]}
    return verdict["bayes"]["strongest"]


@pytest.fixture
def odd(make_gateway, sink, monkeypatch):
    """A gateway, and a kind of message with a link that is a finding."""
    monkeypatch.setitem(KINDS, "odd", "http://192.0.2.1/here")
    return make_gateway(backend=sink.url, extra='filter "bayes" { min_learned = 10 }')


@pytest.mark.parametrize("host,name,heard", [
    ("mx.example.net", "URI_IP", True), ("mx.example.org", "URI_IP", False), ("mx.example.net", "BAYES_99", False)])
def test_findings_of_our_own_headers_are_learned(odd, folder, host, name, heard):
    for number in range(30):
        odd.api("/api/v1/learn?label=spam", OURS.format(host, name).encode() + message("odd", f"s{number}"))
        odd.api("/api/v1/learn?label=ham", message("ham", f"h{number}"))
    texts = strongest_of(odd, folder)
    assert any(text.endswith(f"finding {name}") and text.startswith("+") for text in texts) == heard, texts


def test_findings_of_held_mail_are_learned(make_gateway, folder, sink, monkeypatch):
    monkeypatch.setitem(KINDS, "odd", "http://192.0.2.1/here")
    gateway = make_gateway(backend=sink.url, extra="policy { quarantine_score = 1 reject_score = 900 }"
                           "scores { URI_IP = 50 } filter \"bayes\" { min_learned = 10 }")
    with gateway.smtp() as smtp:
        smtp.ehlo()
        for number in range(15):
            assert smtp.message(message("odd", f"s{number}")).code == 250
    held = json.loads(gateway.run("quarantine", "list", "--json").stdout)
    assert len(held) == 15
    done = gateway.run("quarantine", "learn", "spam", *(entry["id"] for entry in held))
    assert done.returncode == 0, done.stderr
    # What else was found in them is found in wanted mail too: it says nothing.
    verdict = json.loads(gateway.api(f"/api/v1/quarantine/{held[0]['id']}")["entry"]["verdict"])
    others = "=1.0, ".join({finding["name"] for finding in verdict["findings"]} - {"URI_IP"})
    for number in range(15):
        gateway.api("/api/v1/learn?label=ham",
                    OURS.format("mx.example.net", others).encode() + message("ham", f"h{number}"))
    texts = strongest_of(gateway, folder)
    assert texts[0].startswith("+") and any(text.endswith("finding URI_IP") for text in texts[:2]), texts
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(message("odd", "last")).code == 250
    newest = json.loads(gateway.run("quarantine", "list", "--json").stdout)[0]["id"]
    shown = gateway.run("quarantine", "show", newest).stdout
    assert "Classifier: log-odds of spam" in shown and "finding URI_IP" in shown
