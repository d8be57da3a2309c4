"""The OpenSPF suite for RFC 7208 (../shared/suites/spf), case by case through the facts JSON that
`gatepost check --facts` reads, so by the code path of live mail.

As a program it prints `spf suite: N of 203` and exits 1 unless all are right; with pytest each case
is a test. GATEPOST_CHECK names the command (default: bin/gatepost of a build folder, "check").
"""
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUITE = ROOT.parent / "shared/suites/spf/rfc7208-tests.yml"
EXPLAIN = 'hostname = "mx.example.net" domain "example.net" { backend = { "smtp://127.0.0.1:25" } } ' \
          'filter "spf" { explanation = true }'


def command():
    if os.environ.get("GATEPOST_CHECK"):
        return shlex.split(os.environ["GATEPOST_CHECK"])
    for build in sorted(ROOT.glob("build*"), key=lambda p: -p.stat().st_mtime):
        for name in ("libexec/gatepost/judge", "bin/judge", "bin/gatepost"):
            if (build / name).exists():
                return [str(build / name), "check"]
    return None


def add_record(name, kind, value):
    if kind == "TXT":
        # Characters up to U+00FF are octets in the facts JSON, as they are in the suite's YAML.
        name.setdefault("TXT", []).append(value)
    elif kind in ("A", "AAAA", "PTR", "CNAME", "NS"):
        name.setdefault(kind, []).append(value)
    elif kind == "MX":
        name.setdefault("MX", []).append(list(value))


def zone(zonedata):
    """SPF records stand for TXT ones, unless the name has TXT records of its own; a TIMEOUT
    answers every type for which nothing stands beside it."""
    out = {}
    for key, entries in zonedata.items():
        records, types, timeout = {}, set(), False
        for entry in entries:
            if entry == "TIMEOUT":
                timeout = True
            else:
                types.update(entry)
        for entry in entries:
            if entry == "TIMEOUT":
                continue
            for kind, value in entry.items():
                if kind == "TXT" and value == "NONE":
                    continue
                if kind == "SPF":
                    if "TXT" in types:
                        continue
                    kind = "TXT"
                add_record(records, kind, value)
        if timeout:
            records["rcode"] = "TIMEOUT"
        out[str(key)] = records
    return out


def cases():
    import yaml

    for scenario in yaml.safe_load_all(SUITE.read_text(encoding="utf-8")):
        if not scenario:
            continue
        dns = zone(scenario["zonedata"])
        for name, test in scenario["tests"].items():
            facts = {"now": "2026-11-20T12:00:00Z", "client": {"ip": test["host"]},
                     "helo": test["helo"], "mail_from": test["mailfrom"], "dns": dns}
            results = test["result"] if isinstance(test["result"], list) else [test["result"]]
            yield f"{scenario['description']}: {name}", facts, results, test.get("explanation")


def check(facts, tmp, conf=None):
    path = pathlib.Path(tmp) / "facts.json"
    path.write_text(json.dumps(facts))
    args = command() + ["--facts", str(path), "--json"] + (["-c", str(conf)] if conf else [])
    done = subprocess.run(args, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["auth"]["spf"]


def judge(facts, results, tmp):
    spf = check(facts, tmp)
    got = spf["result"] if spf else None
    return got in results, got


def explains(facts, explanation, tmp):
    """With explanations switched on: the suite's text, or ours (none) where it says DEFAULT."""
    conf = pathlib.Path(tmp) / "gatepost.conf"
    conf.write_text(EXPLAIN)
    got = check(facts, tmp, conf)["explanation"]
    return got == ("" if explanation == "DEFAULT" else explanation), got


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        have = SUITE.exists()
        rows = list(cases()) if have else []
        metafunc.parametrize("case", rows, ids=[r[0] for r in rows])


def test_case(case, tmp_path):
    import pytest

    if not command():
        pytest.skip("no gatepost is built")
    _, facts, results, explanation = case
    right, got = judge(facts, results, tmp_path)
    assert right, f"{got}, expected {' or '.join(results)}"
    if explanation is not None:
        right, got = explains(facts, explanation, tmp_path)
        assert right, f"{got!r}, expected {explanation!r}"


def main():
    import tempfile

    if not SUITE.exists():
        print("spf suite: skipped, ../shared/suites/spf is not there")
        return 0
    if not command():
        print("spf suite: skipped, no gatepost is built")
        return 0
    count = right = texts = right_texts = 0
    with tempfile.TemporaryDirectory() as tmp:
        for name, facts, results, explanation in cases():
            good, got = judge(facts, results, tmp)
            count += 1
            right += good
            if not good:
                print(f"  {name}: {got}, expected {' or '.join(results)}")
            if explanation is None:
                continue
            good, got = explains(facts, explanation, tmp)
            texts += 1
            right_texts += good
            if not good:
                print(f"  {name}: {got!r}, expected {explanation!r}")
    print(f"spf suite: {right} of {count}")
    print(f"spf suite, explanations: {right_texts} of {texts}")
    return 0 if right == count and right_texts == texts else 1


if __name__ == "__main__":
    sys.exit(main())
