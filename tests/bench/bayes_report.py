#!/usr/bin/env python3
"""Measures the classifier over corpora, beside bogofilter and spamprobe over the same lists.

usage: bayes_report.py [--svg DIR] [--markdown FILE] [--no-others] [--seeds N] PATH...

A PATH is an index with lines "spam PATH" or "ham PATH" in order of arrival, or a folder with
such indexes below it. Each message is judged, then learned, unless the row says otherwise. The
list is taken as it is and once shuffled, since in order of arrival labels come in blocks.

  (1-ROCA)%  how often a ham is ranked above a spam, ties counting by half; 95% interval (bootstrap)
  h=.1%      spam missed where at most 0.1% of ham is lost; ties are never split
  hm% sm%    ham and spam misjudged at the program's own threshold: gatepost 0, bogofilter 0.99,
             spamprobe 0.6; a message at the threshold is filed as spam
  lam%       their logistic average, invlogit((logit hm + logit sm) / 2); where none (or all) of n
             are wrong, as if (c + .5) of (n + 1) were
  us         microseconds of CPU a message, all told: starting, reading, judging, learning. The
             others are started twice a message, since neither learns true labels in one process.
  MB         the most memory that one of its processes held

Then, of seeded shuffles, how many of messages 101-200 and 201-500 were judged right, and how
gatepost does on one list when it has learned another. GATEPOST_BUILD names the build (default
build-release). The SVGs: ROC and learning curves.
"""

import argparse
import math
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOOTSTRAPS = 400
EARLY = 500  # messages of a shuffle that are looked at for speed of learning
BOUNDS = [0, 5, 10, 20, 50, 100, 200, 500]
VARIANTS = (("5% of labels wrong", ["--flip", "5"]),
            ("labels 100 late", ["--feedback", "delayed=100"]),
            ("20% of labels", ["--feedback", "partial=20"]),
            ("labels of errors", ["--feedback", "errors"]))
COLOURS = {"gatepost": "#0072b2", "bogofilter": "#d55e00", "spamprobe": "#009e73"}


def read_index(path):
    rows = []
    for line in path.read_text(errors="surrogateescape").splitlines():
        if line:
            label, _, name = line.partition(" ")
            rows.append((label == "spam", (path.parent / name).resolve()))
    return rows


def find_indexes(paths):
    for path in paths:
        if path.is_dir():
            yield from [path / "index"] if (path / "index").exists() else sorted(path.glob("*/index"))
        else:
            yield path


# Programs: each gives a score a message, 0 being its threshold.

class Cost:
    """CPU seconds of all processes, and the most kilobytes that one of them held."""

    def __init__(self):
        self.seconds, self.kilobytes = 0.0, 0

    def run(self, command):
        with subprocess.Popen([str(word) for word in command], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            out = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds += usage.ru_utime + usage.ru_stime
        self.kilobytes = max(self.kilobytes, usage.ru_maxrss)
        return process.returncode, out


def write_index(folder, name, rows):
    path = pathlib.Path(folder) / name
    path.write_text("".join(f"{'spam' if spam else 'ham'} {file}\n" for spam, file in rows),
                    errors="surrogateescape")
    return path


def run_gatepost(rows, cost, options=(), train=None):
    build = pathlib.Path(os.environ.get("GATEPOST_BUILD", ROOT / "build-release"))
    with tempfile.TemporaryDirectory() as folder:
        command = [build / "bin/gatepost", "eval", "--index", write_index(folder, "index", rows)]
        if train:
            command += ["--train", write_index(folder, "train", train)]
        status, out = cost.run(command + list(options))
    scores = [float(line.split()[1]) for line in out.splitlines()]
    if status != 0 or len(scores) != len(rows):
        sys.exit(f"bayes_report: gatepost eval ended with {status} after {len(scores)} messages")
    return scores


def run_bogofilter(rows, cost):
    return run_stepwise(rows, cost, 0.99, lambda folder, path: ["bogofilter", "-d", folder, "-TT", "-I", path],
                        lambda folder, path, spam: ["bogofilter", "-d", folder, "-s" if spam else "-n",
                                                    "-I", path], word=0)


def run_spamprobe(rows, cost):
    return run_stepwise(rows, cost, 0.6, lambda folder, path: ["spamprobe", "-d", folder, "score", path],
                        lambda folder, path, spam: ["spamprobe", "-d", folder, "spam" if spam else "good",
                                                    path], word=1,
                        begin=lambda folder: ["spamprobe", "-d", folder, "create-db"])


def run_stepwise(rows, cost, threshold, judge, learn, word, begin=None):
    scores = []
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.exists() else None) as folder:
        if begin:
            cost.run(begin(folder))
        for spam, path in rows:
            said = cost.run(judge(folder, path))[1].split()
            # Before it has learned anything it may say nothing.
            scores.append((float(said[word]) if len(said) > word else threshold) - threshold)
            cost.run(learn(folder, path, spam))
    return scores


