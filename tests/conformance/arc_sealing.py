"""The ARC test suite (../shared/suites/arc), signing cases: the set that filters/arc/seal.c adds,
tag by tag, with its signatures.

As a program it prints `arc sealing: N of 17` and exits 1 unless all are right; with pytest each case
is a test. GATEPOST_ARC_SEAL names the program (default: the newest build folder's tests/arc_seal).
"""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUITE = ROOT.parent / "shared/suites/arc/arc-draft-sign-tests.yml"
HEADERS = {"AS": "arc-seal", "AMS": "arc-message-signature", "AAR": "arc-authentication-results"}


def command():
    if os.environ.get("GATEPOST_ARC_SEAL"):
        return os.environ["GATEPOST_ARC_SEAL"]
    for build in sorted(ROOT.glob("build*"), key=lambda p: -p.stat().st_mtime):
        if (build / "tests/arc_seal").exists():
            return str(build / "tests/arc_seal")
    return None


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
        [command(), f"{tmp}/message.eml", f"{tmp}/key.pem", f"{tmp}/records", test["srv-id"],
         scenario["domain"], scenario["sel"], test["sig-headers"], str(test["t"])],
        capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    unfolded = done.stdout.replace("\n ", " ").replace("\n\t", " ").splitlines()
    return {line.split(":", 1)[0].lower(): line.split(":", 1)[1] for line in unfolded if line}


def judge(scenario, test, tmp):
    got = seal(scenario, test, tmp)
    right = all(tags(got.get(header, "")) == tags(test[key]) for key, header in HEADERS.items())
    return right, got


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        rows = list(cases()) if SUITE.exists() else []
        metafunc.parametrize("case", rows, ids=[r[0] for r in rows])


def test_case(case, tmp_path):
    import pytest

    if not command():
        pytest.skip("arc_seal is not built")
    _, scenario, test = case
    right, got = judge(scenario, test, tmp_path)
    assert right, got


def main():
    import tempfile

    if not SUITE.exists() or not command():
        print("arc sealing: skipped, ../shared/suites/arc or a build is not there")
        return 0
    count = right = 0
    with tempfile.TemporaryDirectory() as tmp:
        for name, scenario, test in cases():
            good, got = judge(scenario, test, tmp)
            count += 1
            right += good
            if not good:
                print(f"  {name}: {got}, expected {({k: test[k] for k in HEADERS})}")
    print(f"arc sealing: {right} of {count}")
    return 0 if right == count else 1


if __name__ == "__main__":
    sys.exit(main())
