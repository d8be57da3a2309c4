"""Where the programs that the suites drive are: named by a variable, or of the newest build folder."""

import os
import pathlib
import shlex

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUITES = ROOT.parent / "shared/suites"


def program(variable, path):
    """As a list of arguments; a test that needs one which is not built is skipped."""
    if os.environ.get(variable):
        return shlex.split(os.environ[variable])
    for build in sorted(ROOT.glob("build*"), key=lambda p: -p.stat().st_mtime):
        if (build / path).exists():
            return [str(build / path)]
    pytest.skip(f"{path} is not built")


def check():
    """`gatepost check`, by its judge: one process less for each case."""
    found = program("GATEPOST_JUDGE", "libexec/gatepost/judge")
    return found + ["check"]