# Measures. scores are of messages in the order of `labels`, true for spam.

class Ranks:
    """Messages by score: each message's group, messages of one score being one group."""

    def __init__(self, labels, scores):
        group = {score: at for at, score in enumerate(sorted(set(scores)))}
        self.count = len(group)
        self.spam = [group[s] for l, s in zip(labels, scores) if l]
        self.ham = [group[s] for l, s in zip(labels, scores) if not l]

    def lost(self, spam, ham):
        """100 times the chance that one of `ham` is ranked above one of `spam`."""
        counts = [[0, 0] for _ in range(self.count)]
        for at in spam:
            counts[at][0] += 1
        for at in ham:
            counts[at][1] += 1
        below = lost = 0
        for spams, hams in counts:
            lost += hams * (below + spams / 2)
            below += spams
        return 100 * lost / (len(spam) * len(ham))


def roca(labels, scores):
    ranks = Ranks(labels, scores)
    return ranks.lost(ranks.spam, ranks.ham)


def interval(labels, scores):
    chance = random.Random(1)
    ranks = Ranks(labels, scores)
    found = sorted(ranks.lost(chance.choices(ranks.spam, k=len(ranks.spam)),
                              chance.choices(ranks.ham, k=len(ranks.ham))) for _ in range(BOOTSTRAPS))
    return found[int(BOOTSTRAPS * .025)], found[int(BOOTSTRAPS * .975) - 1]


def curve(labels, scores):
    """Points (ham lost, spam missed, as shares), one for each different score, strictest first."""
    ranks = Ranks(labels, scores)
    counts = [[0, 0] for _ in range(ranks.count)]
    for of, groups in enumerate((ranks.spam, ranks.ham)):
        for at in groups:
            counts[at][of] += 1
    points, caught, lost = [(0.0, 1.0)], 0, 0
    for spams, hams in reversed(counts):
        caught += spams
        lost += hams
        points.append((lost / len(ranks.ham), 1 - caught / len(ranks.spam)))
    return points


def missed_at(labels, scores, ham_lost=.001):
    return 100 * min(missed for lost, missed in curve(labels, scores) if lost <= ham_lost + 1e-12)


def lam(misjudged, of):
    shares = [m / n if 0 < m < n else (m + .5) / (n + 1) for m, n in zip(misjudged, of)]
    mean = sum(math.log(s / (1 - s)) for s in shares) / 2
    return 100 / (1 + math.exp(-mean))


def is_right(label, score):
    return (score >= 0) == label


def measure(labels, scores):
    of = (len(labels) - sum(labels), sum(labels))
    wrong = tuple(sum(not is_right(l, s) for l, s in zip(labels, scores) if l == label)
                  for label in (False, True))
    low, high = interval(labels, scores)
    return {"roca": roca(labels, scores), "low": low, "high": high, "h1": missed_at(labels, scores),
            "hm": 100 * wrong[0] / of[0], "sm": 100 * wrong[1] / of[1], "lam": lam(wrong, of)}


# Tables, as text and as markdown at once.

class Table:
    MEASURES = (("(1-ROCA)%", lambda m: f"{m['roca']:.4f}"), ("95%", lambda m: f"{m['low']:.4f}-{m['high']:.4f}"),
                ("h=.1%", lambda m: f"{m['h1']:.3f}"), ("hm%", lambda m: f"{m['hm']:.3f}"),
                ("sm%", lambda m: f"{m['sm']:.3f}"), ("lam%", lambda m: f"{m['lam']:.3f}"))

    def __init__(self, title, first, *more, markdown):
        self.markdown, self.widths = markdown, [34] + [max(9, len(name)) for name in more]
        self.widths = [w if name != "95%" else 15 for w, name in zip(self.widths, (first, *more))]
        print(f"\n{title}")
        self.note(f"\n**{title}**\n")
        self.row(first, *more)
        self.note("|" + " --- |" + " ---: |" * len(more))

    @classmethod
    def of_measures(cls, title, first, *more, markdown):
        return cls(title, first, *[name for name, _ in cls.MEASURES], *more, markdown=markdown)

    def note(self, line):
        if self.markdown:
            self.markdown.write(line + "\n")

    def row(self, first, *cells):
        print(f"  {first:{self.widths[0]}}", *[f"{c:>{w}}" for c, w in zip(cells, self.widths[1:])], flush=True)
        self.note("| " + " | ".join((first, *cells)) + " |")

    def measured(self, first, measures, *more):
        self.row(first, *[show(measures) for _, show in self.MEASURES], *more)


