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
