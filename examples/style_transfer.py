"""Style transfer between two photographs: AdaIN on a bank of filters, and InstanceNorm.

Style transfer networks (https://arxiv.org/abs/1703.06868) give the features of one picture the mean and standard
deviation of another's, and a trained decoder paints what comes out. Here nothing is trained: the features are the
responses of 48 fixed filters (4 x 4 cosines in three opponent colours) at four scales, from which the picture comes
back exactly. So what moves over is the palette and the contrast of every direction, size and colour; brush strokes
and shapes need features that are learnt. What comes out too bright or too dark is cut off in the figure.

    python examples/style_transfer.py --out style_transfer.jpg      # needs scikit-learn and matplotlib
"""

import argparse

import matplotlib
import numpy as np
from sklearn.datasets import load_sample_images

import normcy

SIZE, SCALES = 4, 4
CONVENTIONS = {"authors' Torch7": {"style_eps": 0.0}, "pytorch-AdaIN": {"correction": 1}}


def filters():
    """48 orthonormal filters: rows of (48, 3 * 4 * 4)."""
    n = np.arange(SIZE)
    cosines = np.cos(np.pi * (2 * n + 1) * n[:, None] / (2 * SIZE)) * np.sqrt(2 / SIZE)
    cosines[0] /= np.sqrt(2)
    colours = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])  # grey, red-blue, green-purple
    return np.kron(colours, np.kron(cosines, cosines)).astype(np.float32)


def responses(x, bank):
    """(N, 3, H, W) to (N, 48, H + 3, W + 3): the bank at every position, also those that hang over the edge."""
    edge = SIZE - 1
    x = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)), mode="reflect")
    patches = np.lib.stride_tricks.sliding_window_view(x, (SIZE, SIZE), axis=(2, 3)).transpose(0, 1, 4, 5, 2, 3)
    n, _, _, _, height, width = patches.shape
    return (bank @ patches.reshape(n, len(bank), -1)).reshape(n, len(bank), height, width)


def synthesis(features, bank):
    """Undo `responses`: every pixel is the mean of what the 16 patches around it say."""
    n, channels, height, width = features.shape
    patches = (bank.T @ features.reshape(n, channels, -1)).reshape(n, 3, SIZE, SIZE, height, width)
    edge = SIZE - 1
    x = np.zeros((n, 3, height - edge, width - edge), np.float32)
    for i in range(SIZE):
        for j in range(SIZE):
            x += patches[:, :, i, j, edge - i : height - i, edge - j : width - j]
    return x / SIZE**2


def halved(x):
    n, c, height, width = x.shape
    return np.ascontiguousarray(x.reshape(n, c, height // 2, 2, width // 2, 2).mean((3, 5)))


def doubled(x):
    """Twice as large, linearly between pixels' centres."""
    for axis in (2, 3):
        index = np.arange(x.shape[axis])
        before, after = (x.take((index + step).clip(0, index[-1]), axis) for step in (-1, 1))
        shape = [size * (1 + (i == axis)) for i, size in enumerate(x.shape)]
        x = np.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1).reshape(shape)
    return x


def scales(x):
    """A Laplacian pyramid: what each halving loses, and what is left in the end."""
    levels = []
    for _ in range(SCALES - 1):
        small = halved(x)
        levels.append(x - doubled(small))
        x = small
    return [*levels, x]


def transfer(content, style, **options):
    """The content with the style's statistics of every filter at every scale."""
    bank, x = filters(), 0.0
    for of_content, of_style in reversed(list(zip(scales(content), scales(style), strict=True))):
        features = normcy.adain(responses(of_content, bank), responses(of_style, bank), **options)
        level = synthesis(features, bank)
        x = level + (doubled(x) if np.ndim(x) else x)
    return x


def distance(x, style):
    """How far the spreads of filter responses are apart: the typical |log2| of their ratio."""
    bank = filters()
    stds = [[responses(level, bank).std((0, 2, 3)) for level in scales(picture)] for picture in (x, style)]
    return np.abs(np.log2(np.concatenate(stds[0]) / np.concatenate(stds[1]))).mean()


def checked(content, style, name, other):
    """The pictures of one row of the figure, once their claims hold."""
    back, half, full = (transfer(content, style, alpha=alpha) for alpha in (0.0, 0.5, 1.0))
    error = np.abs(back - content).max()
    before, after = distance(content, style), distance(full, style)
    print(f"{name}: alpha 0 gives the content back to {error:.1e}")
    print(f"  spread of responses away from the style's by a factor of 2**{before:.2f}, after AdaIN 2**{after:.2f}")
    assert error < 1e-5, "two sums of 48 products and a mean of 16 at four scales: below 150 roundings of 2**-24"
    assert np.abs(half - (back + full) / 2).max() < 1e-5, "all but alpha is linear"
    assert after < before / 2, "overlapping filters share what they change: the style is met nearly, not exactly"
    for convention, options in CONVENTIONS.items():
        steps = 255 * np.abs(transfer(content, style, **options) - full).max()
        print(f"  {convention} convention: at most {steps:.1g} of 255 grey levels away from the default")
        assert 0 < steps < 8, "eps=1e-5 is a spread of 0.8 grey levels, and some filters respond as weakly as that"
    alone = normcy.InstanceNorm(3)
    normal, faded = alone(content), alone(0.5 * content + 0.25)
    change = np.abs(faded - normal).max()
    print(f"  InstanceNorm of the content at half the contrast, brighter: {change:.1e} away from that of the content")
    limit = np.abs(normal).max() * 1e-5 / 2 * (4 / content.var((2, 3)).min())  # eps weighs more where var is a quarter
    assert change < limit + 1e-5
    return {
        f"{name}, alpha 0": back,
        f"AdaIN to the {other}, alpha 0.5": half,
        f"AdaIN to the {other}, alpha 1": full,
        "AdaIN of three colours only": normcy.adain(content, style),
        "InstanceNorm, no style": 0.5 + 0.2 * normal,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", metavar="FILE", help="write the figure here")
    out = parser.parse_args().out
    photographs = np.stack(load_sample_images().images)[:, :384]  # both sides can be halved often
    pagoda, dahlia = np.split(halved(photographs.transpose(0, 3, 1, 2).astype(np.float32) / 255), 2)
    rows = checked(pagoda, dahlia, "pagoda", "dahlia"), checked(dahlia, pagoda, "dahlia", "pagoda")
    if out:
        matplotlib.use("Agg")
        draw(rows, out)


def draw(rows, out):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(rows), len(rows[0]), figsize=(16, 4.3), layout="constrained")
    for axis, (title, picture) in zip(axes.flat, [item for row in rows for item in row.items()], strict=True):
        axis.imshow(picture[0].transpose(1, 2, 0).clip(0, 1))
        axis.set_title(title, fontsize=11)
        axis.set_axis_off()
    figure.suptitle("Palette and contrasts of one photograph for the other: statistics of fixed filters, no network")
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    main()
