"""Says at the end of a run how many cases of each public suite are right: `arc suite: 171 of 171`."""

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
