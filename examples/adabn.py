"""AdaBN: a network meets pictures of another domain, and its batch norms learn their statistics.

A small residual network with random weights and a linear classifier on top reads digits. Its batch norms keep the
statistics of the digits it was fitted to. Then the same kind of digits come from another camera: flat, bright and
noisy. `normcy.recalibrate` replaces the running statistics by those of the new pictures, without labels and without
touching a weight (AdaBN, https://arxiv.org/abs/1603.04779), and most of the lost accuracy comes back.

    python examples/adabn.py --out adabn.png      # needs scikit-learn and matplotlib
"""

import argparse
import copy

import matplotlib
import numpy as np
from sklearn.datasets import load_digits

import normcy


def conv(x, weight, stride=1):
    """3 x 3 convolution of (N, C, H, W) , its edges repeated."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))[:, :, ::stride, ::stride]
    return np.ascontiguousarray(np.tensordot(patches, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2))


class Network:
    """Three residual blocks of random weights; relu and residual run inside of the batch norms."""

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
        """Features of (N, 1, 8, 8): (N, 4 * width). ``tap`` is shown what each batch norm gets."""

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
    """A linear classifier in closed form: a function from features to labels."""
    centre = features.mean(0, dtype=np.float64)
    f, targets = features - centre, np.eye(10)[labels] - 0.1
    weight = np.linalg.solve(f.T @ f + strength * np.eye(f.shape[1]), f.T @ targets)
    return lambda features: ((features - centre) @ weight).argmax(1)


def other_camera(x, rng):
    """A third of the contrast, much brighter, noisy."""
    return (0.35 * x + 0.6 + 0.03 * rng.standard_normal(x.shape)).astype(np.float32)


def seen(network, x):
    """Moments of what each batch norm gets."""
    found = {norm: normcy.Moments(norm.num_features) for norm in network.norms}
    network(x, tap=lambda norm, x: found[norm].update(x))
    return found


def gap(network, x):
    """Between the means that the norms keep and those they see: the typical distance, in running deviations."""
    found = seen(network, x).items()
    return np.mean([np.abs(m.mean - norm.running_mean) / np.sqrt(norm.running_var) for norm, m in found])


def by_two_workers(network, halves):
    """AdaBN where each of two workers has half of the data: what they exchange is `Moments`, layer after layer."""
    for norm in network.norms:
        states = [seen(network, half)[norm].state() for half in halves]  # in truth, each in a process of its own
        whole = sum(normcy.Moments.from_state(state) for state in states)
        norm.running_mean[...], norm.running_var[...] = whole.mean, whole.var(correction=1)


def adapted(network, target):
    """Copies of the network, with the statistics of the target domain found in three ways."""
    ways = {way: copy.deepcopy(network) for way in ("population", "average", "two workers")}
    for method in ("population", "average"):
        normcy.recalibrate(ways[method].norms, ways[method], batches(target), method=method)
    by_two_workers(ways["two workers"], np.array_split(target, 2))
    return ways


def check_ways(ways):
    """The first layer sees the same in every way, whatever the split."""
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
    fit, test = order[:997], order[997:]  # of which the test makes eight full batches
    network = Network(rng)
    for batch in batches(x[fit]):
        network(batch)  # training: running statistics take in every batch
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
    """Print and check accuracies and gaps of statistics; returns the accuracies."""
    accuracy = {name: float(np.mean(classify(network(x)) == labels)) for name, (network, x) in cases.items()}
    gaps = {name: gap(network, x) for name, (network, x) in cases.items()}
    for name in cases:
        print(f"{name:12} accuracy {accuracy[name]:6.1%}, statistics kept and seen {gaps[name]:.4f} deviations apart")
    lost, regained = accuracy["source"] - accuracy["before"], accuracy["population"] - accuracy["before"]
    assert lost > 0.5
    assert regained > 0.75 * lost
    for way in ("average", "two workers"):  # 800 digits: one standard error of an accuracy near 0.9 is 0.011
        assert abs(accuracy[way] - accuracy["population"]) < 0.022
    assert gaps["two workers"] < 1e-5 < gaps["population"] < gaps["before"] / 20  # batches' statistics vary a little
    return accuracy


def draw(cases, accuracy, out):
    import matplotlib.pyplot as plt

    figure, (digits, before, after, bars) = plt.subplots(1, 4, figsize=(16, 3.4), layout="constrained")
    rows = [cases[name][1][:5, 0] for name in ("source", "before")]
    framed = np.pad(rows, ((0, 0), (0, 0), (1, 1), (1, 1))).transpose(0, 2, 1, 3)
    digits.imshow(framed.reshape(20, 50), "gray", vmin=0, vmax=1)
    digits.set(title="digits: source, target", xticks=[], yticks=[])
    for axis, name, title in ((before, "before", "before AdaBN"), (after, "population", "after AdaBN")):
        network, x = cases[name]
        norm = network.norms[-1]
        moments, channels = seen(network, x)[norm], np.arange(norm.num_features)
        axis.errorbar(channels - 0.15, norm.running_mean, np.sqrt(norm.running_var), fmt="o", ms=4, label="kept")
        axis.errorbar(channels + 0.15, moments.mean, moments.std(), fmt="s", ms=4, label="seen in the target domain")
        axis.set(title=f"last batch norm, {title}", xlabel="channel", ylabel="mean and deviation", ylim=(-2.2, 3.4))
        axis.set_xticks(range(0, norm.num_features, 5))
    before.legend(loc="upper right")
    colours = ["tab:gray", "tab:red"] + ["tab:green"] * 3
    names = [name.replace(" ", "\n") for name in accuracy]
    bars.bar_label(bars.bar(names, list(accuracy.values()), color=colours), fmt="{:.0%}")
    bars.tick_params(axis="x", labelsize=9)
    bars.set(title="accuracy: source, then target", ylim=(0, 1.1), yticks=[])
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    main()
