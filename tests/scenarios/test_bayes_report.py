"""tests/bench/bayes_report.py: its measures are the TREC spam track's, and it runs."""

import pathlib
import random
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from tests.bench import bayes_report
from tests.fakes import gateway as fakes

TRECEVAL = fakes.ROOT.parent / "shared/bench/treceval.py"
HAM = {"ham.eml", "newsletter.eml", "signed.eml", "two-froms.eml", "spf-fail.eml"}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    for name, value in fakes.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GATEPOST_BUILD", str(fakes.BUILD))


def random_scores(seed, ties):
    chance = random.Random(seed)
    labels = [chance.random() < .6 for _ in range(chance.choice([30, 400, 3000]))]
    return labels, [round(chance.gauss(2.5 if l else -2.5, 1.5), 0 if ties else 6) for l in labels]


def pairs_lost(labels, scores):
    """(1-ROCA)% by its definition, pair by pair."""
    spam = [s for l, s in zip(labels, scores) if l]
    ham = [s for l, s in zip(labels, scores) if not l]
    return 100 * sum((h > s) + (h == s) / 2 for s in spam for h in ham) / (len(spam) * len(ham))


@pytest.mark.parametrize("ties", [False, True])
def test_measures_by_their_definitions(ties):
    for seed in range(20):
        labels, scores = random_scores(seed, ties)
        if len(labels) > 400:
            continue
        assert bayes_report.roca(labels, scores) == pytest.approx(pairs_lost(labels, scores))
        for share in (0, .001, .05):
            allowed = [100 * sum(l and s < t for l, s in zip(labels, scores)) / sum(labels)
                       for t in sorted(set(scores)) + [99]
                       if sum(not l and s >= t for l, s in zip(labels, scores)) <= share * labels.count(False)]
            assert bayes_report.missed_at(labels, scores, share) == pytest.approx(min(allowed))


def test_measures_worked_by_hand():
    # spam .9 .8 .4, ham .7 .3 .2 .1, threshold .5: 11 of 12 pairs are right, one of each is misjudged
    labels = [True] * 3 + [False] * 4
    found = bayes_report.measure(labels, [s - .5 for s in (.9, .8, .4, .7, .3, .2, .1)])
    odds = (1 / 3 * 1 / 2) ** .5
    assert found["roca"] == pytest.approx(100 / 12) and found["h1"] == pytest.approx(100 / 3)
    assert found["hm"] == 25 and found["sm"] == pytest.approx(100 / 3)
    assert found["lam"] == pytest.approx(100 * odds / (1 + odds))
    assert found["low"] <= found["roca"] <= found["high"]
    # All alike: at the threshold is spam, and a tie is half a pair.
    found = bayes_report.measure([True] * 5 + [False] * 5, [0.0] * 10)
    assert (found["roca"], found["h1"], found["hm"], found["sm"]) == (50, 100, 100, 0)
    assert found["lam"] == pytest.approx(50)


@pytest.mark.skipif(not TRECEVAL.exists(), reason="../shared/bench/treceval.py is not here")
@pytest.mark.parametrize("seed", range(12))
def test_measures_agree_with_treceval(seed):
    labels, scores = random_scores(seed, ties=seed % 2)
    lines = "".join(f"{'spam' if l else 'ham'} {s}\n" for l, s in zip(labels, scores))
    done = subprocess.run([sys.executable, TRECEVAL, "-t", "0", "--tsv", "x", "-"], input=lines, text=True,
                          check=True, stdout=subprocess.PIPE)
    _, ham, spam, _, _, hm, sm, lam, roca, _, _, h1 = done.stdout.rstrip("\n").split("\t")
    mine = bayes_report.measure(labels, scores)
    assert (int(ham), int(spam)) == (labels.count(False), labels.count(True))
    assert (hm, sm, lam, roca, h1) == tuple(f"{mine[k]:.4f}" for k in ("hm", "sm", "lam", "roca", "h1"))


def write_index(folder, name, paths):
    (folder / name).mkdir()
    index = folder / name / "index"
    index.write_text("".join(f"{'ham' if p.name in HAM else 'spam'} {p}\n" for p in paths))
    return index


def test_reports_on_samples(folder, capsys):
    samples = sorted((fakes.ROOT / "corpus/demo").glob("*.eml"))
    write_index(folder, "one", samples * 3)
    write_index(folder, "two", samples)
    markdown = folder / "report.md"
    bayes_report.main(["--no-others", "--svg", str(folder / "svg"), "--markdown", str(markdown), str(folder)])
    out = capsys.readouterr().out
    assert f"one, as it arrived: {3 * len(samples)} messages" in out and "two, shuffled" in out
    for row in ("gatepost", "gatepost, 5% of labels wrong", "gatepost, labels 100 late", "one -> two"):
        found = re.search(rf"^  {re.escape(row)} +([0-9.]+) ", out, re.M)
        assert found and 0 <= float(found[1]) <= 100, row
        assert f"| {row} | {found[1]} |" in markdown.read_text()
    # With only the last labels of 42 never told, nothing is known: all is tied.
    assert re.search(r"^  gatepost, labels 100 late +50\.0000 ", out, re.M)
    root = xml.etree.ElementTree.parse(folder / "svg/one-roc.svg").getroot()
    assert "ham lost" in "".join(root.itertext())


def test_learning_curve(folder, monkeypatch, capsys):
    samples = sorted((fakes.ROOT / "corpus/demo").glob("*.eml"))
    monkeypatch.setattr(bayes_report, "EARLY", 3 * len(samples))
    bayes_report.main(["--no-others", "--seeds", "1", "--svg", str(folder / "svg"),
                       str(write_index(folder, "one", samples * 3))])
    assert "right of seeded shuffles (1 seeds)" in capsys.readouterr().out
    root = xml.etree.ElementTree.parse(folder / "svg/one-learning.svg").getroot()
    assert "messages learned" in "".join(root.itertext())


@pytest.mark.parametrize("program", ["bogofilter", "spamprobe"])
def test_others_learn(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    samples = sorted((fakes.ROOT / "corpus/demo").glob("*.eml"))
    rows = [(path.name not in HAM, pathlib.Path(path)) for path in samples] * 3
    cost = bayes_report.Cost()
    run = {"bogofilter": bayes_report.run_bogofilter, "spamprobe": bayes_report.run_spamprobe}[program]
    scores = run(rows, cost)
    labels = [spam for spam, _ in rows]
    assert len(scores) == len(rows) and cost.seconds > 0 and cost.kilobytes > 1000
    # What they have seen before they know.
    assert bayes_report.roca(labels[-12:], scores[-12:]) < 20
