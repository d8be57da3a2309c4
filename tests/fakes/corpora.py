"""Real mail from ../shared/corpora, unpacked once a run; tests that need it are skipped where it is absent."""

import atexit
import os
import pathlib
import random
import shutil
import subprocess
import tempfile

import pytest

CORPORA = pathlib.Path(__file__).resolve().parents[3] / "shared/corpora"
_unpacked = {}


def index(sets=("spamassassin", "modern", "csdmc")):
    """[(label, path)] of the sets, in order of arrival; "spam" or "ham"."""
    if not (CORPORA / "unpack").exists():
        pytest.skip("../shared/corpora is not here: no real mail to send")
    key = tuple(sets)
    if key not in _unpacked:
        folder = tempfile.mkdtemp(prefix="gatepost-corpora-")
        atexit.register(shutil.rmtree, folder, True)
        os.chmod(folder, 0o755)  # the gateway's user comes through it
        subprocess.run([str(CORPORA / "unpack"), folder, *sets], check=True)
        _unpacked[key] = pathlib.Path(folder)
    found = []
    for name in sets:
        for line in (_unpacked[key] / name / "index").read_text().splitlines():
            label, path = line.split(" ", 1)
            found.append((label, _unpacked[key] / name / path))
    return found


def messages(count, seed=1, sets=("spamassassin", "modern", "csdmc")):
    """`count` messages of the sets, chosen with a fixed seed, with CRLF line ends."""
    chosen = random.Random(seed).sample([path for _, path in index(sets)], count)
    return [path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for path in chosen]
