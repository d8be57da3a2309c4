"""DKIM against dkimpy (Debian's python3-dkim): signatures that it makes over awkward messages must pass
here, and changed messages must be judged here as it judges them.

The messages of tables below, and as many of chance, of a seed: GATEPOST_SEED names another one.
"""
import base64
import itertools
import os
import random
import re

from tests.conformance import dkim_suite

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


def table_cases():
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


SEED = int(os.environ.get("GATEPOST_SEED", "6376"))
RANDOM_CASES = 120


def random_body(rng):
    """Of what canonicalisation looks at: blanks, line ends, empty lines; at times no last line end."""
    pieces = [rng.choice([b"a", b"word", b" ", b"  ", b"\t", b" \t ", b"\r\n", b"\r\n", b"\r\n\r\n", b".", b"\xff"])
              for _ in range(rng.randrange(0, 60))]
    body = b"".join(pieces) + rng.choice([b"", b"\r\n", b" \r\n", b"\r\n\r\n\r\n"])
    # dkimpy keeps blanks at the end of a last line that has no end (RFC 6376 3.4.4 does not).
    return body + b"\r\n" if body.endswith((b" ", b"\t")) else body


def random_headers(rng):
    def value():
        words = [rng.choice([b"x", b"two words", b"a:b", b"b=c; d", b'"q"']) for _ in range(rng.randrange(1, 6))]
        return b"".join(w + rng.choice([b" ", b"  ", b"\t", b"\r\n ", b"\r\n\t \t", b" \r\n  "]) for w in words[:-1]) + words[-1]

    def line(name):
        name = rng.choice([name, name.lower(), name.upper()])
        return name + b":" + rng.choice([b" ", b"", b"  ", b"\t", b"\r\n "]) + value() + rng.choice([b"", b" ", b"\t"]) + b"\r\n"

    lines = [rng.choice([b"From", b"FROM"]) + b": a@example.com\r\n"]
    lines += [line(rng.choice([b"To", b"Subject", b"X-Two", b"X-One", b"Cc"])) for _ in range(rng.randrange(0, 8))]
    rng.shuffle(lines)
    return b"".join(lines)


def random_change(rng, message):
    """Anywhere one octet more, less, or another; or nothing."""
    what = rng.randrange(5)
    if what > 2:
        return message
    at = message.index(b"\r\n\r\n") + rng.randrange(4, 8) if rng.random() < 0.5 else message.index(b"\r\n\r\n")
    new = rng.choice([b" ", b"\t", b"x"])
    return message[:at] + (new if what < 2 else b"") + message[at + (what > 0):]


def random_cases():
    """Signatures by dkimpy over messages of chance, some changed behind it; what it says of them holds."""
    import dkim

    rng = random.Random(SEED)
    made = list(keys())
    for i in range(RANDOM_CASES):
        algorithm, private, public = rng.choice(made)
        canon = rng.choice(CANONS)
        message = random_headers(rng) + b"\r\n" + random_body(rng)
        names = [b"from"] + rng.sample([b"to", b"subject", b"x-two", b"x-one", b"cc", b"absent"], rng.randrange(0, 6))
        signed = dkim.sign(message, b"s", b"example.com", private, canonicalize=canon,
                           signature_algorithm=algorithm, include_headers=names) + message
        changed = random_change(rng, signed)
        # dkimpy takes a bare CR or LF for a line end, which they are not (RFC 5322 2.3).
        if not re.search(rb"\r(?!\n)|(?<!\r)\n|[ \t]\Z", changed):
            signed = changed
        expected = dkim.verify(signed, dnsfunc=lambda *_, **__: public.encode())
        yield (f"seed {SEED}, {i}", signed, {"s._domainkey.example.com": {"TXT": [[public[k:k + 255] for k in
               range(0, len(public), 255)]]}}, {"pass"} if expected else {"fail"})


def cases():
    yield from table_cases()
    yield from random_cases()


def test_case(case, tmp_path):
    _, message, dns, results = case
    right, got = dkim_suite.judge(message, dns, results, tmp_path)
    assert right, f"{got}, dkimpy says {results}"
