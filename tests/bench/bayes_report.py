#!/usr/bin/env python3
"""Measures the classifier over corpora, beside bogofilter and spamprobe over the same lists.

usage: bayes_report.py [--svg DIR] [--no-others] [--seeds N] INDEX...

An INDEX has lines "spam PATH" or "ham PATH", in order of arrival. Each message is judged, then
learned. What is printed, for each list and program:

  (1-ROCA)%  how often a ham is ranked above a spam, with a 95% interval (bootstrap)
  h=.1%      spam missed where at most 0.1% of ham is lost; ties are never split
  hm% sm%    ham and spam misjudged at the program's own threshold; lam% their logistic average
  us         microseconds of CPU a message, all told: reading, taking apart, judging, learning

then for gatepost: errors along the way, the same with 5% of the labels that are learned flipped
(a fixed seed), and, of seeded shuffles, how many of messages 101-200 and 201-500 were judged
right. GATEPOST_BUILD names the build (default build-release).
"""

import argparse
import math
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
GATEPOST = pathlib.Path(os.environ.get("GATEPOST_BUILD", ROOT / "build-release")) / "bin/gatepost"
BOOTSTRAPS = 200
FLIPPED = 0.05


def read_index(path):
    rows = []
    for line in path.read_text().splitlines():
        if line:
            label, _, name = line.partition(" ")
            rows.append((label == "spam", path.parent / name))
    return rows


# Programs: each gives a score a message, of what is learned with the labels given.

def cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_gatepost(rows):
    with tempfile.NamedTemporaryFile("w", suffix=".index") as index:
        index.writelines(f"{'spam' if spam else 'ham'} {path.resolve()}\n" for spam, path in rows)
        index.flush()
        done = subprocess.run([GATEPOST, "eval", "--index", index.name], check=True, text=True,
                              stdout=subprocess.PIPE)
    return [float(line.split()[1]) for line in done.stdout.splitlines()]


def run_bogofilter(rows):
    return run_stepwise(rows, 0.5, lambda folder, path: ["bogofilter", "-d", folder, "-TT", "-I", path],
                        lambda folder, path, spam: ["bogofilter", "-d", folder, "-s" if spam else "-n",
                                                    "-I", path], word=0)


def run_spamprobe(rows):
    return run_stepwise(rows, 0.6, lambda folder, path: ["spamprobe", "-d", folder, "score", path],
                        lambda folder, path, spam: ["spamprobe", "-d", folder, "spam" if spam else "good",
                                                    path], word=1,
                        begin=lambda folder: ["spamprobe", "-d", folder, "create-db"])


