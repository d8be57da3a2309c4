"""What core/mail/sign.c signs must verify elsewhere: with dkimpy (Debian's python3-dkim), and with our own
filter, which is libopendkim. Both algorithms, all canonicalisations, odd folding and line ends.
"""
import pathlib
import re
import subprocess

from tests.conformance import dkim_differential, dkim_suite, programs

TIME = "1700000000"
# Folded in every way that RFC 5322 allows, repeated, long, empty, and without what is usual.
HEADERS = dict(dkim_differential.HEADERS, **{
    "from only": b"From: a@example.com\r\n",
    "folds of blanks": b"From: a@example.com\r\nSubject: \r\n \t\r\n  x\r\n\t y \r\nTo:\r\n b@example.net\r\n",
    "two of each": b"To: b@example.net\r\nTo: c@example.net\r\nFrom: a@example.com\r\nSubject: 1\r\nSubject: 2\r\n",
    "long": b"From: a@example.com\r\nSubject: " + b"word " * 180 + b"\r\nReferences:" + b"\r\n <a@b>" * 60 + b"\r\n",
    "mime": b"MIME-Version: 1.0\r\nFrom: a@example.com\r\nContent-Type: text/plain;\r\n\tcharset=\"utf-8\"\r\n"
            b"Content-Transfer-Encoding: 8bit\r\nList-Unsubscribe: <https://example.com/u>\r\n",
})
CHANGES = {
    "a word in the body": lambda m: m + b"more\r\n",
    "a second From below": lambda m: m.replace(b"\r\n\r\n", b"\r\nFrom: evil@example.com\r\n\r\n", 1),
    "a first Subject": lambda m: m.replace(b"\r\nFrom:", b"\r\nSubject: evil\r\nFrom:", 1),
}


def command():
    return programs.program("GATEPOST_DKIM_SIGN", "tests/dkim_sign")


KEYS = {}


def key(algorithm):
    """(PEM, record), made once."""
    if algorithm not in KEYS:
        done = subprocess.run(command() + ["--key", algorithm], capture_output=True, check=True, timeout=60)
        KEYS[algorithm] = done.stdout.rsplit(b"\n", 1)
    return KEYS[algorithm]


def cases():
    """name, algorithm, canonicalisation, message, change of what was signed or None."""
    for algorithm in ("rsa", "ed25519"):
        for canon in dkim_differential.CANONS:
            form = [c.decode() for c in canon]
            name = f"{algorithm} {'/'.join(form)}"
            for h, header in HEADERS.items():
                yield f"{name}: {h}", algorithm, form, header + b"\r\nbody \t x\r\n\r\n", None
            for b, body in dkim_differential.BODIES.items():
                yield f"{name}: {b}", algorithm, form, HEADERS["plain"] + b"\r\n" + body, None
            for change in CHANGES:
                yield f"{name}: {change}", algorithm, form, HEADERS["plain"] + b"\r\nbody\r\n", change


def sign(algorithm, form, message, tmp):
    folder = pathlib.Path(tmp)
    (folder / "message.eml").write_bytes(message)
    (folder / "key.pem").write_bytes(key(algorithm)[0] + b"\n")
    done = subprocess.run(command() + [f"{tmp}/message.eml", f"{tmp}/key.pem", "example.com", "s1", *form, TIME],
                          capture_output=True, check=True, timeout=20)
    return done.stdout


def judge(case, tmp):
    import dkim

    _, algorithm, form, message, change = case
    line = sign(algorithm, form, message, tmp)
    if not re.fullmatch(rb"DKIM-Signature: [ -~]+(\r\n\t[ -~]{1,80})+\r\n", line):
        return False, f"ill-formed: {line}"
    record = key(algorithm)[1].decode()
    signed = line + message
    if change:
        signed = CHANGES[change](signed)
    expected = change is None
    theirs = dkim.verify(signed, dnsfunc=lambda *_, **__: record.encode())
    dns = {"s1._domainkey.example.com": {"TXT": [[record[i:i + 255] for i in range(0, len(record), 255)]]}}
    right, ours = dkim_suite.judge(signed, dns, {"pass"} if expected else {"fail"}, tmp)
    return right and theirs == expected, f"dkimpy {theirs}, ours {ours}"


def test_case(case, tmp_path):
    import pytest

    pytest.importorskip("dkim")
    right, got = judge(case, tmp_path)
    assert right, got
