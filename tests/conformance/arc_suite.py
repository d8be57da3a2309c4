"""The ARC test suite (../shared/suites/arc), validation cases, through the facts JSON that
`gatepost check --facts` reads, so by the code path of live mail.

As a program it prints `arc suite: N of 171` and exits 1 unless all are right; with pytest each case
is a test. GATEPOST_CHECK names the command (default: the newest build folder's judge).
"""
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUITE = ROOT.parent / "shared/suites/arc/arc-draft-validation-tests.yml"
RESULTS = {"none": "none", "pass": "pass", "fail": "fail",
           # The suite leaves open what a chain is that says itself that it has failed; RFC 8617 5.2
           # step 2 does not.
           "": "fail"}


def command():
    if os.environ.get("GATEPOST_CHECK"):
        return shlex.split(os.environ["GATEPOST_CHECK"])
    for build in sorted(ROOT.glob("build*"), key=lambda p: -p.stat().st_mtime):
        if (build / "libexec/gatepost/judge").exists():
            return [str(build / "libexec/gatepost/judge"), "check"]
    return None


def zone(records):
    """A TXT record is a list of strings of at most 255 octets."""
    return {name: {"TXT": [[text[i:i + 255] for i in range(0, len(text), 255)]]}
            for name, text in records.items()}


def cases():
    import yaml

    for scenario in yaml.safe_load_all(SUITE.read_text(encoding="utf-8")):
        if not scenario:
            continue
        dns = zone(scenario["txt-records"])
        for name, test in scenario["tests"].items():
            yield (f"{scenario['description']}: {name}", test["message"].replace("\n", "\r\n"), dns,
                   RESULTS[(test["cv"] or "").lower()])


def check(message, dns, tmp, conf=None):
    folder = pathlib.Path(tmp)
    (folder / "facts.json").write_text(json.dumps({"now": "2026-11-20T12:00:00Z", "dns": dns}))
    (folder / "message.eml").write_bytes(message.encode() if isinstance(message, str) else message)
    args = ["--facts", f"{tmp}/facts.json", "--json", "--wire"] + (["-c", str(conf)] if conf else [])
    done = subprocess.run(command() + args + [f"{tmp}/message.eml"], capture_output=True, text=True,
                          timeout=20)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["auth"]["arc"]


def judge(message, dns, expected, tmp):
    """A chain that passes names its sealers, the newest first; any other names nobody."""
    arc = check(message, dns, tmp)
    sealers = [line for line in message.lower().split("\r\n") if line.startswith("arc-seal")]
    right = arc["result"] == expected and len(arc["sealers"]) == (len(sealers) if expected == "pass" else 0)
    return right, arc


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        rows = list(cases()) if SUITE.exists() else []
        metafunc.parametrize("case", rows, ids=[r[0] for r in rows])


def test_case(case, tmp_path):
    import pytest

    if not command():
        pytest.skip("no gatepost is built")
    _, message, dns, expected = case
    right, got = judge(message, dns, expected, tmp_path)
    assert right, f"{got}, expected {expected}"


def main():
    import tempfile

    if not SUITE.exists() or not command():
        print("arc suite: skipped, ../shared/suites/arc or a build is not there")
        return 0
    count = right = 0
    with tempfile.TemporaryDirectory() as tmp:
        for name, message, dns, expected in cases():
            good, got = judge(message, dns, expected, tmp)
            count += 1
            right += good
            if not good:
                print(f"  {name}: {got}, expected {expected}")
    print(f"arc suite: {right} of {count}")
    return 0 if right == count else 1


if __name__ == "__main__":
    sys.exit(main())
