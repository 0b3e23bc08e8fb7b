"""What the user gives: which arrays are run, read from a .npy file, a picture, or the sample photograph."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np

from normcy._compare.cases import LAYOUTS, Job, array_jobs, model_jobs
from normcy._compare.methods import METHODS, Array

NPY_MAGIC = b"\x93NUMPY"
CROP = 384  # pixels, as in a ViT-B/16 at its higher resolution


class InputError(ValueError):
    """A wrong argument of the command line: the message is the line that the user reads."""


def jobs(file: Path | None, methods: Collection[str], layout: str | None) -> list[Job]:
    """The cases to run: models and the photograph, or all that fit the user's file."""
    layouts = LAYOUTS if layout in (None, "both") else (layout,)
    if file is None:
        return model_jobs(methods, layouts) + array_jobs(
            "photo", _by_layout(_photograph(), layouts), methods, picture=True
        )
    try:
        with file.open("rb") as stream:
            is_array = stream.read(len(NPY_MAGIC)) == NPY_MAGIC
    except OSError as error:
        raise InputError(f"argument FILE: cannot read {file}: {error.strerror}") from error
    if is_array:
        x = _read_array(file)
        by_layout = dict.fromkeys(layouts, x)
    else:
        by_layout = _by_layout(_read_picture(file)[np.newaxis], ("NHWC",) if layout is None else layouts)
    found = array_jobs(_short(file.stem), by_layout, methods, picture=not is_array)
    if not found:
        rank = next(iter(by_layout.values())).ndim
        fits = dict.fromkeys(method.option for method in METHODS.values() if method.fits(rank, picture=not is_array))
        raise InputError(f"argument --methods: none of {', '.join(methods)} fits {file}, expected {', '.join(fits)}")
    return found


def _by_layout(x: Array, layouts: Collection[str]) -> dict[str, Array]:
    """Pictures (N, H, W, C) in the memory order of each layout."""
    return {k: x if k == "NHWC" else np.ascontiguousarray(np.moveaxis(x, -1, 1)) for k in layouts}


def _photograph() -> Array:
    """A batch of 8 crops of the photograph that comes with matplotlib, every second one mirrored."""
    from matplotlib.cbook import get_sample_data

    picture = _read_picture(Path(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    down, right = (size - CROP for size in picture.shape[:2])
    crops = []
    for i in range(8):
        y, x = down * i // 7, right * (7 - i) // 7
        crops.append(picture[y : y + CROP, x : x + CROP][:, :: 1 - 2 * (i % 2)])
    return np.stack(crops)


def _read_picture(file: Path) -> Array:
    """Pixels from 0 to 1, of shape (H, W, C)."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            as_stored = image.mode in ("L", "LA", "RGB", "RGBA") or image.mode.startswith("I;16")
            pixels = np.asarray(image if as_stored else image.convert("RGB"))
    except UnidentifiedImageError as error:
        raise InputError(f"argument FILE: {file} is neither a .npy array nor a picture that Pillow can read") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"argument FILE: cannot decode the picture {file}: {error}") from error
    x = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return x.reshape(*x.shape[:2], -1)


def _read_array(file: Path) -> Array:
    """A contiguous float32 array of rank 2 or more, converted from another float type with a word."""
    try:
        x = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"argument FILE: cannot read the array {file}: {error}") from error
    if not np.issubdtype(x.dtype, np.floating):
        raise InputError(
            f"argument FILE: {file} has dtype {x.dtype}, expected float32 (or another float type to convert)"
        )
    if x.ndim < 2 or x.size == 0:
        raise InputError(
            f"argument FILE: {file} has shape {x.shape}, expected rank 2 or more, with samples first, and no size of 0"
        )
    if x.dtype != np.float32:
        print(f"{file} was converted from {x.dtype} to float32", file=sys.stderr)
    with np.errstate(over="ignore"):  # values beyond float32 become infinite, as in any conversion
        return np.ascontiguousarray(x, np.float32)


def _short(name: str) -> str:
    """A file's name as a case's, of characters that mean nothing to tables and figures."""
    plain = "".join(c if c.isalnum() or c in "-." else "_" for c in name)
    return plain if len(plain) <= 12 else f"{plain[:10]}.."
