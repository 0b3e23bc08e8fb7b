"""Tests of normcy accuracy: the cases that it runs, its output, and the reference by which it measures."""

import importlib.util
import json
import math
from decimal import Context, Decimal, localcontext

import numpy as np
import pytest

import normcy
from normcy import _compare
from normcy._checks import LAYOUTS
from normcy._cli import main
from normcy._compare.accuracy import UNIT, Errors, Reference
from normcy._compare.cases import Case, Job, arrays
from normcy._compare.findings import Finding
from normcy._compare.formulas import axes
from normcy._compare.methods import METHODS
from normcy._compare.peers import PEERS
from normcy._compare.sweeps import FEW, LONGEST, MANY, SWEEPS, Size, data_at, points

Console = pytest.importorskip("rich.console", reason="needs normcy[compare]").Console
tables = pytest.importorskip("normcy._compare.tables", reason="needs normcy[compare]")
report = tables.report

OPTIONS = tuple(method.option for method in METHODS.values())
RESIDUAL = {"batch+add+relu", "add+layer"}
TINY = Size(2**12, 4096)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs the whole command on small arrays; returns its output, its JSON and its Markdown."""
    folder = tmp_path_factory.mktemp("accuracy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_compare, "FEW", TINY)
        arguments = ["--json", str(folder / "a.json"), "--markdown", str(folder / "a.md"), "--threads", "2"]
        assert main(["accuracy", "--quick", *arguments]) == 0
    return json.loads((folder / "a.json").read_text()), (folder / "a.md").read_text()


def test_every_method_in_every_sweep(run):
    """Each runs in both layouts, at all values except slots that are too short for it, or too long for a quick run."""
    found = {(row["sweep"], row["value"], row["method"], row["layout"]) for row in run[0]["rows"]}
    assert len(found) == len(run[0]["rows"])
    expected = {
        (sweep.name, value, key, layout)
        for sweep in SWEEPS
        for value in sweep.values
        for key, method in METHODS.items()
        for layout in (LAYOUTS if method.has_layout else "-")
        if key not in RESIDUAL and (sweep.name != "length" or method.least_values <= value <= TINY.longest)
    }
    assert found == expected


def test_within_bounds(run):
    """normcy is within its bounds everywhere, and the JSON says so."""
    for row in run[0]["rows"]:
        mine = row["results"]["normcy"]
        assert mine["note"] is None, row
        assert 0 <= mine["error_units"] <= row["bound"], row
        assert mine["not_finite"] is None
        assert 0 <= mine["error_relative"] < 1e-4


def test_json_says_what_is_not_finite(run):
    """NumPy in float32 has inf or NaN where values are tiny: the JSON has null, and says which it is."""
    assert run[0]["config"]["num_threads"] == 2
    assert run[0]["libraries"] == {"normcy": normcy.__version__, "numpy": np.__version__}
    rows = [row for row in run[0]["rows"] if row["sweep"] == "magnitude" and row["value"] == 1e-30]
    lost = {row["method"]: row["results"]["numpy"] for row in rows}
    for method, result in lost.items():
        assert (result["not_finite"] is None) == (result["error_units"] is not None), method
    assert lost["layer"]["not_finite"] == "inf"  # its mean square is 0
    assert lost["layer"]["error"] is None
    assert lost["renorm"]["not_finite"] is None  # it has a given deviation


def test_markdown(run):
    """Every row has as many cells as columns; errors beyond the bound are bold, and none of them is normcy's."""
    tables = [part.split("\n\n")[1].strip().splitlines() for part in run[1].split("### ")[1:]]
    assert len(tables) == 1 + 2 * len(SWEEPS)  # the summary, and normcy's and NumPy's tables
    for lines in tables:
        rows = [line.replace("\\|", "/").strip("| ").split(" | ") for line in lines]
        assert {len(row) for row in rows} == {len(rows[0])}
        assert len(rows) > 2
        libraries = rows[0].index("numpy") if "numpy" in rows[0] else None
        for row in rows[2:]:
            if libraries is not None:
                assert "**" not in "".join(row[:libraries])
    assert "**inf**" in run[1]
    assert "**NaN**" in run[1]


