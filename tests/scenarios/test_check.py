"""`gatepost check` and `gatepost replay`: the contract that outside tests rely on (exit codes, defaults,
facts, output)."""

import json
import os
import subprocess

import pytest

from tests.fakes.gateway import BUILD

JUDGE = str(BUILD / "libexec/gatepost/judge")
pytestmark = pytest.mark.skipif(not os.access(JUDGE, os.X_OK), reason="judge is not built")

FACTS = {
    "now": "2026-11-20T12:00:00Z",
    "client": {"ip": "192.0.2.1"}, "helo": "mail.example.org",
    "mail_from": "bob@example.org", "rcpt_to": ["alice@example.net"],
    "dns": {"example.org": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"], "MX": [[10, "mx.example.org"]],
                            "A": ["192.0.2.1"]},
            "slow.example.org": {"rcode": "TIMEOUT"},
            "broken.example.org": {"TXT": {"rcode": "SERVFAIL"}}}}
HAM = (b"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: Meeting\r\n"
       b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
       b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
       b"\r\nSee you at noon.\r\n")
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"


class Check:
    def __init__(self, folder):
        self.folder = folder

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(path)

    def run(self, *arguments, stdin=None):
        return subprocess.run([JUDGE, *arguments], input=stdin, capture_output=True, timeout=120,
                              check=False)

    def json(self, facts=None, message=None, *options):
        arguments = ["check", "--json", "--facts", self.file("facts.json", facts or {}), *options]
        if message is not None:
            arguments.append(self.file("message.eml", message))
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(b"\n") == 1 and done.stdout.endswith(b"\n")
        return json.loads(done.stdout)


@pytest.fixture
def check(tmp_path):
    return Check(tmp_path)


def names(verdict):
    return {f["name"]: f["score"] for f in verdict["findings"]}


def test_output(check):
    verdict = check.json(FACTS, HAM)
    assert list(verdict) == ["action", "score", "reason", "reply", "recipients", "auth", "bayes",
                             "findings", "virus", "authentication_results"]
    assert verdict["action"] == "forward" and verdict["reply"].startswith("250 2.0.0 ")
    assert verdict["recipients"] == [{"address": "alice@example.net", "action": "forward",
                                      "reason": verdict["reason"]}]
    assert verdict["auth"]["spf"] == {"result": "pass", "domain": "example.org", "scope": "mfrom",
                                      "explanation": ""}
    assert verdict["virus"] is None
    assert verdict["authentication_results"].startswith("localhost; ")
    for finding in verdict["findings"]:
        assert set(finding) == {"name", "filter", "score", "text"}


def test_everything_is_optional(check):
    verdict = check.json({}, HAM)
    assert verdict["recipients"][0]["address"].startswith("postmaster@")
    assert verdict["auth"]["spf"]["result"] == "none"
    assert check.json({})["auth"]["dkim"] is None
    assert check.run("check", "--facts", check.file("f", {}), "--json", "-", stdin=HAM).returncode == 0


def test_envelope_alone(check):
    facts = dict(FACTS, client={"ip": "192.0.2.9"})
    verdict = check.json(facts)
    assert verdict["auth"]["spf"]["result"] == "fail"
    assert verdict["auth"]["dmarc"] is None
    facts = dict(FACTS, mail_from="", dns={"mail.example.org": {"TXT": ["v=spf1 -all"]}})
    spf = check.json(facts)["auth"]["spf"]
    assert (spf["result"], spf["scope"]) == ("fail", "helo")


@pytest.mark.parametrize("facts", [
    {"unknown": 1}, {"client": {"name": "x"}}, {"client": {"ip": "300.1.1.1"}}, {"now": "yesterday"},
    {"dns": {"x": {"A": ["no address"]}}}, {"dns": {"x": {"rcode": "REFUSED"}}}, [], {"helo": 1},
    {"rcpt_to": "a@b"},
])
def test_wrong_facts(check, facts):
    done = check.run("check", "--json", "--facts", check.file("facts", facts if facts != [] else b"[]"))
    assert done.returncode == 2 and not done.stdout and done.stderr


def test_wrong_use(check):
    message = check.file("m", HAM)
    assert check.run("check", "--unknown").returncode == 2
    assert check.run("check", message, message).returncode == 2
    assert check.run("check", "--facts", check.file("f", b"{"), message).returncode == 2
    assert check.run("check", "--facts", "/nonexistent", message).returncode == 1
    assert check.run("check", "--facts", check.file("f", {}), "/nonexistent").returncode == 1
    assert check.run("check", "--facts", check.file("f", {}), "-c", "/nonexistent",
                     message).returncode == 1
    assert check.run("nonsense").returncode == 2
    assert check.run("check", "--help").returncode == 0


def test_line_ends(check):
    lines = HAM.replace(b"\r\n", b"\n")
    assert check.json(FACTS, lines) == check.json(FACTS, HAM)
    assert names(check.json(FACTS, lines, "--wire")) != names(check.json(FACTS, HAM, "--wire"))
    assert check.json(FACTS, HAM, "--wire") == check.json(FACTS, HAM)


def test_dns(check):
    assert check.json(dict(FACTS, mail_from="a@slow.example.org"))["auth"]["spf"]["result"] == "temperror"
    assert check.json(dict(FACTS, mail_from="a@broken.example.org"))["auth"]["spf"]["result"] == "temperror"
    assert check.json(dict(FACTS, mail_from="a@EXAMPLE.org"))["auth"]["spf"]["result"] == "pass"


