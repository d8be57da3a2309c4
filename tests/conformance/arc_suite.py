"""The ARC test suite (../shared/suites/arc), validation cases, through the facts JSON that
`gatepost check --facts` reads, so by the code path of live mail.
"""
import json
import pathlib
import subprocess

from tests.conformance import programs

SUITE = programs.SUITES / "arc/arc-draft-validation-tests.yml"
RESULTS = {"none": "none", "pass": "pass", "fail": "fail",
           # The suite leaves open what a chain is that says itself that it has failed; RFC 8617 5.2
           # step 2 does not.
           "": "fail"}


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
    done = subprocess.run(programs.check() + args + [f"{tmp}/message.eml"], capture_output=True, text=True,
                          timeout=20)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["auth"]["arc"]


def judge(message, dns, expected, tmp):
    """A chain that passes names its sealers, the newest first; any other names nobody."""
    arc = check(message, dns, tmp)
    sealers = [line for line in message.lower().split("\r\n") if line.startswith("arc-seal")]
    right = arc["result"] == expected and len(arc["sealers"]) == (len(sealers) if expected == "pass" else 0)
    return right, arc


def test_case(case, tmp_path):
    _, message, dns, expected = case
    right, got = judge(message, dns, expected, tmp_path)
    assert right, f"{got}, expected {expected}"
