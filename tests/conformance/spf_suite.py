"""The OpenSPF suite for RFC 7208 (../shared/suites/spf), case by case through the facts JSON that
`gatepost check --facts` reads, so by the code path of live mail.
"""
import json
import pathlib
import subprocess

from tests.conformance import programs

SUITE = programs.SUITES / "spf/rfc7208-tests.yml"
EXPLAIN = 'hostname = "mx.example.net" domain "example.net" { backend = { "smtp://127.0.0.1:25" } } ' \
          'filter "spf" { explanation = true }'


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
    args = programs.check() + ["--facts", str(path), "--json"] + (["-c", str(conf)] if conf else [])
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


def test_case(case, tmp_path):
    _, facts, results, explanation = case
    right, got = judge(facts, results, tmp_path)
    assert right, f"{got}, expected {' or '.join(results)}"
    if explanation is not None:
        right, got = explains(facts, explanation, tmp_path)
        assert right, f"{got!r}, expected {explanation!r}"
