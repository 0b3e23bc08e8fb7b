"""Speed over commits: asv measures it, docs/history.md shows it.

`make bench-history` measures the last ten commits that touched speed, and draws them; `ARGS="--last 0"` only draws.
`make bench-check` says if the commit at HEAD is slower than its base, and where. Timings that look slower are measured
a second time, as among two dozen of the same speed chance makes one look so now and then.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
TIMINGS = r"Overhead\.time_function|History\.time_call"
ROUNDS, SAMPLES = 6, 3  # a round is a process: processes differ more than samples of one do

# What a commit has to change: a file that is compiled, and there a line that is more than a comment.
COMPILED = ("src", "setup.py", ":!src/*.md")
CODE = r"^[[:space:]]*([^*/#[:space:]]|#define)"

# Figures by the layout of their timings; calls on small arrays have none.
FIGURES = {None: "Small calls", "-": "Rows and weights", "NCHW": "Channels first", "NHWC": "Channels last"}
COLUMNS, MOST_COMMITS = 4, 24
BLUE, GREY = "#3b87c8", "#808080"  # which can be seen on white and on black

PAGE = """# Speed over commits

What the last commits that changed compiled code take, on {cpu} with {num_cpu} cores (`{machine}`). A line is the
median, the area around it goes from quartile to quartile. 1 is the median of all commits, whose time stands above the
graph; lower is faster. On a machine that others use, a step of some percent says something only if it lasts, or if
several graphs have it.

`make bench-history` measures the last ten in turns, so that a slow minute slows all of them, and writes this page;
commits before these are from earlier runs. `make bench-check` compares a commit with its base.

{figures}

The column "time" is the geometric mean of all graphs.

| | commit | date | time | subject |
|---|---|---|---|---|
{rows}
"""


def git(*args):
    return subprocess.run(["git", *args], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def asv(*args, commits=()):
    """Runs asv, which may read commits, and returns its exit status and what it printed."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT / "benchmarks"}
    told = ""
    with subprocess.Popen([sys.executable, "-u", "-m", "asv", *args], **pipes) as process:
        process.stdin.write("\n".join(commits))
        process.stdin.close()
        for line in process.stdout:
            told += line
            print(line, end="", flush=True)
    return process.returncode, told


def options(machine, rounds, bench):
    """Returns asv's options for rounds that take turns between commits, and makes the machine known to it."""
    asv("machine", "--yes")  # its host's name, which stays here; the other one may be published
    asv("machine", "--machine", machine, "--os", platform.system())
    attributes = (f"--attribute=rounds={rounds}", f"--attribute=repeat={SAMPLES}")
    return "--machine", machine, "--interleave-rounds", *attributes, "--bench", bench


def check(base, rounds, bench):
    """Returns asv's exit status: 1 if HEAD is slower than where it left the base, or than its parent if it did not."""
    if git("status", "--porcelain", "--", "normcy", *COMPILED):
        sys.exit("asv builds commits: commit your changes first")
    head, base = git("rev-parse", "HEAD"), git("merge-base", "HEAD", base)
    base = git("rev-parse", "HEAD~1") if base == head else base
    status, told = asv("continuous", *options("check", rounds, bench), base, head)
    slower = [re.escape(name) for name in re.findall(r"^\| \+ .*\| (\S.*\)) *\|$", told, re.MULTILINE)]
    if slower:
        print(f"\nA second look at {len(slower)} timings, which decides:", flush=True)
        status, _ = asv("continuous", *options("check", rounds, "|".join(slower)), base, head)
    return status


def measure(machine, last, rounds, bench):
    commits = git("log", "--first-parent", f"-{last}", "--format=%H", "-G", CODE, "--", *COMPILED).split()
    status, _ = asv("run", "HASHFILE:-", *options(machine, rounds, bench), commits=commits)
    if status not in (0, 2):  # 2 means that something failed, as where an old commit lacks a method
        sys.exit(status)


