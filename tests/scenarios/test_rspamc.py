"""Debian's real rspamc, and Dovecot's recipe of it, against the admin listener."""

import json
import shutil
import subprocess

import pytest

from tests.fakes.gateway import TIMEOUT

TOKEN = "0123456789abcdef-token"
HAM = (b"From: Bob <bob@example.org>\nTo: alice@example.net\nSubject: Minutes\n"
       b"Date: Fri, 20 Nov 2026 12:00:00 +0000\nMessage-ID: <1@example.org>\n\nThe minutes are attached.\n")
GTUBE = HAM.replace(b"The minutes", b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\nThe")


@pytest.fixture
def make_rspamc(make_gateway, folder, sink, dns):
    if not shutil.which("rspamc"):
        pytest.skip("rspamc is not installed")
    token = folder / "admin.token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o644)
    dns.zone["example.org"] = {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}

    def make(extra=""):
        return client(make_gateway(backend=sink.url, extra=f'{extra} admin {{ listen = "127.0.0.2:0" '
                                                           f'token_file = "{token}" }}'))
    return make


@pytest.fixture
def rspamc(make_rspamc):
    return make_rspamc()


def client(gateway):
    port = [line["port"] for line in gateway.events("listening") if line["listener"] == "127.0.0.2:0"][-1]

    def run(*arguments, message=b"", password=TOKEN):
        done = subprocess.run(["rspamc", "-h", f"127.0.0.2:{port}", "-P", password, *arguments], input=message,
                              capture_output=True, timeout=TIMEOUT, check=False)
        return done.stdout.decode() + done.stderr.decode()
    run.gateway = gateway
    return run


def test_check(rspamc):
    told = rspamc("--json", "-i", "192.0.2.1", "-F", "bob@example.org", "-r", "alice@example.net",
                  "--helo", "mail.example.org", "symbols", message=HAM)
    answer = json.loads(told[told.index("{"):told.rindex("}") + 1])
    assert answer["action"] == "no action", answer
    assert answer["required_score"] == 15
    assert "SPF_PASS" in answer["symbols"], "it asked the DNS as for mail"
    assert answer["message-id"].strip("<>") == "1@example.org"
    told = rspamc("-i", "192.0.2.1", "-F", "bob@example.org", "-r", "alice@example.net", "symbols", message=GTUBE)
    assert "Action: reject" in told and "GTUBE" in told, told


def test_check_follows_aliases(rspamc, dns):
    dns.follows = False
    dns.zone.update({"a.example": {"CNAME": ["b.example"]}, "b.example": {"CNAME": ["example.org"]}})
    told = rspamc("--json", "-i", "192.0.2.1", "-F", "bob@a.example", "-r", "alice@example.net", "symbols", message=HAM)
    assert "SPF_PASS" in told, told


def test_a_mailbox_owner_has_quotas(make_rspamc):
    rspamc = make_rspamc("learn { user_quota = 2 }")

    def learn(number, *arguments):
        return rspamc(*arguments, "learn_spam", message=HAM + b"Number %d.\n" % number)
    for number in range(4):
        output = learn(number, "-d", "bob@example.net")
        assert ("success = true" in output) == (number < 2), output
    rspamc.gateway.expect("lesson-refused")
    said = rspamc.gateway.wait_event("lesson-refused", 2)["text"]
    assert "2 lessons by bob@example.net within a day" in said
    # Who has the token, and speaks for himself, has none; nor is he another user.
    for number in range(10, 14):
        assert "success = true" in learn(number)
    assert "success = true" in learn(20, "-d", "alice@example.net")


def test_learn(rspamc):
    for verb in ("learn_spam", "learn_ham"):
        assert "success = true" in rspamc(verb, message=HAM), verb
    assert "success = true" not in rspamc("learn_spam", message=HAM, password="wrong")
    assert rspamc.gateway.api("/stat")["learned"] == 2


def test_stat(rspamc):
    told = rspamc("stat")
    assert "Messages scanned: 0" in told, told


def test_checking_delivers_and_counts_nothing(rspamc, sink):
    rspamc("-i", "192.0.2.1", "symbols", message=HAM)
    status = rspamc.gateway.api("/api/v1/status")
    assert not sink.messages() and status["forwarded"] == 0
