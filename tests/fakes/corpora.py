"""Real mail from ../shared/corpora, unpacked once a run; tests that need it are skipped where it is absent."""

import atexit
import pathlib
import random
import shutil
import subprocess
import tempfile

import pytest

CORPORA = pathlib.Path(__file__).resolve().parents[3] / "shared/corpora"
_unpacked = {}


def messages(count, seed=1, sets=("spamassassin", "modern", "csdmc")):
    """`count` messages of the sets, chosen with a fixed seed, with CRLF line ends."""
    if not (CORPORA / "unpack").exists():
        pytest.skip("../shared/corpora is not here: no real mail to send")
    key = tuple(sets)
    if key not in _unpacked:
        folder = tempfile.mkdtemp(prefix="gatepost-corpora-")
        atexit.register(shutil.rmtree, folder, True)
        subprocess.run([str(CORPORA / "unpack"), folder, *sets], check=True)
        _unpacked[key] = pathlib.Path(folder)
    paths = []
    for name in sets:
        for line in (_unpacked[key] / name / "index").read_text().splitlines():
            paths.append(_unpacked[key] / name / line.split(" ", 1)[1])
    chosen = random.Random(seed).sample(paths, count)
    return [path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for path in chosen]
