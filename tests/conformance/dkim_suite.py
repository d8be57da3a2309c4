"""Signed messages that others made (../shared/suites/dkim), each with the result that its origin
gives it, through the facts JSON that `gatepost check --facts` reads.
"""
import json
import pathlib
import subprocess
import sys

from tests.conformance import programs

SUITE = programs.SUITES / "dkim"
RFC8463_KEY = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
NOW = "2022-11-07T20:00:00Z"


def crlf(octets):
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def mail_auth():
    """DNS records, an empty line, the message; all verify at the time of their signature."""
    for path in sorted((SUITE / "mail-auth").glob("*.txt")):
        head, message = path.read_bytes().split(b"\n\n", 1)
        dns = {}
        for line in head.decode().splitlines():
            name, value = line.split(" ", 1)
            dns.setdefault(name, {"TXT": []})["TXT"].append(value)
        yield path.stem, crlf(message), dns, {"pass"}


def dkimpy_signed():
    folder = SUITE / "dkimpy"
    rsa = (folder / "test.txt").read_text().strip()
    signed = crlf((folder / "rfc6376.signed.msg").read_bytes())
    both = {"brisbane._domainkey.football.example.com": {"TXT": [RFC8463_KEY]},
            "test._domainkey.football.example.com": {"TXT": [rsa]}}
    yield "rfc6376.signed", signed, both, {"pass"}
    yield "rfc6376.signed, a word of the body changed", signed.replace(b"lost", b"won "), both, {"fail"}
    yield "ed25519test2", crlf((folder / "ed25519test2.msg").read_bytes()), {
        "sed._domainkey.test.ex": {"TXT": [(folder / "eximtest.dns").read_text().strip()]}}, {"pass"}
    yield "rfc6376.signed, no keys", signed, {}, {"permerror"}
    yield "rfc6376.signed, no DNS", signed, {
        "football.example.com": {}, **{n: {"rcode": "SERVFAIL"} for n in both}}, {"temperror"}
    # test2.message was signed by a key that is not in the suite; the wrong key fails it.
    yield "test2", crlf((folder / "test2.message").read_bytes()), {
        "20120113._domainkey.gmail.com": {"TXT": [(folder / "test2.txt").read_text().strip()]}}, {"fail"}


def dkimpy_keys():
    """Messages signed here with the suite's private key, read with each of its public ones."""
    import dkim

    folder = SUITE / "dkimpy"
    private = (folder / "test.private").read_bytes()
    keys = {"test.txt": {"pass"}, "badk.txt": {"permerror"}, "badversion.txt": {"permerror"},
            "test_bad.txt": {"permerror", "fail"}, "test_tlsrpt.txt": {"permerror"}, "test2.txt": {"fail", "pass"}}
    for name in ("test.message", "ed25519test.msg", "test_extra.message", "rfc6376.msg", "message.mbox"):
        message = crlf((folder / name).read_bytes())
        for key, results in keys.items():
            for canon in ((b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"relaxed", b"simple")):
                signature = dkim.sign(message, b"test", b"example.com", private, canonicalize=canon)
                dns = {"test._domainkey.example.com": {"TXT": [(folder / key).read_text().strip()]}}
                expected = results if key != "test2.txt" else {
                    "pass" if dkim.verify(signature + message, dnsfunc=lambda *_, **__: (folder / key).read_bytes())
                    else "fail"}
                yield f"{name}, {key}, {canon[0].decode()}/{canon[1].decode()}", signature + message, dns, expected


def cases():
    yield from mail_auth()
    yield from dkimpy_signed()
    try:
        yield from dkimpy_keys()
    except ImportError:
        print("dkim suite: python3-dkim is not there, its keys are left out", file=sys.stderr)


def check(message, dns, tmp, now=None):
    (pathlib.Path(tmp) / "facts.json").write_text(json.dumps(
        {"now": now or signing_time(message), "client": {"ip": "192.0.2.1"}, "helo": "mail.example.org",
         "mail_from": "bob@example.org", "dns": dns}))
    (pathlib.Path(tmp) / "message.eml").write_bytes(message)
    done = subprocess.run(programs.check() + ["--facts", f"{tmp}/facts.json", "--json", "--wire", f"{tmp}/message.eml"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["auth"]["dkim"]


def signing_time(message):
    """An hour after the newest t= of the message, so that no x= of the suite has passed."""
    import datetime
    import re

    times = [int(t) for t in re.findall(rb"[;\s]t=(\d+)", message.split(b"\r\n\r\n")[0])]
    then = datetime.datetime.fromtimestamp(max(times) + 3600 if times else 1700000000, datetime.timezone.utc)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


def judge(message, dns, results, tmp):
    got = check(message, dns, tmp)
    # message.mbox came with a signature whose key is not in the suite.
    mine = [g for g in got if g["domain"] != "kitterman.com"]
    return bool(mine) and {g["result"] for g in mine} <= results, got


def test_case(case, tmp_path):
    _, message, dns, results = case
    right, got = judge(message, dns, results, tmp_path)
    assert right, f"{got}, expected {' or '.join(results)}"
