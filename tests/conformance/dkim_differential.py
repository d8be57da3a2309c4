"""DKIM against dkimpy (Debian's python3-dkim): signatures that it makes over awkward messages must pass
here, and changed messages must be judged here as it judges them.

As a program it prints `dkim differential: N of M agree`; with pytest each case is a test.
"""
import base64
import itertools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import dkim_suite  # noqa: E402

BODIES = {
    "empty": b"",
    "one empty line": b"\r\n",
    "empty lines at the end": b"text\r\n\r\n\r\n",
    "blanks at the end of lines": b"text \t \r\nmore\t\r\n \r\n",
    "runs of blanks": b"a  b\t\tc \t d\r\n  indented\r\n",
    "no final line end": b"text",
    "a line of blanks only": b" \t \r\n",
    "8 bit": "b\u00fccher\r\n".encode() + b"\xff\xfe\r\n",
    "long line": b"x" * 5000 + b" \r\n",
    "dots": b".\r\n..\r\n",
}
HEADERS = {
    "plain": b"From: a@example.com\r\nTo: b@example.net\r\nSubject: hello\r\n",
    "folded": b"From: a@example.com\r\nTo: b@example.net,\r\n\tc@example.net\r\nSubject: one\r\n  two \t three \r\n",
    "no blank after the colon": b"From:a@example.com\r\nTo:b@example.net\r\nSubject:\r\n",
    "blanks and case": b"FROM:  a@example.com \r\ntO: b@example.net\r\nSubject: \t x\r\n",
    "repeated": b"Received: one\r\nReceived: two\r\nFrom: a@example.com\r\nTo: b@example.net\r\nSubject: s\r\n",
}
CHANGES = {
    "unchanged": lambda m: m,
    "a word in the body": lambda m: m + b"more\r\n",
    "empty lines behind it": lambda m: m + b"\r\n\r\n",
    "subject": lambda m: m.replace(b"Subject:", b"Subject: Re:", 1),
    "folding of To": lambda m: m.replace(b"b@example.net", b"\r\n b@example.net", 1),
    "a header on top": lambda m: b"X-Trace: 1\r\n" + m,
    "a second Subject below": lambda m: m.replace(b"\r\n\r\n", b"\r\nSubject: evil\r\n\r\n", 1),
}
CANONS = list(itertools.product((b"simple", b"relaxed"), repeat=2))


def keys():
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.TraditionalOpenSSL, s.NoEncryption())
    yield b"rsa-sha256", private, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(s.Encoding.Raw, s.PublicFormat.Raw)
    private = key.private_bytes(s.Encoding.Raw, s.PrivateFormat.Raw, s.NoEncryption())
    yield b"ed25519-sha256", base64.b64encode(private), f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"


def cases():
    """Every body, header and change with every canonicalisation, but not all of them at once."""
    import dkim

    for algorithm, private, public in keys():
        rows = [(h, b, "unchanged", c) for h in HEADERS for b in BODIES for c in CANONS
                if h == "plain" or b in ("runs of blanks", "empty")]
        rows += [("folded", "runs of blanks", change, c) for change in CHANGES for c in CANONS]
        for h, b, change, canon in rows:
            message = HEADERS[h] + b"\r\n" + BODIES[b]
            signed = dkim.sign(message, b"s", b"example.com", private, canonicalize=canon,
                               signature_algorithm=algorithm, include_headers=[b"from", b"to", b"subject"])
            signed = CHANGES[change](signed + message)
            name = f"{algorithm.decode()} {b'/'.join(canon).decode()}: {h}, {b}, {change}"
            expected = dkim.verify(signed, dnsfunc=lambda *_, **__: public.encode())
            yield name, signed, {"s._domainkey.example.com": {"TXT": [[public[i:i + 255] for i in
                                 range(0, len(public), 255)]]}}, {"pass"} if expected else {"fail"}


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        try:
            rows = list(cases())
        except ImportError:
            rows = []
        metafunc.parametrize("case", rows, ids=[r[0] for r in rows])


def test_case(case, tmp_path):
    import pytest

    if not dkim_suite.command():
        pytest.skip("no gatepost is built")
    _, message, dns, results = case
    right, got = dkim_suite.judge(message, dns, results, tmp_path)
    assert right, f"{got}, dkimpy says {results}"


def main():
    import tempfile

    if not dkim_suite.command():
        print("dkim differential: skipped, no gatepost is built")
        return 0
    count = right = 0
    with tempfile.TemporaryDirectory() as tmp:
        try:
            for name, message, dns, results in cases():
                good, got = dkim_suite.judge(message, dns, results, tmp)
                count += 1
                right += good
                if not good:
                    print(f"  {name}: {[(g['result'], g['reason']) for g in got]}, dkimpy says {results}")
        except ImportError:
            print("dkim differential: skipped, python3-dkim is not there")
            return 0
    print(f"dkim differential: {right} of {count} agree")
    return 0 if right == count else 1


if __name__ == "__main__":
    sys.exit(main())
