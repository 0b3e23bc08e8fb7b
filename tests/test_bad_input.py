"""Bad input gives one clear error that names the argument, and changes nothing.

This is tested for every function, constructor and method of the public API, and every parameter of its signature.
`make torture ARGS="tests/test_bad_input.py"` tries many more examples.
"""

import numpy as np
import pytest
from calls import CALLS, Call, assert_named, assert_refused, kind, seen, signature, wrong_values
from hypothesis import assume, given
from hypothesis import strategies as st
from odd_arrays import Memory, any_form, arrays_in, formed, misshapen, not_arrays
from parameters import KINDS, Case

seeds = st.integers(0, 2**20)
every_call = pytest.mark.parametrize("name", CALLS)


@every_call
def test_every_parameter_is_covered(name):
    for p in signature(name):
        assert f"{name}.{p}" in KINDS or p in KINDS, f"parameters.KINDS says nothing of {p} of {name}"


@every_call
@given(data=st.data(), seed=seeds)
def test_one_wrong_argument(name, data, seed):
    call = Call(name, seed)
    p = data.draw(st.sampled_from(list(signature(name).values())), "parameter")
    wrong = wrong_values(call, p)
    call.change(p, wrong[data.draw(st.sampled_from(list(wrong)), "value")])
    assert_refused(call, [p.name])


@every_call
@given(data=st.data(), seed=seeds)
def test_anything_goes_or_is_refused(name, data, seed):
    """With wrong, odd and misplaced values for any parameters and for a layer's, there is a result or a named error."""
    call, other = Call(name, seed), Case(seed + 1)
    other.layer = call.case.layer
    for p in signature(name).values():
        how = data.draw(st.sampled_from(["", "", "form", "other", "wrong", "none"]), p.name)
        legal = call.kw.get(p.name)
        if how == "none":
            call.kw[p.name] = None
        elif how == "other":
            call.kw[p.name] = kind(name, p.name).legal(other)
        elif how == "form" and isinstance(legal, np.ndarray) and legal.dtype == np.float32:
            call.kw[p.name] = formed(legal, data.draw(any_form))
        elif how == "wrong":
            wrong = wrong_values(call, p)
            call.kw[p.name] = wrong[data.draw(st.sampled_from(list(wrong)))]
    if name == "set_num_threads":
        call.kw["n"] = None
    memory, own = Memory(call.kw, call.own_arrays()), seen(call.own_arrays())
    try:
        call()
    except (TypeError, ValueError) as error:
        attributes = {"x", "normalized_shape", "num_groups", "running_mean, running_var"} | set(call.own_arrays())
        assert_named(error, attributes | set(signature(name)))
        memory.assert_unchanged()
        assert seen(call.own_arrays()) == own
    else:
        memory.assert_unchanged(but_for=[*arrays_in(call.written()), *call.own_arrays().values()])


def arrays_of(call):
    """Returns dict and key of each float array in the call's keywords and in the layer that is called."""
    held = {key: (call.kw, key) for key in call.kw}
    for key in call.own_arrays() if call.name.endswith("__call__") else ():
        part, _, attribute = key.rpartition(".")
        held[key] = vars(getattr(call.case.layer, part) if part else call.case.layer), attribute
    return {key: (place, k) for key, (place, k) in held.items() if getattr(place.get(k), "dtype", None) == np.float32}


@pytest.mark.parametrize("name", [name for name in CALLS if name.endswith("__call__") and "AdaIN" not in name])
@given(data=st.data(), seed=seeds)
def test_one_wrong_array_of_a_layer(name, data, seed):
    """Calls check the arrays that users assigned to attributes."""
    call = Call(name, seed)
    own = [key for key in arrays_of(call) if key not in call.kw]
    assume(own)  # instance norm may have no arrays
    key = data.draw(st.sampled_from(own), "attribute")
    place, attribute = arrays_of(call)[key]
    wrong = not_arrays(place[attribute]) | (
        misshapen(place[attribute]) if attribute != "weight_v" else {}
    )  # of any shape
    del wrong["None"]  # most layers may have no weight
    place[attribute] = wrong[data.draw(st.sampled_from(list(wrong)), "value")]
    memory = Memory(call.kw, list(place.values()))
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    beside = ["bias"] if "Conditional" in name else []  # whose shape must be that of weight
    assert_named(caught.value, [key, attribute, attribute.removeprefix("weight_"), *beside])
    memory.assert_unchanged()


SHARING = [name for name in CALLS if {"out", "running_mean"} & set(signature(name)) and name != "fold_batch_norm"]


@pytest.mark.parametrize("name", SHARING)
@given(data=st.data(), seed=seeds)
def test_arrays_that_share_memory(name, data, seed):
    """Two arrays in one buffer, equal or overlapping, give the result of separate arrays, or an error and no write."""
    call, apart = Call(name, seed, every=True), Call(name, seed, every=True)
    places, others = arrays_of(call), arrays_of(apart)
    a, b = data.draw(st.lists(st.sampled_from(list(places)), min_size=2, max_size=2, unique=True), "shared")
    shapes = [place[key].shape for place, key in (places[a], places[b])]
    sizes = [int(np.prod(shape)) for shape in shapes]
    begin = data.draw(st.sampled_from([0, 1, sizes[0] // 2, sizes[0] - 1, sizes[0]]), "begin")
    buffer = call.case.floats((sum(sizes),), low=0.5)
    for shared, shape, size, at in zip((a, b), shapes, sizes, (0, begin), strict=True):
        (place, key), (other, _) = places[shared], others[shared]
        place[key] = buffer[at : at + size].reshape(shape)
        other[key] = place[key].copy()
    memory = Memory(call.kw, call.own_arrays())
    try:
        y = call()
    except ValueError as error:
        assert begin < sizes[0]
        assert_named(error, [a, b, *(shared.split(".")[-1] for shared in (a, b))])
        memory.assert_unchanged()
        return
    assert seen(y) == seen(apart())
    assert seen(tuple(call.written())) == seen(tuple(apart.written()))
    if (a, b) not in (("weight_v", "out"), ("out", "weight_v")):  # these may be the same
        assert seen(call.own_arrays()) == seen(apart.own_arrays())
    memory.assert_unchanged(but_for=[*call.written(), *call.own_arrays().values()])
