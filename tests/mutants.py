"""Builds each of the mutants in mutants.toml and runs the tests on it, to check that they fail.

It is a program (`make mutants`) for developers, with Python 3.11 or newer, and works in copies of the repository. A
mutant is caught by the first test that fails, ends the process or hangs. The tests that are likely to catch it run
first.
"""

import argparse
import json
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Tests of what a source file does, then those that see most of the rest, those that find faults soonest first.
OWN = {
    "kernels/activation_tpl.h": "activations reproducibility::test_isas_threads_and_tunings",
    "kernels/add_tpl.h": "paths fused memory kernels",
    "kernels/apply_panel_tpl.h": "paths fused extremes memory",
    "kernels/apply_tile_tpl.h": "paths fused extremes kernels::test_isas_agree",
    "kernels/apply_tpl.h": "paths fused extremes memory",
    "kernels/coefficients_tpl.h": "extremes numerics",
    "kernels/moments_cols_tpl.h": "reproducibility::test_isas_threads_and_tunings bounds",
    "kernels/moments_rows_tpl.h": "reproducibility::test_isas_threads_and_tunings bounds",
    "kernels/moments_tpl.h": "reproducibility::test_isas_threads_and_tunings bounds numerics kernels::test_same_bits",
    "kernels/normalize_vector_tpl.h": "extremes numerics",
    "kernels/numerics.h": "extremes numerics reproducibility::test_isas_threads_and_tunings bounds",
    "kernels/row_sums_tpl.h": "reproducibility::test_isas_threads_and_tunings bounds numerics kernels::test_same_bits",
    "kernels/rstd_tpl.h": "extremes numerics",
    "kernels/simd/four_lanes.h": "memory kernels",
    "normcy/_engine/chunks.pxd": "paths reproducibility::test_isas_threads_and_tunings",
    "normcy/_engine/chunks.pyx": "paths reproducibility::test_isas_threads_and_tunings bounds",
    "normcy/_engine/coefficients.pyx": "extremes numerics running paths",
    "normcy/_engine/cols.pyx": "extremes numerics running paths bounds",
    "normcy/_engine/interface.pyx": "interface",
    "normcy/_engine/parallel.pyx": "crowding threads runners",
    "normcy/_engine/rows.pyx": "extremes numerics running paths",
    "normcy/_engine/schedule.pyx": "schedule paths",
    "normcy/_engine/statistics.pyx": "extremes numerics running styles",
    "normcy/_engine/view.pyx": "arrays operands bad_input",
    "normcy/_engine/weights.pyx": "extremes interface",
    "normcy/_native/arrays.pyx": "arrays operands odd_input bad_input",
    "normcy/_native/batch.pyx": "running fused layers arrays bad_input reproducibility::test_isas_threads_and_tunings",
    "normcy/_native/call.pyx": "fused layers arrays bad_input",
    "normcy/_native/evonorm.pyx": "formulas operands",
    "normcy/_native/moments.pyx": "moments identities",
    "normcy/_native/options.pyx": "bad_input arrays",
    "normcy/_native/outputs.pyx": "outputs memory",
    "normcy/_native/parallel_copy.pyx": "memory kernels compare",
    "normcy/_native/renorm.pyx": "running operands extremes",
    "normcy/_native/running.pyx": "running operands extremes threads",
    "normcy/_native/settings.pyx": "runtime package",
    "normcy/_native/statistics.pyx": "running fused",
    "normcy/_native/styles.pyx": "styles operands arrays bad_input",
    "normcy/_native/threads.pyx": "runtime processes threads",
    "normcy/_native/weight.pyx": "formulas arrays",
    "runtime/floating_point.h": "floating_point",
    "runtime/outputs.c": "outputs memory",
    "runtime/caches.c": "tuning",
    "runtime/process.c": "floating_point runtime processes",
    "runtime/claims.c": "threads",
    "runtime/crowding.c": "crowding",
    "runtime/threads.c": "thread_limits threads processes",
}
QUICK = (
    "identities extremes running styles arrays::test_parameter_shapes reproducibility::test_isas_threads_and_tunings"
)
LAST = "package large sanitizers"  # they build normcy again, or take gigabytes


def mutants():
    """Returns the list of mutants, each with a unique name."""
    import tomllib

    found = tomllib.loads((ROOT / "tests/mutants.toml").read_text())["mutant"]
    return [{**m, "name": f"{m['file']}: {m['breaks']}"} for m in found]


def stages(file):
    """Returns names of test files, and of some tests in them, in the order of their runs; each stage is a process."""
    names = [path.stem.removeprefix("test_") for path in sorted((ROOT / "tests").glob("test_*.py"))]
    names.remove("mutants")  # it would fail for any change of the mutated lines
    own, quick, last = OWN.get(file, "").split(), QUICK.split(), LAST.split()
    rest = [name for name in names if name not in own + quick + last]
    return [own, [name for name in quick if name not in own], rest + [name for name in last if name not in own]]


def pytest_name(name):
    """Returns the file of a name, or the test in it that comes after `::`."""
    file, *test = name.split("::")
    return "::".join([f"tests/test_{file}.py", *test])


