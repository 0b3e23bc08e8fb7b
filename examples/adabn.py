"""AdaBN: a network gets pictures of another domain, and its batch norms measure their statistics anew.

A small residual network with random weights, and a linear classifier of its features, recognize digits. The batch norms
have the running statistics of the digits that the classifier was fitted to. Then digits come from another camera, with
less contrast, more brightness and noise. `normcy.recalibrate` replaces the running statistics by those of the new
pictures, without labels and without changing a weight (AdaBN, https://arxiv.org/abs/1603.04779), and most of the lost
accuracy is regained.

    python examples/adabn.py --out adabn.png      # needs scikit-learn and matplotlib
"""

import argparse
import copy

import matplotlib
import numpy as np
from sklearn.datasets import load_digits

import normcy


def conv(x, weight, stride=1):
    """3 x 3 convolution of (N, C, H, W), padded with the values at the edges."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))[:, :, ::stride, ::stride]
    return np.ascontiguousarray(np.tensordot(patches, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2))


class Network:
    """Three residual blocks with random weights; the batch norms also add the residual and apply the ReLU."""

    def __init__(self, rng, width=16):
        def layer(inputs, outputs):
            spread = np.sqrt(2 / (9 * inputs))
            weight = spread * rng.standard_normal((outputs, inputs, 3, 3), dtype=np.float32)
            return weight.astype(np.float32), normcy.BatchNorm(outputs, momentum=None, activation="relu")

        self.stem = layer(1, width)
        self.blocks = [(layer(width, width), layer(width, width)) for _ in range(3)]

    @property
    def norms(self):
        return [norm for _, norm in [self.stem, *(layer for block in self.blocks for layer in block)]]

    def train(self, mode=True):
        for norm in self.norms:
            norm.train(mode)
        return self

    def __call__(self, x, tap=lambda norm, x: None):
        """Features of (N, 1, 8, 8): (N, 4 * width). ``tap`` is called with each batch norm and its input."""

        def run(layer, x, stride=1, residual=None):
            weight, norm = layer
            x = conv(x, weight, stride)
            tap(norm, x)
            return norm(x, out=x, post_add=residual)

        x = run(self.stem, x)
        for first, second in self.blocks:
            x = run(second, run(first, x), residual=x)
        n, c = x.shape[:2]
        return x.reshape(n, c, 2, 4, 2, 4).mean((3, 5)).reshape(n, -1)


def batches(x, size=100):
    return [x[i : i + size] for i in range(0, len(x), size)]


def ridge(features, labels, strength=10.0):
    """Ridge regression as a classifier: returns a function from features to labels."""
    centre = features.mean(0, dtype=np.float64)
    f, targets = features - centre, np.eye(10)[labels] - 0.1
    weight = np.linalg.solve(f.T @ f + strength * np.eye(f.shape[1]), f.T @ targets)
    return lambda features: ((features - centre) @ weight).argmax(1)


def other_camera(x, rng):
    """A third of the contrast, more brightness, and noise."""
    return (0.35 * x + 0.6 + 0.03 * rng.standard_normal(x.shape)).astype(np.float32)


def seen(network, x):
    """Moments of the input of each batch norm."""
    found = {norm: normcy.Moments(norm.num_features) for norm in network.norms}
    network(x, tap=lambda norm, x: found[norm].update(x))
    return found


def gap(network, x):
    """The mean distance between the means that norms keep and those of their inputs, in running deviations."""
    found = seen(network, x).items()
    return np.mean([np.abs(m.mean - norm.running_mean) / np.sqrt(norm.running_var) for norm, m in found])


def by_two_workers(network, halves):
    """AdaBN with two workers that have half of the data each, and exchange `Moments`, layer after layer."""
    for norm in network.norms:
        states = [seen(network, half)[norm].state() for half in halves]  # stands in for two processes
        whole = sum(normcy.Moments.from_state(state) for state in states)
        norm.running_mean[...], norm.running_var[...] = whole.mean, whole.var(correction=1)


def adapted(network, target):
    """Copies of the network, with the statistics of the target domain measured in three ways."""
    ways = {way: copy.deepcopy(network) for way in ("population", "average", "two workers")}
    for method in ("population", "average"):
        normcy.recalibrate(ways[method].norms, ways[method], batches(target), method=method)
    by_two_workers(ways["two workers"], np.array_split(target, 2))
    return ways


def check_ways(ways):
    """The input of the first layer is the same in all ways, and so are its statistics, however it is split."""
    first = {way: (net.norms[0].running_mean, net.norms[0].running_var) for way, net in ways.items()}
    for exact, merged in zip(first["population"], first["two workers"], strict=True):
        np.testing.assert_allclose(merged, exact, rtol=1e-6)  # float64 sums, rounded to float32 once: 2**-24
    np.testing.assert_allclose(first["average"][0], first["population"][0], rtol=1e-6)  # as all batches are of one size


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", metavar="FILE", help="write the figure here")
    out = parser.parse_args().out
    rng = np.random.default_rng(0)
    digits = load_digits()
    x, labels = (digits.images[:, None] / 16).astype(np.float32), digits.target
    order = rng.permutation(len(x))
    fit, test = order[:997], order[997:]  # 800 for the test are eight full batches
    network = Network(rng)
    for batch in batches(x[fit]):
        network(batch)  # in training mode, which updates the running statistics
    network.train(False)
    classify = ridge(network(x[fit]), labels[fit])
    target = other_camera(x[test], rng)
    ways = adapted(network, target)
    check_ways(ways)
    cases = {"source": (network, x[test]), "before": (network, target)}
    cases |= {way: (copied, target) for way, copied in ways.items()}
    accuracy = report(cases, classify, labels[test])
    if out:
        matplotlib.use("Agg")
        draw(cases, accuracy, out)


def report(cases, classify, labels):
    """Prints and checks accuracies and gaps of statistics; returns the accuracies."""
    accuracy = {name: float(np.mean(classify(network(x)) == labels)) for name, (network, x) in cases.items()}
    gaps = {name: gap(network, x) for name, (network, x) in cases.items()}
    for name in cases:
        print(f"{name:12} accuracy {accuracy[name]:6.1%}, running means off by {gaps[name]:.4f} deviations")
    lost, regained = accuracy["source"] - accuracy["before"], accuracy["population"] - accuracy["before"]
    assert lost > 0.5
    assert regained > 0.75 * lost
    for way in ("average", "two workers"):  # 800 digits: one standard error of an accuracy near 0.9 is 0.011
        assert abs(accuracy[way] - accuracy["population"]) < 0.022
    # recalibrate normalizes with the statistics of each batch, which differ a little from those of the whole.
    assert gaps["two workers"] < 1e-5 < gaps["population"] < gaps["before"] / 20
    return accuracy


def draw(cases, accuracy, out):
    import matplotlib.pyplot as plt

    figure, ((digits, bars), (before, after)) = plt.subplots(2, 2, figsize=(8, 6), layout="constrained")
    rows = [cases[name][1][:5, 0] for name in ("source", "before")]
    framed = np.pad(rows, ((0, 0), (0, 0), (1, 1), (1, 1))).transpose(0, 2, 1, 3)
    digits.imshow(framed.reshape(20, 50), "gray", vmin=0, vmax=1)
    digits.set(title="digits: source and target", xticks=[], yticks=[])
    for axis, name, title in ((before, "before", "before AdaBN"), (after, "population", "after AdaBN")):
        network, x = cases[name]
        norm = network.norms[-1]
        moments, channels = seen(network, x)[norm], np.arange(norm.num_features)
        axis.errorbar(channels - 0.15, norm.running_mean, np.sqrt(norm.running_var), fmt="o", ms=4, label="running")
        axis.errorbar(channels + 0.15, moments.mean, moments.std(), fmt="s", ms=4, label="of the target domain")
        axis.set(title=f"last batch norm, {title}", xlabel="channel", ylabel="mean and deviation", ylim=(-2.2, 3.4))
        axis.set_xticks(range(0, norm.num_features, 5))
    before.legend(loc="upper right")
    colours = ["tab:gray", "tab:orange"] + ["tab:blue"] * 3
    names = [name.replace(" ", "\n") for name in accuracy]
    bars.bar_label(bars.bar(names, list(accuracy.values()), color=colours), fmt="{:.0%}")
    bars.tick_params(axis="x", labelsize=8)
    bars.set(title="accuracy: source, then target", ylim=(0, 1.1), yticks=[])
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    main()
