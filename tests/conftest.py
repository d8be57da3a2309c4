"""Lets every test folder import the others by their path: `from tests.fakes.dns import Dns`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))


def pytest_terminal_summary(terminalreporter):
    """The count of each public suite: "spf suite: 203 of 203"."""
    right, all_of = {}, {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            place, _, case = report.nodeid.partition("::test_case[")
            if case and "conformance/" in place:
                suite = pathlib.Path(place).stem.replace("_", " ")
                all_of[suite] = all_of.get(suite, 0) + 1
                right[suite] = right.get(suite, 0) + (outcome == "passed")
    for suite in sorted(all_of):
        terminalreporter.write_line(f"{suite}: {right[suite]} of {all_of[suite]}")
