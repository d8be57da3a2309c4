"""The ARC test suite (../shared/suites/arc), signing cases: the set that filters/arc/seal.c adds,
tag by tag, with its signatures.
"""
import pathlib
import subprocess

from tests.conformance import programs

SUITE = programs.SUITES / "arc/arc-draft-sign-tests.yml"
HEADERS = {"AS": "arc-seal", "AMS": "arc-message-signature", "AAR": "arc-authentication-results"}


def cases():
    import yaml

    for scenario in yaml.safe_load_all(SUITE.read_text(encoding="utf-8")):
        for name, test in (scenario or {"tests": {}})["tests"].items():
            yield f"{scenario['description']}: {name}", scenario, test


def tags(value):
    """As the suite compares: all white space gone, one set of tags."""
    return {tag for tag in "".join(value.split()).split(";") if tag}


def seal(scenario, test, tmp):
    folder = pathlib.Path(tmp)
    (folder / "message.eml").write_bytes(test["message"].replace("\n", "\r\n").encode())
    (folder / "key.pem").write_text(scenario["privatekey"])
    (folder / "records").write_text("".join(
        f"{name} {' '.join(text.split())}\n" for name, text in scenario["txt-records"].items()))
    done = subprocess.run(
        programs.program("GATEPOST_ARC_SEAL", "tests/arc_seal") + [f"{tmp}/message.eml", f"{tmp}/key.pem", f"{tmp}/records", test["srv-id"],
         scenario["domain"], scenario["sel"], test["sig-headers"], str(test["t"])],
        capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    unfolded = done.stdout.replace("\n ", " ").replace("\n\t", " ").splitlines()
    return {line.split(":", 1)[0].lower(): line.split(":", 1)[1] for line in unfolded if line}


def judge(scenario, test, tmp):
    got = seal(scenario, test, tmp)
    right = all(tags(got.get(header, "")) == tags(test[key]) for key, header in HEADERS.items())
    return right, got


def test_case(case, tmp_path):
    _, scenario, test = case
    right, got = judge(scenario, test, tmp_path)
    assert right, got
