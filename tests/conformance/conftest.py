"""Each case of a suite is a test; at the end of a run it is said how many of them are right:
`arc suite: 171 of 171`."""

import pathlib


def pytest_terminal_summary(terminalreporter):
    right, all_cases = {}, {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            path = pathlib.PurePath(report.nodeid.split("::")[0])
            if path.parent.name != "conformance":
                continue
            name = path.stem.replace("_", " ")
            all_cases[name] = all_cases.get(name, 0) + 1
            right[name] = right.get(name, 0) + (outcome == "passed")
    for name in sorted(all_cases):
        terminalreporter.write_line(f"{name}: {right[name]} of {all_cases[name]}")


def pytest_generate_tests(metafunc):
    """A module's cases(), whose first part is the name. Without the suite, or what reads it, there is none: skipped."""
    if "case" not in metafunc.fixturenames:
        return
    try:
        rows = list(metafunc.module.cases())
    except (FileNotFoundError, ImportError):
        rows = []
    metafunc.parametrize("case", rows, ids=[row[0] for row in rows])