def errors_along(labels, scores):
    bounds = [0, 100, 200, 500, 1000, 2000, 5000, 10000, len(labels)]
    shown = []
    for begin, end in zip(bounds, bounds[1:]):
        end = min(end, len(labels))
        if begin < end:
            wrong = sum(not is_right(l, s) for l, s in zip(labels[begin:end], scores[begin:end]))
            shown.append(f"{begin + 1}-{end}: {wrong}")
    return ", ".join(shown)


def compare(title, rows, programs, markdown):
    """All programs over one list. The scores of each."""
    labels = [spam for spam, _ in rows]
    table = Table.of_measures(f"{title}: {len(labels)} messages, {sum(labels)} spam", "", "us", "MB",
                              markdown=markdown)
    found = {}
    for name, run in programs.items():
        cost = Cost()
        found[name] = run(rows, cost)
        table.measured(name, measure(labels, found[name]), f"{1e6 * cost.seconds / len(rows):.0f}",
                       f"{cost.kilobytes / 1024:.0f}")
    for name, options in VARIANTS:
        cost = Cost()
        scores = run_gatepost(rows, cost, options)
        table.measured(f"gatepost, {name}", measure(labels, scores), f"{1e6 * cost.seconds / len(rows):.0f}",
                       f"{cost.kilobytes / 1024:.0f}")
    print("  gatepost's errors:", errors_along(labels, found["gatepost"]))
    return labels, found


def learning(title, rows, programs, seeds, markdown):
    """Shares misjudged within BOUNDS, a list for each program, over all seeds."""
    table = Table(f"{title}: right of seeded shuffles ({seeds} seeds)", "", "101-200", "least", "201-500",
                  "least", markdown=markdown)
    wrong = {}
    for name, run in programs.items():
        per_seed = []
        for seed in range(1, seeds + 1):
            some = random.Random(seed).sample(rows, EARLY)
            scores = run(some, Cost())
            per_seed.append([not is_right(l, s) for (l, _), s in zip(some, scores)])
        wrong[name] = [sum(sum(w[a:b]) for w in per_seed) / seeds / (b - a) for a, b in zip(BOUNDS, BOUNDS[1:])]
        shown = []
        for begin, end in ((100, 200), (200, 500)):
            right = [100 - 100 * sum(w[begin:end]) / (end - begin) for w in per_seed]
            shown += [f"{sum(right) / seeds:.2f}%", f"{min(right):.2f}%"]
        table.row(name, *shown)
    return wrong


def cross(lists, markdown):
    table = Table.of_measures("gatepost across corpora: learned, shuffled; then judged without feedback", "",
                              markdown=markdown)
    for learned, train in lists.items():
        for judged, rows in lists.items():
            if learned != judged:
                scores = run_gatepost(rows, Cost(), train=random.Random(1).sample(train, len(train)))
                table.measured(f"{learned} -> {judged}", measure([spam for spam, _ in rows], scores))


# Plots