def run_stepwise(rows, threshold, judge, learn, word, begin=None):
    scores = []
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.exists() else None) as folder:
        if begin:
            subprocess.run(begin(folder), check=False, stderr=subprocess.DEVNULL)
        for spam, path in rows:
            said = subprocess.run(judge(folder, str(path)), check=False, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.split()
            # Before it has learned anything it may say nothing.
            scores.append((float(said[word]) if len(said) > word else threshold) - threshold)
            subprocess.run(learn(folder, str(path), spam), check=False, stdin=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    return scores


# Measures

def roca(labels, scores):
    """100 times the chance that a ham is ranked above a spam; a tie counts by half."""
    order = sorted(range(len(scores)), key=scores.__getitem__)
    spam = sum(labels)
    ham = len(labels) - spam
    below = lost = at = 0
    while at < len(order):
        end = at
        while end < len(order) and scores[order[end]] == scores[order[at]]:
            end += 1
        here = sum(labels[i] for i in order[at:end])
        hams = end - at - here
        lost += hams * (below + here / 2)
        below += here
        at = end
    return 100 * lost / (spam * ham)


def interval(labels, scores):
    chance = random.Random(1)
    spam = [s for l, s in zip(labels, scores) if l]
    ham = [s for l, s in zip(labels, scores) if not l]
    found = sorted(roca([True] * len(spam) + [False] * len(ham),
                        chance.choices(spam, k=len(spam)) + chance.choices(ham, k=len(ham)))
                   for _ in range(BOOTSTRAPS))
    return found[int(BOOTSTRAPS * .025)], found[int(BOOTSTRAPS * .975) - 1]


def curve(labels, scores):
    """Points (share of ham lost, share of spam missed), one for each different score."""
    rows = sorted(zip(scores, labels), reverse=True)
    spam = sum(labels)
    ham = len(labels) - spam
    points, caught, lost = [(0, 1)], 0, 0
    for at, (score, label) in enumerate(rows):
        caught += label
        lost += not label
        if at + 1 == len(rows) or rows[at + 1][0] != score:
            points.append((lost / ham, 1 - caught / spam))
    return points


def missed_at(labels, scores, ham_lost=.001):
    return 100 * min(missed for lost, missed in curve(labels, scores) if lost <= ham_lost + 1e-12)


def lam(misjudged, of):
    shares = [(m or .5) / (n + (m == 0)) for m, n in zip(misjudged, of)]
    mean = sum(math.log(s / (1 - s)) if s < 1 else 10 for s in shares) / 2
    return 100 / (1 + math.exp(-mean))


def measure(name, rows, run, bounds=True):
    labels = [spam for spam, _ in rows]
    before = cpu()
    scores = run(rows)
    used = (cpu() - before) / len(rows)
    of = (len(labels) - sum(labels), sum(labels))
    wrong = (sum(s > 0 and not l for l, s in zip(labels, scores)),
             sum(s <= 0 and l for l, s in zip(labels, scores)))
    low, high = interval(labels, scores) if bounds else (0, 0)
    print(f"  {name:16} {roca(labels, scores):8.4f} ({low:.4f}-{high:.4f}) {missed_at(labels, scores):7.2f}"
          f" {100 * wrong[0] / of[0]:7.3f} {100 * wrong[1] / of[1]:7.3f} {lam(wrong, of):7.3f}"
          f" {1e6 * used:7.0f}", flush=True)
    return labels, scores


def errors_along(labels, scores):
    bounds = [0, 100, 200, 500, 1000, 2000, 5000, 10000, len(labels)]
    shown = []
    for begin, end in zip(bounds, bounds[1:]):
        if begin < min(end, len(labels)):
            wrong = sum((s > 0) != l for l, s in zip(labels[begin:end], scores[begin:end]))
            shown.append(f"{begin + 1}-{min(end, len(labels))}: {wrong}")
    print("  errors         ", ", ".join(shown))


def with_flipped_labels(rows, clean):
    chance = random.Random(1)
    taught = [(spam != (chance.random() < FLIPPED), path) for spam, path in rows]
    scores = run_gatepost(taught)
    labels = [spam for spam, _ in rows]
    found = roca(labels, scores)
    print(f"  5% flipped       {found:8.4f} (clean {clean:.4f}) {missed_at(labels, scores):7.2f}")


def shuffled(rows, seeds):
    early, late = [], []
    for seed in range(1, seeds + 1):
        some = list(rows)
        random.Random(seed).shuffle(some)
        some = some[:500]
        right = [(s > 0) == l for (l, _), s in zip(some, run_gatepost(some))]
        early.append(100 * sum(right[100:200]) / 100)
        late.append(100 * sum(right[200:500]) / 300)
    for name, found in (("101-200", early), ("201-500", late)):
        print(f"  shuffled {name}  {sum(found) / seeds:.2f}% right (least {min(found):.2f}) of {seeds} seeds")


# Plots

def plot(path, title, labels, scores):
    """Spam missed by ham lost, both logarithmic."""
    size, least = 400, 1e-4

    def place(share):
        return size * math.log(max(share, least) / least) / math.log(1 / least)
    points = " ".join(f"{place(x):.1f},{size - place(y):.1f}" for x, y in curve(labels, scores))
    grid = "".join(f'<path d="M{place(10 ** -e):.1f} 0V{size}M0 {size - place(10 ** -e):.1f}H{size}"/>'
                   f'<text x="{place(10 ** -e) + 2:.1f}" y="{size - 3}">{10.0 ** (2 - e):g}%</text>'
                   for e in range(1, 4))
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -30 {size + 20} {size + 60}"'
                    f' font-family="sans-serif" font-size="11"><text x="0" y="-10">{title}: spam missed'
                    f' (up) by ham lost (right)</text><g stroke="#ccc" fill="#666" stroke-width=".5">{grid}'
                    f'</g><rect width="{size}" height="{size}" fill="none" stroke="#333"/>'
                    f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="1.5"/></svg>\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--svg", type=pathlib.Path, help="write ROC curves into this folder")
    parser.add_argument("--no-others", action="store_true", help="gatepost alone")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("index", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    if not GATEPOST.exists():
        sys.exit(f"{GATEPOST} is not built")
    programs = [("gatepost", run_gatepost)]
    for name, run in (("bogofilter", run_bogofilter), ("spamprobe", run_spamprobe)):
        if not options.no_others and shutil.which(name):
            programs.append((name, run))
    for index in options.index:
        rows = read_index(index)
        print(f"{index}: {len(rows)} messages, {sum(spam for spam, _ in rows)} spam")
        print(f"  {'':16} {'(1-ROCA)%':>8} {'':17} {'h=.1%':>6} {'hm%':>7} {'sm%':>7} {'lam%':>7}"
              f" {'us':>7}")
        found = [measure(name, rows, run) for name, run in programs]
        errors_along(*found[0])
        with_flipped_labels(rows, roca(*found[0]))
        if len(rows) >= 500:
            shuffled(rows, options.seeds)
        if options.svg:
            options.svg.mkdir(parents=True, exist_ok=True)
            plot(options.svg / f"{index.resolve().parent.name}.svg", index.resolve().parent.name, *found[0])


if __name__ == "__main__":
    main()
