"""Runs every test and counts them all: cmocka tests, fuzz replays, pytest.

Used by ./check once both presets are built. Arguments: words that select test
programs by name ("conf", "scenarios"); without any, everything. The last line is
"N passed, N failed", with ", N skipped" if there are any; exit code 1 on failure.
"""

import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("GATEPOST_BUILD", os.path.join(ROOT, "build-sanitizers"))
TIMEOUT = 600  # seconds, for one test program
PYTEST_TIMEOUT = 1500
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def run(command, timeout):
    """Exit status and output; a time-out is a failure like any other."""
    environment = dict(os.environ, **SANITIZERS)
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except subprocess.TimeoutExpired as expired:
        return 1, (expired.stdout or b"").decode(errors="replace") + "\ntimed out"
    return done.returncode, done.stdout.decode(errors="replace")


def count_cmocka(status, output):
    """cmocka's own lines; a program that dies half way counts as one failure more."""
    count = Count(passed=len(re.findall(r"^\[ +OK \]", output, re.M)),
                  failed=len(re.findall(r"^\[  FAILED  \] [^0-9 ]+$", output, re.M)) // 2,
                  skipped=len(re.findall(r"^\[  SKIPPED \] [^0-9 ]+$", output, re.M)) // 2)
    if status != 0 and count.failed == 0:
        count.failed = 1
    if status == 0 and count.passed + count.skipped == 0:
        count.passed = 1  # a program with a single check of its own
    return count


def count_fuzz(status, _output):
    return Count(passed=int(status == 0), failed=int(status != 0))


def programs():
    """(name, command, counter) of every test program of the build."""
    tests, fuzz = os.path.join(BUILD, "tests"), os.path.join(BUILD, "fuzz")
    for name in sorted(os.listdir(tests)):
        path = os.path.join(tests, name)
        if name.endswith("_test") and os.access(path, os.X_OK):
            yield "unit " + name, [path], count_cmocka
    for name in sorted(os.listdir(fuzz)) if os.path.isdir(fuzz) else []:
        path = os.path.join(fuzz, name)
        if name.endswith("_fuzz") and os.access(path, os.X_OK):
            seeds = os.path.join(ROOT, "tests/fuzz/seeds", name[:-len("_fuzz")])
            yield "fuzz " + name, [path, seeds], count_fuzz


def run_programs(selected):
    total = Count()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = [(name, counter, pool.submit(run, command, TIMEOUT))
                   for name, command, counter in programs() if selected(name)]
        for name, counter, result in running:
            status, output = result.result()
            count = counter(status, output)
            total.add(count)
            print(f"{'FAILED' if count.failed else 'ok':6} {name}: {count.passed} passed"
                  + (f", {count.failed} failed" if count.failed else "")
                  + (f", {count.skipped} skipped" if count.skipped else ""), flush=True)
            if count.failed:
                print(output, flush=True)
    return total


def run_pytest(folders):
    """Prints as it goes; the counts come from its XML."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.xml")
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", **SANITIZERS)
        command = ["/usr/bin/python3", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider",
                   "--continue-on-collection-errors",
                   "--junitxml", report] + folders
        try:
            status = subprocess.run(command, cwd=ROOT, env=environment, check=False,
                                    timeout=PYTEST_TIMEOUT).returncode
        except subprocess.TimeoutExpired:
            print("pytest timed out", flush=True)
            return Count(failed=1)
        if not os.path.exists(report):
            return Count(failed=1)
        suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
        tests, skipped = int(suite.get("tests")), int(suite.get("skipped"))
        failed = int(suite.get("failures")) + int(suite.get("errors"))
        if status not in (0, 5) and not failed:  # 5: no tests there
            failed = 1
        return Count(max(tests - failed - skipped, 0), failed, skipped)


def main():
    words = sys.argv[1:]

    def selected(name):
        return not words or any(word in name for word in words)

    total = run_programs(selected)
    folders = [folder for folder in ("tests/scenarios", "tests/conformance")
               if os.path.isdir(os.path.join(ROOT, folder)) and selected(folder)]
    if folders:
        total.add(run_pytest(folders))
    if words and not total.passed + total.failed + total.skipped:
        print(f"No test has one of these in its name: {' '.join(words)}. Whole folders are tests/scenarios and "
              "tests/conformance.", file=sys.stderr)
        return 2
    print(f"{total.passed} passed, {total.failed} failed"
          + (f", {total.skipped} skipped" if total.skipped else ""))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