class Plot:
    """Lines over two logarithmic axes."""
    WIDTH, HEIGHT, LEFT, TOP = 560, 360, 70, 46

    def __init__(self, title, x, y):
        """x, y: (label, least, most, [(value, text)])"""
        self.x, self.y, self.lines = x, y, []
        self.parts = [f'<text x="{self.LEFT}" y="26" font-size="15" font-weight="bold">{title}</text>']

    def place(self, axis, value):
        _, least, most, _ = self.x if axis == 0 else self.y
        share = math.log(min(max(value, least), most) / least) / math.log(most / least)
        return self.LEFT + self.WIDTH * share if axis == 0 else self.TOP + self.HEIGHT * (1 - share)

    def line(self, name, points, steps=False):
        places = [(self.place(0, x), self.place(1, y)) for x, y in points]
        path = f"M{places[0][0]:.1f} {places[0][1]:.1f}"
        for x, y in places[1:]:
            path += f"H{x:.1f}V{y:.1f}" if steps else f"L{x:.1f} {y:.1f}"
        colour = COLOURS[name]
        self.parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"'
                          ' stroke-linejoin="round"/>')
        if not steps:
            self.parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        self.lines.append(name)

    def axes(self):
        right, bottom = self.LEFT + self.WIDTH, self.TOP + self.HEIGHT
        parts = ['<g stroke="#ddd">']
        parts += [f'<path d="M{self.place(0, v):.1f} {self.TOP}V{bottom}"/>' for v, _ in self.x[3]]
        parts += [f'<path d="M{self.LEFT} {self.place(1, v):.1f}H{right}"/>' for v, _ in self.y[3]]
        parts.append('</g><g fill="#444">')
        parts += [f'<text x="{self.place(0, v):.1f}" y="{bottom + 18}" text-anchor="middle">{t}</text>'
                  for v, t in self.x[3]]
        parts += [f'<text x="{self.LEFT - 8}" y="{self.place(1, v) + 4:.1f}" text-anchor="end">{t}</text>'
                  for v, t in self.y[3]]
        middle = self.TOP + self.HEIGHT / 2
        parts.append(f'<text x="{self.LEFT + self.WIDTH / 2}" y="{bottom + 40}" text-anchor="middle">{self.x[0]}'
                     f'</text><text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">'
                     f'{self.y[0]}</text></g>')
        parts.append(f'<rect x="{self.LEFT}" y="{self.TOP}" width="{self.WIDTH}" height="{self.HEIGHT}"'
                     ' fill="none" stroke="#666"/>')
        return parts

    def legend(self):
        x, y = self.LEFT + self.WIDTH - 118, self.TOP + 10
        parts = [f'<rect x="{x}" y="{y}" width="108" height="{20 * len(self.lines) + 8}" fill="#fff"'
                 ' fill-opacity=".9" stroke="#bbb"/>']
        for at, name in enumerate(self.lines):
            line = y + 14 + 20 * at
            parts.append(f'<path d="M{x + 8} {line}h20" stroke="{COLOURS[name]}" stroke-width="2"/>'
                         f'<text x="{x + 34}" y="{line + 4}" fill="#222">{name}</text>')
        return parts

    def write(self, path):
        width, height = self.LEFT + self.WIDTH + 24, self.TOP + self.HEIGHT + 54
        body = "\n".join(self.axes() + self.parts + self.legend())
        path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
                        f' height="{height}" font-family="sans-serif" font-size="12">\n'
                        f'<rect width="{width}" height="{height}" fill="#fff"/>\n{body}\n</svg>\n')


def percent_ticks(least):
    return [(10.0 ** -e, f"{10.0 ** (2 - e):g}%") for e in range(5) if 10.0 ** -e >= least * .999]


def plot_roc(path, title, labels, found):
    least = 1e-4
    plot = Plot(f"{title}, shuffled: ROC, lower left is better",
                ("ham lost (0 at the left edge)", least, 1, percent_ticks(least)),
                ("spam missed (0 at the lower edge)", least, 1, percent_ticks(least)))
    for name, scores in found.items():
        plot.line(name, curve(labels, scores), steps=True)
    plot.write(path)


def plot_learning(path, title, wrong):
    least = 1e-3
    plot = Plot(f"{title}, shuffled: learning curve",
                ("messages learned", 2, 500, [(v, str(v)) for v in BOUNDS[1:]]),
                ("misjudged (0 at the lower edge)", least, 1, percent_ticks(least)))
    for name, shares in wrong.items():
        middles = [math.sqrt(max(a, 1) * b) for a, b in zip(BOUNDS, BOUNDS[1:])]
        plot.line(name, list(zip(middles, shares)))
    plot.write(path)


def report(options, markdown):
    programs = {"gatepost": run_gatepost}
    for name, run in (("bogofilter", run_bogofilter), ("spamprobe", run_spamprobe)):
        if not options.no_others and shutil.which(name):
            programs[name] = run
    lists = {}
    for index in find_indexes(options.path):
        name = index.resolve().parent.name
        lists[name] = rows = read_index(index)
        compare(f"{name}, as it arrived", rows, programs, markdown)
        labels, found = compare(f"{name}, shuffled", random.Random(1).sample(rows, len(rows)), programs, markdown)
        wrong = learning(name, rows, programs, options.seeds, markdown) if len(rows) >= EARLY else None
        if options.svg:
            options.svg.mkdir(parents=True, exist_ok=True)
            plot_roc(options.svg / f"{name}-roc.svg", name, labels, found)
            if wrong:
                plot_learning(options.svg / f"{name}-learning.svg", name, wrong)
    if len(lists) > 1:
        cross(lists, markdown)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--svg", type=pathlib.Path, help="write curves into this folder")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the tables into this file too")
    parser.add_argument("--no-others", action="store_true", help="gatepost alone")
    parser.add_argument("--seeds", type=int, default=10, help="shuffles for the speed of learning")
    parser.add_argument("path", nargs="+", type=pathlib.Path)
    options = parser.parse_args(arguments)
    if not options.markdown:
        report(options, None)
        return
    with open(options.markdown, "w", encoding="utf-8") as markdown:
        report(options, markdown)


if __name__ == "__main__":
    main()
