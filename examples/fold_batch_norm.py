"""Folding a batch norm into the layer before it: three layers, an error bound, and a case that does not fold.

In evaluation a batch norm is a multiplication and an addition in each channel, which can be made part of the weights of
the convolution or linear layer before it. The folded layer gives the same results to rounding, without the batch norm.

    python examples/fold_batch_norm.py                            # needs only NumPy
    python examples/fold_batch_norm.py --out fold_batch_norm.png  # needs matplotlib
"""

import argparse

import numpy as np

import normcy

UNIT = 2.0**-24  # the largest relative error of one rounding to float32


def patches(x, padding):
    """(N, C, H, W) to (N, C, H', W', 3, 3)."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))


def conv(x, weight, bias, padding=0):
    """3 x 3 convolution; weight (out, in, 3, 3)."""
    y = np.einsum("nchwij,ocij->nohw", patches(x, padding), weight, optimize=True)
    return np.ascontiguousarray(y) + bias[:, None, None]


def transposed_conv(x, weight, bias, groups=2):
    """3 x 3 transposed convolution of stride 1; weight (in, out / groups, 3, 3)."""
    n, c, h, w = x.shape
    x, grouped = x.reshape(n, groups, c // groups, h, w), weight.reshape(groups, c // groups, -1, 3, 3)
    y = np.zeros((n, groups, grouped.shape[2], h + 2, w + 2), x.dtype)
    for i in range(3):
        for j in range(3):
            y[..., i : i + h, j : j + w] += np.einsum("ngchw,gco->ngohw", x, grouped[..., i, j])
    return y.reshape(n, -1, h + 2, w + 2) + bias[:, None, None]


def linear(x, weight, bias):
    return x @ weight.T + bias


LAYERS = {  # the function, the shapes of x and weight, and keywords of fold_batch_norm
    "conv": (conv, (4, 16, 14, 14), (32, 16, 3, 3), {}),
    "transposed conv, 2 groups": (transposed_conv, (4, 16, 14, 14), (16, 8, 3, 3), {"transposed": True, "groups": 2}),
    "linear": (linear, (64, 128), (32, 128), {}),
}


def trained_norm(channels, rng):
    """A batch norm as after training: none of its values is 0 or 1."""
    norm = normcy.BatchNorm(channels, activation="relu").eval()
    for name, low, high in (("weight", -2, 2), ("bias", -1, 1), ("running_mean", -1, 1), ("running_var", 0.1, 4)):
        getattr(norm, name)[...] = rng.uniform(low, high, channels)
    return norm


def fold(weight, bias, norm, **kind):
    return normcy.fold_batch_norm(
        weight, bias, norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps, **kind
    )


def compare(name, rng):
    """Layer, norm and ReLU against the folded layer and ReLU: returns the largest difference, and its bound."""
    layer, x_shape, weight_shape, kind = LAYERS[name]
    x = rng.standard_normal(x_shape, dtype=np.float32)
    weight = rng.standard_normal(weight_shape, dtype=np.float32)
    groups, transposed = kind.get("groups", 1), kind.get("transposed", False)
    channels = weight_shape[1] * groups if transposed else weight_shape[0]
    bias, norm = rng.standard_normal(channels, dtype=np.float32), trained_norm(channels, rng)
    new_weight, new_bias = fold(weight, bias, norm, **kind)
    before, after = norm(layer(x, weight, bias)), np.maximum(layer(x, new_weight, new_bias), 0)
    difference, bound = np.abs(before - after), error_bound(layer, x, weight, bias, norm)
    print(f"{name:28} outputs up to {before.max():6.1f}, largest difference {difference.max():.1e}", end="")
    print(f", {(difference / bound).max():.1%} of the bound")
    assert np.all(difference <= bound)
    return difference.max(), bound.max()


def error_bound(layer, x, weight, bias, norm):
    """The largest difference that rounding can make, for every output.

    The error of a sum of k products in float32, in any order, is at most k units of the sum of their magnitudes. Both
    sides compute such a sum, scaled by the norm. The norm itself and the rounding of the new weights and bias add fewer
    than 16 units.
    """
    terms = weight[0].size if layer is not transposed_conv else 9 * len(weight) // 2
    magnitude = layer(np.abs(x).astype(np.float64), np.abs(weight), np.abs(bias) + np.abs(norm.running_mean))
    channel = (-1, 1, 1) if x.ndim == 4 else (-1,)
    scale = np.abs(norm.weight) / np.sqrt(norm.running_var)
    return (2 * terms + 16) * UNIT * (magnitude * scale.reshape(channel) + np.abs(norm.bias).reshape(channel))


def norm_in_front(rng):
    """A batch norm before a padded convolution: returns the differences, which are large on the border.

    The zeros of the padding come after the norm, and a folded convolution treats them as if they came before it.
    """
    x = rng.standard_normal((2, 8, 12, 12), dtype=np.float32)
    weight, bias = rng.standard_normal((4, 8, 3, 3), dtype=np.float32), np.zeros(4, np.float32)
    norm = trained_norm(8, rng)
    norm.activation = None  # with a ReLU between the two, nothing would fold
    scale = norm.weight / np.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    new_weight = (weight * scale[:, None, None]).astype(np.float32)
    new_bias = bias + np.einsum("ocij,c->o", weight, shift)
    difference = np.abs(conv(norm(x), weight, bias, padding=1) - conv(x, new_weight, new_bias, padding=1))
    inside = difference[:, :, 1:-1, 1:-1].max()
    print(f"norm before a padded conv    differs by {inside:.1e} inside and {difference.max():.1f} on the border")
    magnitude = conv(np.abs(x * scale[:, None, None]) + np.abs(shift)[:, None, None], np.abs(weight), np.abs(new_bias))
    assert inside <= (2 * 72 + 16) * UNIT * magnitude.max()  # as in error_bound
    assert difference.max() > 1000 * inside
    return difference


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", metavar="FILE", help="write the figure here")
    out = parser.parse_args().out
    rng = np.random.default_rng(0)
    compared = {name: compare(name, rng) for name in LAYERS}
    unfolded = norm_in_front(rng)
    if out:
        draw(compared, unfolded, out)


def draw(compared, unfolded, out):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (folded, padded) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    differences, bounds = zip(*compared.values(), strict=True)
    names = [name.replace(", ", "\n") for name in compared]
    folded.plot(differences, names, "o", label="largest difference")
    folded.plot(bounds, names, "|", ms=16, mew=2, label="bound")
    folded.set(title="batch norm after the layer", xscale="log", xlim=(1e-6, 1), ylim=(3.8, -0.6))
    folded.legend(loc="lower right")
    picture = padded.imshow(unfolded.max((0, 1)), norm="log", vmin=1e-6, vmax=10)
    padded.set(title="before a padded convolution", xlabel="column", ylabel="row")
    figure.colorbar(picture, label="largest difference")
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    main()