class Copy:
    """A copy of the repository in a folder of its own, built once; then setup.py builds only what has changed."""

    def __init__(self, folder, patience):
        self.root, self.patience = folder, patience
        for name in subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0"):
            if name and (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        setup = folder / "setup.py"
        setup.write_text(setup.read_text().replace('"-O3"', '"-O1"'))  # a third of the time, and the same bits
        self.plain = self.build()

    def run(self, command, **options):
        done = subprocess.run(command, cwd=self.root, text=True, stdout=-1, stderr=subprocess.STDOUT, **options)
        if done.returncode:
            raise OSError(f"{shlex.join(command)}\n{done.stdout[-2000:]}")

    def build(self):
        """Builds the extension modules again where needed; returns their code."""
        self.run([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"])
        return [path.read_bytes() for path in sorted(self.root.glob("normcy/*/*.so"))]

    def failing(self, names):
        """Returns the first failure in these test files, or None."""
        command = [sys.executable, "-m", "pytest", "-x", "-vv", "-p", "no:cacheprovider", *map(pytest_name, names)]
        with tempfile.TemporaryFile("w+") as log:
            env = {**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
            tests = subprocess.Popen(command, cwd=self.root, env=env, stdout=log, stderr=log, start_new_session=True)
            size, since, hangs = 0, time.monotonic(), False
            while tests.poll() is None:
                time.sleep(0.2)
                if os.fstat(log.fileno()).st_size != size:
                    size, since = os.fstat(log.fileno()).st_size, time.monotonic()
                elif time.monotonic() - since > self.patience:
                    hangs = True
                    os.killpg(tests.pid, signal.SIGKILL)
                    tests.wait()
            log.seek(0)
            text = log.read()
        if tests.returncode == 0:
            return None
        failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", text, re.MULTILINE)
        begun = re.findall(r"^(tests/\S+::.+?)(?: PASSED.*| SKIPPED.*)?$", text, re.MULTILINE)
        how = "hangs" if hangs else f"ends with {tests.returncode}"
        return failed[1] if failed else f"{begun[-1].strip() if begun else 'pytest'} ({how})"

    def outcome(self, mutant, quick):
        """Returns what becomes of a mutant, as a pair of a word and the test that caught it."""
        path = self.root / "src" / mutant["file"]
        text = path.read_text()
        path.write_text(text.replace(mutant["old"], mutant["new"]))
        try:
            if self.build() == self.plain:
                return "survived", "the compiler, which makes the same code of it"
            first, *more = [names for names in stages(mutant["file"]) if names]
            for names in [first] if quick else [first, *more]:
                failed = self.failing(names)
                if failed:
                    return "caught", failed
            return "survived", " ".join(first) if quick else "all tests"
        except OSError as error:
            return "invalid", str(error)
        finally:
            path.write_text(text)


def work(todo, results, options, save):
    with tempfile.TemporaryDirectory(prefix="normcy-mutants-") as folder:
        copy = Copy(Path(folder), options.patience)
        while not todo.empty():
            try:
                mutant = todo.get_nowait()
            except queue.Empty:
                return
            start = time.monotonic()
            word, by = copy.outcome(mutant, options.quick)
            shown = word.upper() if word != "caught" and "survives" not in mutant else word
            print(f"{shown:8} {time.monotonic() - start:5.0f} s  {mutant['name']}\n{'':18}{by}", flush=True)
            results[mutant["name"]] = [word, by]
            save()


def main():
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=1, help="how many at once, each in a copy of its own")
    parser.add_argument("--only", nargs="*", default=[""], help="those with one of these in `file: what breaks`")
    parser.add_argument("--list", action="store_true", help="print them, and run nothing")
    parser.add_argument("--quick", action="store_true", help="run the likely tests alone")
    parser.add_argument("--json", type=Path, help="where the outcome goes")
    parser.add_argument("--resume", action="store_true", help="skip what was caught before, by the file of --json")
    parser.add_argument("--patience", type=float, default=300, help="seconds without a word after which a test hangs")
    options = parser.parse_args()
    chosen = [m for m in mutants() if any(text in m["name"] for text in options.only)]
    for m in chosen:
        count = (ROOT / "src" / m["file"]).read_text().count(m["old"])
        if count != 1:
            raise SystemExit(f"{m['name']}: expected its old text once, found it {count} times:\n{m['old']}")
        if options.list:
            print(m["name"] + (f"\n    survives: {m['survives']}" if "survives" in m else ""))
    if options.list:
        return 0
    results = json.loads(options.json.read_text()) if options.resume and options.json.exists() else {}
    lock, todo = threading.Lock(), queue.Queue()
    for m in chosen:
        if results.get(m["name"], [""])[0] != "caught":
            todo.put(m)

    def save():
        with lock:
            if options.json:
                options.json.write_text(json.dumps(results, indent=1) + "\n")

    workers = [threading.Thread(target=work, args=(todo, results, options, save)) for _ in range(options.jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    words = {m["name"]: results.get(m["name"], ["not run"])[0] for m in chosen}
    expected = [m["name"] for m in chosen if "survives" in m and words[m["name"]] == "survived"]
    odd = [name for name, word in words.items() if word != "caught" and name not in expected]
    print(f"{list(words.values()).count('caught')} of {len(chosen)} caught; {len(expected)} survived as they should")
    print("\n".join(f"{words[name].upper()}: {name}" for name in odd))
    return 1 if odd else 0


if __name__ == "__main__":
    sys.exit(main())
