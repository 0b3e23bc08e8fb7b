"""Style transfer between two photographs: AdaIN on a bank of filters, and InstanceNorm.

Style transfer networks (https://arxiv.org/abs/1703.06868) give the features of one picture the mean and standard
deviation of another's, and a trained decoder turns the result into a picture. Here nothing is trained: the features are
the responses of 48 fixed filters (4 x 4 cosines in three opponent colours) at four scales, from which the picture can
be computed back exactly. So only colours and contrasts are transferred, for each direction and size of detail; brush
strokes and shapes would need learned features. In the figure, values outside of 0 to 1 are clipped.

    python examples/style_transfer.py --out style_transfer.jpg      # needs scikit-learn and matplotlib
"""

import argparse

import matplotlib
import numpy as np
from sklearn.datasets import load_sample_images

import normcy

SIZE, SCALES = 4, 4
CONVENTIONS = {"the authors' program": {"style_eps": 0.0}, "pytorch-AdaIN": {"correction": 1}}


def filters():
    """48 orthonormal filters: rows of (48, 3 * 4 * 4)."""
    n = np.arange(SIZE)
    cosines = np.cos(np.pi * (2 * n + 1) * n[:, None] / (2 * SIZE)) * np.sqrt(2 / SIZE)
    cosines[0] /= np.sqrt(2)
    colours = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])  # grey, red-blue, green-purple
    return np.kron(colours, np.kron(cosines, cosines)).astype(np.float32)


def responses(x, bank):
    """(N, 3, H, W) to (N, 48, H + 3, W + 3): the bank at every position where it covers a pixel of the picture."""
    edge = SIZE - 1
    x = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)), mode="reflect")
    patches = np.lib.stride_tricks.sliding_window_view(x, (SIZE, SIZE), axis=(2, 3)).transpose(0, 1, 4, 5, 2, 3)
    n, _, _, _, height, width = patches.shape
    return (bank @ patches.reshape(n, len(bank), -1)).reshape(n, len(bank), height, width)


def synthesis(features, bank):
    """The inverse of `responses`: each pixel is the mean of its values in the 16 patches that cover it."""
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
    """Twice as large, by linear interpolation between the centres of pixels."""
    for axis in (2, 3):
        index = np.arange(x.shape[axis])
        before, after = (x.take((index + step).clip(0, index[-1]), axis) for step in (-1, 1))
        shape = [size * (1 + (i == axis)) for i, size in enumerate(x.shape)]
        x = np.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1).reshape(shape)
    return x


def scales(x):
    """A Laplacian pyramid: the detail that each halving loses, and the smallest picture."""
    levels = []
    for _ in range(SCALES - 1):
        small = halved(x)
        levels.append(x - doubled(small))
        x = small
    return [*levels, x]


def transfer(content, style, **options):
    """The content, with the style's mean and standard deviation for every filter at every scale."""
    bank, x = filters(), 0.0
    for of_content, of_style in reversed(list(zip(scales(content), scales(style), strict=True))):
        features = normcy.adain(responses(of_content, bank), responses(of_style, bank), **options)
        level = synthesis(features, bank)
        x = level + (doubled(x) if np.ndim(x) else x)
    return x


def distance(x, style):
    """How much the standard deviations of filter responses differ: the mean of the |log2| of their ratios."""
    bank = filters()
    stds = [[responses(level, bank).std((0, 2, 3)) for level in scales(picture)] for picture in (x, style)]
    return np.abs(np.log2(np.concatenate(stds[0]) / np.concatenate(stds[1]))).mean()


def checked(content, style, name, other):
    """The pictures of one content, by title, after the checks of what is claimed about them."""
    back, half, full = (transfer(content, style, alpha=alpha) for alpha in (0.0, 0.5, 1.0))
    error = np.abs(back - content).max()
    before, after = distance(content, style), distance(full, style)
    print(f"{name}: alpha 0 gives the content back to {error:.1e}")
    print(f"  deviations differ from the style's by a factor of 2**{before:.2f}, after AdaIN 2**{after:.2f}")
    assert error < 1e-5, "two sums of 48 products and a mean of 16 at four scales: fewer than 150 roundings of 2**-24"
    assert np.abs(half - (back + full) / 2).max() < 1e-5, "the picture is linear in alpha"
    assert after < before / 2, "filters overlap, so that the result has the style's statistics only approximately"
    for convention, options in CONVENTIONS.items():
        steps = 255 * np.abs(transfer(content, style, **options) - full).max()
        print(f"  convention of {convention}: differs from the default by at most {steps:.1g} of 255 grey levels")
        assert 0 < steps < 8, "eps=1e-5 is a deviation of 0.8 grey levels, and some responses are as weak as that"
    alone = normcy.InstanceNorm(3)
    normal, faded = alone(content), alone(0.5 * content + 0.25)
    change = np.abs(faded - normal).max()
    print(f"  InstanceNorm: half the contrast and more brightness change the result by {change:.1e}")
    limit = np.abs(normal).max() * 1e-5 / 2 * (4 / content.var((2, 3)).min())  # eps weighs more where var is a quarter
    assert change < limit + 1e-5
    return {
        f"content: {name} (alpha 0)": back,
        "AdaIN, alpha 0.5": half,
        "AdaIN, alpha 1": full,
        f"style: {other}": style,
        "AdaIN of the colours only": normcy.adain(content, style),
        "InstanceNorm, without a style": 0.5 + 0.2 * normal,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", metavar="FILE", help="write the figure here")
    out = parser.parse_args().out
    photographs = np.stack(load_sample_images().images)[:, :384]  # 384 x 640: both can be halved several times
    pagoda, dahlia = np.split(halved(photographs.transpose(0, 3, 1, 2).astype(np.float32) / 255), 2)
    rows = checked(pagoda, dahlia, "pagoda", "dahlia"), checked(dahlia, pagoda, "dahlia", "pagoda")
    if out:
        matplotlib.use("Agg")
        draw(rows, out)


def draw(rows, out):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2 * len(rows), 3, figsize=(8, 7.2), layout="constrained")
    for axis, (title, picture) in zip(axes.flat, [item for row in rows for item in row.items()], strict=True):
        axis.imshow(picture[0].transpose(1, 2, 0).clip(0, 1))
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    main()
