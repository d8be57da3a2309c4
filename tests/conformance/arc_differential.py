"""ARC against dkimpy (Debian's python3-dkim): chains that it and filters/arc/seal.c make together, in any order,
over awkward messages and changed ones, must be judged here as it judges them.

The messages are those of dkim_differential.py, and as many of chance, of a seed: GATEPOST_SEED names another one.
"""
import pathlib
import random
import re
import subprocess

from tests.conformance import arc_suite, dkim_differential, programs
from tests.conformance.dkim_differential import BODIES, CHANGES, HEADERS, SEED

RANDOM_CASES = 100
SIGNED = [b"from", b"to", b"subject"]
KEY = {}
WHO = {"ours": (b"s", b"ours.example"), "theirs": (b"s", b"theirs.example")}
CHAINS = [["ours"], ["theirs"], ["ours", "ours"], ["ours", "theirs"], ["theirs", "ours"], ["ours", "theirs", "ours"]]


def key():
    """(PEM, record), made once; both sealers have it."""
    if not KEY:
        _, pem, record = next(dkim_differential.keys())
        KEY.update(pem=pem, record=record)
    return KEY["pem"], KEY["record"]


def cases():
    import authres  # which dkimpy needs to seal
    import dkim

    del authres, dkim
    for chain in CHAINS:
        name = "+".join(chain)
        for h in HEADERS:
            yield f"{name}: {h}", chain, HEADERS[h] + b"\r\n" + BODIES["runs of blanks"], "unchanged", None
        for b in BODIES:
            yield f"{name}: {b}", chain, HEADERS["plain"] + b"\r\n" + BODIES[b], "unchanged", None
        for change in CHANGES:
            yield f"{name}: {change}", chain, HEADERS["folded"] + b"\r\n" + BODIES["runs of blanks"], change, None
    for i in range(RANDOM_CASES):
        yield f"seed {SEED}, {i}", None, None, None, i


def ours(message, results, tmp):
    pem, record = key()
    folder = pathlib.Path(tmp)
    selector, domain = (part.decode() for part in WHO["ours"])
    (folder / "seal.eml").write_bytes(results + message)
    (folder / "key.pem").write_bytes(pem)
    (folder / "records").write_text("".join(f"{s.decode()}._domainkey.{d.decode()} {record}\n" for s, d in WHO.values()))
    done = subprocess.run(
        programs.program("GATEPOST_ARC_SEAL", "tests/arc_seal") +
        [f"{tmp}/seal.eml", f"{tmp}/key.pem", f"{tmp}/records", "mx", domain, selector, "", "1700000000"],
        capture_output=True, check=True, timeout=20)
    return done.stdout


def theirs(message, results, found):
    import dkim

    selector, domain = WHO["theirs"]
    return b"".join(dkim.arc_sign(results.replace(b"none", b"arc=" + found) + message, selector, domain, key()[0],
                                  b"mx", include_headers=SIGNED))


def verify(message):
    import dkim

    verdict = dkim.arc_verify(message, dnsfunc=lambda name, timeout=5: key()[1].encode())[0]
    return verdict or b"fail"  # None: a seal says that it failed before


def relay(message, chain, tmp):
    for sealer in chain:
        results = b"Authentication-Results: mx; none\r\n"
        lines = ours(message, results, tmp) if sealer == "ours" else theirs(message, results, verify(message))
        message = lines + message
    return message


def chance(i):
    """A message, who seals it, and what somebody does to it in between or behind."""
    rng = random.Random(f"{SEED} {i}")
    message = dkim_differential.random_headers(rng) + b"\r\n" + dkim_differential.random_body(rng)
    chain = [rng.choice(list(WHO)) for _ in range(rng.randrange(1, 5))]
    return rng, message, chain, rng.randrange(len(chain) + 1)


def make(case, tmp):
    _, chain, message, change, i = case
    if i is None:
        return CHANGES[change](relay(message, chain, tmp))
    rng, message, chain, at = chance(i)
    message = relay(message, chain[:at], tmp)
    changed = dkim_differential.random_change(rng, message)
    # dkimpy takes a bare CR or LF for a line end, which they are not (RFC 5322 2.3).
    if not re.search(rb"\r(?!\n)|(?<!\r)\n|[ \t]\Z", changed):
        message = changed
    return relay(message, chain[at:], tmp)


def test_case(case, tmp_path):
    message = make(case, tmp_path)
    expected = verify(message).decode()
    record = {"TXT": [[key()[1][i:i + 255] for i in range(0, len(key()[1]), 255)]]}
    dns = {f"{s.decode()}._domainkey.{d.decode()}": record for s, d in WHO.values()}
    got = arc_suite.check(message, dns, tmp_path)
    assert got["result"] == expected, f"{got}, expected {expected}: {message}"
    if case[3] == "unchanged":
        assert expected == "pass", message
        assert got["sealers"] == [WHO[who][1].decode() for who in reversed(case[1])]