def test_eicar(check):
    verdict = check.json(FACTS, HAM + EICAR + b"\r\n")
    assert verdict["action"] == "quarantine" and "Eicar" in verdict["virus"]
    body = (b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + __import__("base64").b64encode(EICAR) + b"\r\n")
    head = HAM.split(b"MIME-Version")[0] + b"MIME-Version: 1.0\r\n"
    assert check.json(FACTS, head + body)["virus"]


def test_lists(check):
    zone = dict(FACTS["dns"], **{"1.2.0.192.zen.spamhaus.org": {"A": ["127.0.0.2"]}})
    assert names(check.json(dict(FACTS, dns=zone), HAM))["DNSBL_ZEN"] == 5
    zone["1.2.0.192.zen.spamhaus.org"]["A"] = ["127.255.255.254"]
    assert "DNSBL_ZEN" not in names(check.json(dict(FACTS, dns=zone), HAM))


def dmarc_facts(policy, **more):
    zone = {"victim.example": {"TXT": ["v=spf1 -all"]},
            "_dmarc.victim.example": {"TXT": [f"v=DMARC1; p={policy}"]}}
    return dict(FACTS, mail_from="x@elsewhere.example", dns=dict(zone, **more))


def test_dmarc(check):
    forged = HAM.replace(b"bob@example.org", b"bob@victim.example")
    verdict = check.json(dmarc_facts("reject"), forged)
    assert verdict["action"] == "quarantine" and verdict["auth"]["dmarc"]["disposition"] == "quarantine"
    listed = {"1.2.0.192.zen.spamhaus.org": {"A": ["127.0.0.4"]}}
    verdict = check.json(dmarc_facts("reject", **listed), forged)
    assert verdict["action"] == "reject" and verdict["auth"]["dmarc"]["disposition"] == "reject"
    assert verdict["reply"].startswith("550 5.7.1 ")
    assert "DMARC policy for victim.example" in verdict["reply"]
    assert check.json(dmarc_facts("none"), forged)["action"] in ("forward", "tag")


def test_configuration(check):
    conf = check.file("conf", b'hostname = "mx.example.net"\nstate_dir = "/nonexistent"\n'
                      b'domain "example.net" { backend = { "smtp://127.0.0.1:9" } }\n'
                      b'policy { tag_score = -50 quarantine_score = -40 reject_score = -30 }\n')
    verdict = check.json(FACTS, HAM, "-c", conf)
    assert verdict["action"] == "reject" and verdict["reply"].startswith("550 5.7.1 ")
    assert verdict["authentication_results"].startswith("mx.example.net; ")
    verdict = check.json(dict(FACTS, rcpt_to=["a@elsewhere.example"]), HAM, "-c", conf)
    assert "relaying denied" in verdict["reply"]
    assert check.json({}, HAM, "-c", conf)["recipients"][0]["address"] == "postmaster@example.net"
    wrong = check.file("conf", b'hostname = "mx.example.net"\nfilter "spff" { }\n'
                       b'domain "example.net" { backend = { "smtp://127.0.0.1:9" } }\n')
    done = check.run("check", "--facts", check.file("f", {}), "-c", wrong)
    assert done.returncode == 1 and b":2:" in done.stderr and b'"spf"' in done.stderr


def test_misspelt_scores(check):
    conf = check.file("conf", b'hostname = "mx.example.net"\nscores { SPF_FIAL = 4 DNSBL_ANY = 1 '
                      b'SPF_FAIL = 2 }\n'
                      b'domain "example.net" { backend = { "smtp://127.0.0.1:9" } }\n')
    done = check.run("check", "--facts", check.file("f", FACTS), "-c", conf)
    assert done.returncode == 0 and b":2:" in done.stderr and b"SPF_FIAL" in done.stderr
    assert b"DNSBL_ANY" not in done.stderr and b"SPF_FAIL" not in done.stderr


def test_text_is_safe(check):
    message = HAM.replace(b"Meeting", b"\x1b[31mred\x07")
    facts = dict(FACTS, rcpt_to=["a\x1b[31m@example.net"], mail_from="\x9b31m@example.org")
    done = check.run("check", "--facts", check.file("f", facts), check.file("m", message))
    assert done.returncode == 0
    assert not any(c < 32 and c != 10 for c in done.stdout)
    assert b"\x9b" not in done.stdout.replace("…".encode(), b"")


def test_replay(check):
    verdict = check.json(FACTS, HAM)
    facts, message = check.file("facts.json", FACTS), check.file("message.eml", HAM)
    same = check.file("same.json", verdict)
    assert check.run("replay", facts, same, message).returncode == 0
    verdict["action"] = "reject"
    verdict["findings"][0]["score"] += 1
    verdict["findings"].append({"name": "INVENTED", "score": 1})
    done = check.run("replay", facts, check.file("other.json", verdict), message)
    assert done.returncode == 1
    assert b"action: forward, was reject" in done.stdout and b"INVENTED: gone" in done.stdout


def test_list_filters(check):
    lines = check.run("check", "--list-filters").stdout.decode().splitlines()
    listed = {line.split()[0] for line in lines}
    assert {"headers", "spf", "dkim", "dmarc", "dnsbl", "geo", "clamav", "rules", "bayes"} <= listed
    assert all(len(line.split()) > 4 for line in lines)
