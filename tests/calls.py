"""All public functions, constructors and methods, with arguments made from parameters.KINDS."""

import inspect

import numpy as np
import pytest
from odd_arrays import Memory
from odd_values import TOO_LARGE
from parameters import KINDS, Case

import normcy

RUNNING = "running_mean", "running_var", "running_std"
# parameters whose default does not fit every case
NEEDED = {"training", "use_input_stats", "num_groups", "layout", "dim", "groups", "transposed"}


def public_calls():
    """Returns all public functions, constructors and methods, by name."""
    for name in normcy.__all__:
        thing = getattr(normcy, name)
        if inspect.isroutine(thing) or inspect.isclass(thing):
            yield name, thing
        for method, function in inspect.getmembers(thing, inspect.isroutine) if inspect.isclass(thing) else ():
            if method[0] != "_" or method == "__call__":
                yield f"{name}.{method}", function


def own_parameters(function):
    return {name: p for name, p in inspect.signature(function).parameters.items() if name != "self"}


def entered(n):
    with normcy.num_threads(n):
        pass


CALLS = {name: function for name, function in public_calls() if own_parameters(function)} | {"num_threads": entered}


def signature(name):
    return own_parameters(CALLS[name])


def kind(name, parameter):
    return KINDS.get(f"{name}.{parameter}") or KINDS[parameter]


def instance(name, case):
    """Returns a layer (or Moments) that fits the case."""
    needed = [
        p.name for p in signature(name).values() if p.default is p.empty or p.name in NEEDED | {"track_running_stats"}
    ]
    kw = {p: kind(name, p).legal(case) for p in needed}
    layer = CALLS[name](**kw | ({"weight": case.floats(case.shape)} if name == "WeightNorm" else {}))
    return layer if name == "Moments" else layer.train(case.training)


class Call:
    """A public call with legal keywords; half the time, parameters that have a default are left out."""

    def __init__(self, name, seed, every=False):
        self.name, self.case, self.function = name, Case(seed), CALLS[name]
        case, owner = self.case, name.split(".")[0]
        if name == "recalibrate":
            case.layer = normcy.BatchNorm(case.c, layout=case.layout)
        elif "." in name and not inspect.ismethod(self.function):
            case.layer = instance(owner, case)
            self.function = getattr(case.layer, name.split(".")[1])
        self.kw = {}
        for p in signature(name).values():
            if p.default is p.empty or p.name in NEEDED or every or case.rng.integers(2):
                self.kw[p.name] = kind(name, p.name).legal(case)
        self.complete()

    def complete(self):
        """Completes parameters that must be given together."""
        kw, own = self.kw, signature(self.name)
        if "running_mean" in kw or "running_var" in kw or ("use_input_stats" in kw and not self.case.training):
            for name in {"running_mean", "running_var"} & set(own) - set(kw):
                kw[name] = kind(self.name, name).legal(self.case)
        if "sum_out" in kw:
            kw.setdefault("pre_add", self.case.floats(self.case.shape))
        if "decay" in kw and "momentum" in kw:
            del kw["decay"]

    def change(self, p, value):
        """Replaces a value, and the values that depend on it."""
        self.kw[p.name] = value
        self.kw.pop({"decay": "momentum", "momentum": "decay"}.get(p.name), None)
        self.complete()
        if value is TOO_LARGE and "affine" in signature(self.name):
            self.kw["affine"] = True

    def own_arrays(self):
        """Returns the arrays of the layer, which a call may update."""
        layer = self.case.layer
        if layer is None:
            return {}
        return layer.state() if isinstance(layer, normcy.Moments) else layer.state_dict()

    def written(self):
        """Returns the arrays that a call may write."""
        kept = RUNNING if self.kw.get("training", self.kw.get("use_input_stats")) else ()
        found = [self.kw[name] for name in ("out", "sum_out", *kept) if self.kw.get(name) is not None]
        return [a for a in found if a.flags.writeable]

    def __call__(self):
        return self.function(**self.kw)


def wrong_values(call, p):
    """Returns the values that the parameter must refuse, by name."""
    of, legal = kind(call.name, p.name), call.kw.get(p.name)
    legal = of.legal(call.case) if legal is None else legal
    wrong = of.wrong(legal, call.case)
    return {k: v for k, v in wrong.items() if v is not None} if of.none or p.default is None else wrong


def seen(result):
    """Converts a result to something that compares equal if all its bits do."""
    if isinstance(result, (np.ndarray, np.generic)):
        return result.shape, result.dtype, result.tobytes()
    if isinstance(result, dict):
        return {key: seen(value) for key, value in result.items()}
    if isinstance(result, tuple):
        return tuple(map(seen, result))
    if isinstance(result, normcy.Moments):
        return seen(result.state())
    return (repr(result), seen(result.state_dict())) if hasattr(result, "state_dict") else result


def assert_refused(call, names):
    """Checks for one TypeError or ValueError that begins with one of the names, and that no array has changed."""
    memory, own = Memory(call.kw, call.own_arrays()), seen(call.own_arrays())
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert_named(caught.value, names)
    memory.assert_unchanged()
    assert seen(call.own_arrays()) == own


def assert_named(error, names):
    assert str(error).startswith(tuple(f"{name}{end}" for name in names for end in ":,")), str(error)