def results(folder):
    """Returns the commits, from old to new, the timings' names, and (commits, timings, 3): medians and quartiles."""
    found = {}
    for path in sorted(folder.glob("*-*.json")):
        data = json.loads(path.read_text())
        for values in data["results"].values():
            row = dict(zip(data["result_columns"], values, strict=False))
            columns = [row.get(column) or [] for column in ("result", "stats_q_25", "stats_q_75")]  # None if all failed
            for param, *numbers in zip(row["params"][0], *columns, strict=False):
                found.setdefault(data["commit_hash"], {})[param.strip("'")] = numbers
    commits = [commit for commit in git("log", "--first-parent", "--format=%H").split() if commit in found]
    commits = commits[:MOST_COMMITS][::-1]
    names = np.array([*dict.fromkeys(name for commit in commits for name in found[commit])])
    times = np.array([[found[commit].get(name, [None] * 3) for name in names] for commit in commits], float)
    measured = ~np.isnan(times[..., 0]).all(axis=0)
    return commits, names[measured], times[:, measured]


def draw(machine):
    """Writes docs/history.md and its figures."""
    import matplotlib.pyplot as plt  # not above, since asv imports this file where there is no matplotlib

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "normcy", "font.size": 7})
    plt.rcParams.update(dict.fromkeys(("text.color", "axes.edgecolor", "xtick.color", "ytick.color"), GREY))
    commits, names, times = results(ROOT / "benchmarks/results" / machine)
    usual = np.nanmedian(times[..., 0], axis=0)
    ratios, numbers, figures = times / usual[:, None], np.arange(1, len(commits) + 1), []
    for layout, title in FIGURES.items():
        members = [i for i, name in enumerate(names) if layout == (*name.split(", "), None)[1]]
        if not members:
            continue
        lines = -(-len(members) // COLUMNS)
        size = (10, 0.4 + 1.2 * lines)
        figure, panels = plt.subplots(lines, COLUMNS, figsize=size, sharey=True, squeeze=False, layout="constrained")
        medians = ratios[:, members, 0]
        panels[0, 0].set_ylim(min(0.8, 0.95 * np.nanmin(medians)), max(1.2, 1.05 * np.nanmax(medians)))  # of all panels
        figure.suptitle(f"{title}: time / median time, by commit")
        for panel in panels.flat[len(members) :]:
            panel.remove()
        for panel, i in zip(panels.flat, members, strict=False):
            median, low, high = ratios[:, i].T
            panel.axhline(1, color=GREY, linewidth=0.5)
            panel.fill_between(numbers, low, high, color=BLUE, alpha=0.25, linewidth=0)
            panel.plot(numbers, median, color=BLUE, marker=".")
            case, *_, threads = (*names[i].split(", "), "-", "one")[:3]
            time = f"{usual[i] * 1e6:.3g} us" if usual[i] < 1e-3 else f"{usual[i] * 1e3:.3g} ms"
            panel.set_title(f"{case}\n{time}, {'one thread' if threads == 'one' else 'all threads'}", fontsize=7)
            panel.xaxis.get_major_locator().set_params(integer=True, nbins=5)
            panel.set(facecolor="none")
        name = f"history_{title.split()[-1]}.svg"
        figure.savefig(ROOT / "docs" / name, transparent=True, metadata={"Date": None})
        figures.append(f"![{title}]({name})")
    means = np.exp(np.nanmean(np.log(ratios[..., 0]), axis=1))
    rows = [
        f"| {number} | {git('log', '-1', f'--format=%h | %as | {mean:.2f} | %s', commit)} |"
        for number, commit, mean in zip(numbers, commits, means, strict=True)
    ]
    described = json.loads((ROOT / "benchmarks/results" / machine / "machine.json").read_text())
    page = PAGE.format(**described, figures="\n".join(figures), rows="\n".join(rows))
    (ROOT / "docs/history.md").write_text(page)


def main():
    from asv.util import get_cpu_info  # not above, for the same reason

    own_name = re.sub("[^a-z0-9]+", "-", f"{get_cpu_info()} {os.cpu_count()}cores".lower())
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--last", type=int, default=10, metavar="N", help="how many commits; %(default)s by default")
    parser.add_argument("--machine", default=own_name, help="its name in public; %(default)s by default")
    parser.add_argument("--check", metavar="BASE", help="compare HEAD with its base, and change no page")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="more on a busy machine; %(default)s by default")
    parser.add_argument("--bench", default=TIMINGS, metavar="REGEX", help="which timings; %(default)s by default")
    given = parser.parse_args()
    if not given.machine.endswith("cores"):
        parser.error(f"--machine: expected a name like {own_name}, as git ignores others, got {given.machine}")
    if given.check:
        sys.exit(check(given.check, given.rounds, given.bench))
    if given.last:
        measure(given.machine, given.last, given.rounds, given.bench)
    draw(given.machine)


if __name__ == "__main__":
    main()
