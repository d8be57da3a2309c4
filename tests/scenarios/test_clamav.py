"""A new virus database is loaded beside the old one; a broken one changes nothing."""

import json
import subprocess

from tests.fakes import gateway as fakes

MESSAGE = (b"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: %s\r\n"
           b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n%s\r\n")
FIRST, SECOND = b"one-simple-signature", b"another-simple-signature"


def signature(name, words):
    return f"Test.{name}:0:*:{words.hex()}\n"


def test_new_database(make_gateway, folder, sink):
    database = folder / "signatures"
    database.mkdir(mode=0o755)
    (database / "t.ndb").write_text(signature("First", FIRST))
    gateway = make_gateway(backend=sink.url, extra=f'filter "clamav" {{ database = {{ "{database}" }} }}')
    seen = 0

    def action(words):
        nonlocal seen
        with gateway.smtp() as smtp:
            smtp.ehlo()
            assert smtp.message(MESSAGE % (words, words)).code == 250
        seen += 1
        return gateway.wait_event("message", seen)["action"]

    assert action(FIRST) == "quarantine"
    assert action(SECOND) == "forward"
    (database / "t.ndb").write_text(signature("Second", SECOND))
    gateway.wait_event("reloaded")
    assert action(SECOND) == "quarantine"
    gateway.expect("reload-refused", "role-failed", "start-failed", "config-error")
    (database / "t.ndb").write_text("this is no signature\n")
    assert "broken" in str(gateway.wait_event("reload-refused"))
    assert action(SECOND) == "quarantine", "what served goes on"
    (database / "t.ndb").write_text(signature("First", FIRST))
    gateway.wait_event("reloaded", 2)
    assert action(FIRST) == "quarantine"


def test_the_scanner_names_its_licence():
    done = subprocess.run([str(fakes.BUILD / "libexec/gatepost/scanner"), "--version"], capture_output=True,
                          text=True, check=True, env=fakes.environment())
    assert "General Public License, version 2" in done.stdout


def test_check_scans_as_the_gateway_would(make_gateway, folder, dns):
    database = folder / "signatures"
    database.mkdir(mode=0o755)
    (database / "t.ndb").write_text(signature("First", FIRST))
    gateway = make_gateway(start=False, extra=f'filter "clamav" {{ database = {{ "{database}" }} }}')
    gateway.set_up()

    def check(words, *options):
        path = folder / "message.eml"
        path.write_bytes(MESSAGE % (words, words))
        path.chmod(0o644)
        done = gateway.run("check", "--json", path, *options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    verdict, said = check(FIRST)
    assert (verdict["virus"], verdict["action"], said) == ("Test.First.UNOFFICIAL", "quarantine", "")
    verdict, said = check(SECOND)
    assert (verdict["virus"], said) == (None, "")
    # Nothing outside the file.
    facts = folder / "facts.json"
    facts.write_text("{}")
    facts.chmod(0o644)
    assert check(FIRST, "--facts", facts)[0]["virus"] is None
    (database / "t.ndb").write_text("this is no signature\n")
    verdict, said = check(FIRST)
    assert verdict["virus"] is None and verdict["action"] == "forward"
    assert said.startswith("gatepost check: looked for no viruses but EICAR's") and str(database) in said, said
    assert said.count("\n") == 1