def test_one_method(tmp_path, capsys, monkeypatch):
    """The tables on standard output have the methods and the layout that were chosen."""
    monkeypatch.setattr(_compare, "FEW", TINY)
    assert main(["accuracy", "--quick", "--methods", "adain,weight", "--layout", "NHWC"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split()[:2] for line in lines if line.startswith(("adain", "weight", "batch"))]
    assert rows == [["adain", "NHWC"], ["weight", "-"]] * len(SWEEPS)


def test_library_that_is_missing(capsys, monkeypatch):
    """It is left out with a note that says how to install it, and the others run."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else found(name))
    monkeypatch.setattr(_compare, "FEW", TINY)
    assert main(["accuracy", "--quick", "--methods", "weight", "--against", "jax"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "left out: jax (needs jax: run `python -m pip install jax`)\n"
    assert "numpy" in captured.out
    assert "jax" not in captured.out


@pytest.mark.parametrize("width", [80, 240])
def test_width_of_the_terminal(capsys, monkeypatch, width):
    """Nothing is cut in 80 columns, beside all libraries; the tables of other libraries are beside normcy's, or below."""
    monkeypatch.setattr(tables, "versions", lambda names: dict.fromkeys(names, "1.2.3"))
    monkeypatch.setattr(report, "console", lambda: Console(width=width, force_terminal=True, color_system=None))
    names = ["normcy", "numpy", *PEERS]
    errors = dict.fromkeys(names, Errors(3.4e38, 1.1e30, 1.2e30)) | {"normcy": Errors(1e-6, 1.4e-7, 3.4)}
    findings = [Finding(point, errors, {}) for point in points(OPTIONS, LAYOUTS, MANY)]
    tables.show(findings, names, normcy.get_config())
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= width
    assert printed.count("the largest of other libraries") == (len(SWEEPS) if width == 80 else 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "batch,norm"], "argument --methods: got 'norm', expected names of batch,"),
        (["--against", "tensor"], "argument --against: got 'tensor', expected names of torch,"),
        (["--layout", "CHW"], "argument --layout: invalid choice: 'CHW'"),
        (["--threads", "-1"], "argument --threads: got '-1', expected a possible number of threads"),
        (["--json", "/no/such/folder/x.json"], "argument --json"),
        (["--markdown", "/no/such/folder/x.md"], "argument --markdown"),
        (["x.npy"], "x.npy"),
        (["--plot", "x.png"], "--plot"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    """They give one line that names the argument, and exit code 2, and nothing has run."""
    assert main(["accuracy", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


@pytest.mark.parametrize("size", [MANY, FEW], ids=["full", "quick"])
def test_slots(size):
    """Slots are as long as the table says, and arrays are not larger than needed."""
    for point in points(OPTIONS, LAYOUTS, size):
        case = point.case
        values = math.prod(case.shape)
        along = math.prod(case.shape[axis] for axis in axes(case))
        if METHODS[case.method].option in ("group", "evonorm_s0"):
            along = values // case.shape[0] // case.num_groups
        assert along == point.length, point
        assert along <= size.longest
        assert values <= 2 * LONGEST, point  # IBN has at least two channels
        assert values >= 2**12, point


def test_given_statistics_are_of_their_kind():
    """They are as far from x's own as those of other data with that mean and magnitude, and finite."""
    for point in points(("batch", "renorm", "evonorm_b0"), ("NCHW",), TINY):
        data = data_at(point)
        x = data["x"].astype(np.float64) / point.magnitude
        assert abs(x.mean() - point.mean) < 0.1
        assert 0.9 < x.std() < 1.1
        assert all(np.isfinite(value).all() for value in data.values())
        if "running_mean" in data:
            away = data["running_mean"].astype(np.float64) / point.magnitude - point.mean
            assert 0.5 < away.std() < 1.5
        if "running_var" in data and 1e-19 < point.magnitude < 1e18:
            var = data["running_var"].astype(np.float64) / point.magnitude**2
            assert np.all((var >= 0.499) & (var <= 1.501))


@pytest.mark.parametrize(("value", "has_nan"), [(np.nan, True), (np.inf, False), (-np.inf, False)])
def test_infinite_errors(value, has_nan):
    """A NaN or inf in place of a number is an infinite error; in place of the same value it is no error."""
    case = Case("small", "layer", (4, 6), "-")
    data = arrays(Job(case, None))
    reference = Reference(case, data)
    y = reference.y.astype(np.float32)
    y[1, 2] = value
    assert reference.errors(y) == (np.inf, np.inf, np.inf, has_nan)
    data["x"][1, 2] = np.nan
    reference = Reference(case, data)
    errors = reference.errors(reference.y.astype(np.float32))
    assert errors.units <= 1
    assert not errors.has_nan


# The reference itself


class Element:
    """A value of x as a decimal, the statistics of its slot, and its parameters by name."""

    def __init__(self, case, data, at):
        self.case, self.data, self.at = case, data, at
        self.x, self.eps = Decimal(data["x"][at].item()), Decimal(case.eps)
        self.mean, self.var = moments(slot(case, data["x"], at))
        self.channel = at[case.channel_axis] if METHODS[case.method].has_layout else at[-1]
        where = at[0] if case.method == "weight" else self.channel
        if case.method == "conditional":
            where = data["style"][at[0]], self.channel
        for name in data.keys() - {"x", "style"}:
            setattr(self, name, Decimal(data[name][where].item()))

    @property
    def xhat(self):
        return (self.x - self.mean) / (self.var + self.eps).sqrt()

    @property
    def batch_var(self):
        return moments(decimals(np.take(self.data["x"], self.channel, self.case.channel_axis)))[1]


def decimals(values):
    """Converts floats to decimals, which hold them exactly."""
    return [Decimal(v) for v in values.ravel().tolist()]


def moments(values):
    mean = sum(values) / len(values)
    return mean, sum((v - mean) ** 2 for v in values) / len(values)


def slot(case, x, at):
    """Returns all values that share statistics with the element at that index."""
    n, c, along = at[0], at[case.channel_axis], case.channel_axis
    option = METHODS[case.method].option
    if option in ("layer", "rms", "weight"):
        return decimals(x[n])
    if option == "layer2d":
        return decimals(x[(*at[:along], slice(None), *at[along + 1 :])])
    if option in ("batch", "renorm"):
        return decimals(np.take(x, c, along))
    if option in ("group", "evonorm_s0"):
        size = case.shape[along] // case.num_groups
        return decimals(np.take(x[n], range(c // size * size, (c // size + 1) * size), along - 1))
    return decimals(np.take(x[n], c, along - 1))


def by_running(e):
    return (e.x - e.running_mean) / (e.running_var + e.eps).sqrt()


def by_style(e):
    mean, var = moments(slot(e.case, e.data["style"], (e.at[0], *[e.channel] * (len(e.at) - 1))))
    return e.xhat * (var + e.eps).sqrt() + mean


def evonorm_b0(e, var):
    return e.x / max((var + e.eps).sqrt(), e.v * e.x + (e.var + e.eps).sqrt())


def renorm(e):
    std, r_max, d_max = (e.var + e.eps).sqrt(), Decimal(3), Decimal(5)
    r = min(max(std / e.running_std, 1 / r_max), r_max)
    return (e.x - e.mean) / std * r + min(max((e.mean - e.running_mean) / e.running_std, -d_max), d_max)


FORMULAS = {  # by the papers, before weight and bias; the formula of the others is xhat
    "batch": by_running,
    "rms": lambda e: e.x / (e.var + e.mean**2 + e.eps).sqrt(),
    "adain": by_style,
    "ibn": lambda e: by_running(e) if e.channel >= e.case.instance_channels else e.xhat,
    "evonorm_s0": lambda e: e.x / (1 + (-e.v * e.x).exp()) / (e.var + e.eps).sqrt(),
    "evonorm_b0": lambda e: evonorm_b0(e, e.running_var),
    "evonorm_b0 train": lambda e: evonorm_b0(e, e.batch_var),
    "renorm": lambda e: (e.x - e.running_mean) / e.running_std,
    "renorm train": renorm,
    "weight": lambda e: e.g * e.x / (math.prod(e.case.shape[1:]) * (e.var + e.mean**2)).sqrt(),
}


@pytest.mark.parametrize("norm", [key for key, method in METHODS.items() if key == method.norm])
def test_reference_is_exact(norm):
    """Along all sweeps, float64 is less than 1e-4 units away from decimals of 60 digits."""
    random = np.random.default_rng(5)
    hardest = {0, 1e6, 1, 7, 1000, 4096, 1e-30, 1e30}
    for point in points((METHODS[norm].option,), LAYOUTS, TINY):
        if point.case.method != norm or point.value not in hardest:
            continue
        data = data_at(point)
        reference = Reference(point.case, data)
        scale = np.broadcast_to(reference.scale, point.case.shape)
        for _ in range(2):
            at = tuple(int(random.integers(size)) for size in point.case.shape)
            with localcontext(Context(prec=60, traps=[])):
                e = Element(point.case, data, at)
                expected = FORMULAS.get(norm, lambda e: e.xhat)(e) * getattr(e, "weight", 1) + getattr(e, "bias", 0)
                error = abs(Decimal(float(reference.y[at])) - expected)
            assert float(error) <= 1e-4 * UNIT * scale[at], (point, at)


@pytest.mark.torture
@pytest.mark.parametrize("mean", [1, 1e6])
def test_longest_slot(mean):
    """A slot of 2**26 values, in both orders of summation, is compared with sums that `math.fsum` rounds once."""
    x = np.random.default_rng(3).standard_normal(LONGEST, np.float32) + np.float32(mean)

    def average(term):
        parts = (part.astype(np.float64) for part in np.split(x, 2**10))
        return math.fsum(v for part in parts for v in term(part).tolist()) / LONGEST

    exact_mean = average(lambda part: part)
    exact_var = average(lambda part: (part - exact_mean) ** 2)
    for shape, along in (((1, 2**13, 2**13), (1, 2)), ((2**13, 2**13, 1), (0, 1)), ((LONGEST, 1), 0)):
        found_mean, found_var = normcy.reference.moments(x.reshape(shape), along)
        assert abs(found_mean.item() - exact_mean) <= 1e-4 * UNIT
        assert abs(found_var.item() - exact_var) <= 1e-4 * UNIT
