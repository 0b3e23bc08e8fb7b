"""The arrays that are run, read from the user's .npy file or picture, or from the sample photograph."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from normcy._checks import LAYOUTS
from normcy._compare.cases import Job, array_jobs, model_jobs
from normcy._compare.methods import METHODS, Array

NPY_MAGIC = b"\x93NUMPY"
CROP = 384  # pixels, as in a ViT-B/16 at its higher resolution


class InputError(ValueError):
    """A wrong argument of the command line; its message is the line that the user reads."""


def jobs(file: Path | None, methods: Collection[str], layout: str | None) -> tuple[list[Job], dict[str, str]]:
    """Returns the cases to run, those of models and the photograph, or all that fit the user's file.

    With them it returns the reasons why other methods do not fit the file, by method.
    """
    layouts = LAYOUTS if layout in (None, "both") else (layout,)
    if file is None:
        of_photo, _ = array_jobs("photo", _by_layout(_photograph(), layouts), methods, picture=True)
        return model_jobs(methods, layouts) + of_photo, {}
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):  # to open a pipe would wait for a writer
            raise InputError(f"argument FILE: expected a regular file, got {file}, which is none")
        with file.open("rb") as stream:
            is_array = stream.read(len(NPY_MAGIC)) == NPY_MAGIC
    except OSError as error:
        raise InputError(f"argument FILE: cannot read {file}: {error.strerror}") from error
    if is_array:
        x = _read_array(file)
        by_layout = dict.fromkeys(layouts, x)
    else:
        by_layout = _by_layout(_read_picture(file)[np.newaxis], ("NHWC",) if layout is None else layouts)
    found, misfits = array_jobs(_short(file.stem), by_layout, methods, picture=not is_array)
    if not found:
        rank = next(iter(by_layout.values())).ndim
        fits = dict.fromkeys(m.option for m in METHODS.values() if m.misfit(rank, picture=not is_array) is None)
        raise InputError(f"argument --methods: none of {', '.join(methods)} fits {file}, expected {', '.join(fits)}")
    return found, misfits


def _by_layout(x: Array, layouts: Collection[str]) -> dict[str, Array]:
    """Returns pictures (N, H, W, C) in the memory order of each layout."""
    return {k: x if k == "NHWC" else np.ascontiguousarray(np.moveaxis(x, -1, 1)) for k in layouts}


def _photograph() -> Array:
    """Returns a batch of 8 crops of the photograph that comes with matplotlib, every second one mirrored."""
    from matplotlib.cbook import get_sample_data

    picture = _read_picture(Path(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    down, right = (size - CROP for size in picture.shape[:2])
    crops = []
    for i in range(8):
        y, x = down * i // 7, right * (7 - i) // 7
        crops.append(picture[y : y + CROP, x : x + CROP][:, :: 1 - 2 * (i % 2)])
    return np.stack(crops)


@contextmanager
def _reading(what: str, file: Path) -> Iterator[None]:
    """Turns whatever the readers of broken files raise into one line, and hides their warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:
        reason = _one_line(str(error) or type(error).__name__)
        raise InputError(f"argument FILE: cannot read the {what} {file}: {reason}") from error


def _one_line(text: str) -> str:
    """Returns the text without line breaks and control characters, shortened if it is very long."""
    plain = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return plain if len(plain) <= 200 else f"{plain[:198]}.."


def _read_picture(file: Path) -> Array:
    """Returns pixels of shape (H, W, C), scaled to 0 to 1 unless they are stored as floats."""
    from PIL import Image, UnidentifiedImageError

    with _reading("picture", file):
        try:
            with Image.open(file) as image:
                as_stored = image.mode in ("L", "LA", "RGB", "RGBA", "I", "F") or image.mode.startswith("I;16")
                pixels = np.asarray(image if as_stored else image.convert("RGB"))
        except UnidentifiedImageError as error:
            what = f"{file} is neither a .npy array nor a picture that Pillow can read"
            raise InputError(f"argument FILE: {what}") from error
    if pixels.size == 0:
        raise InputError(f"argument FILE: {file} is a picture without pixels, expected one or more")
    x = pixels.astype(np.float32) / np.float32(_white(pixels, file))
    return x.reshape(*x.shape[:2], -1)


def _white(pixels: Array, file: Path) -> float:
    """Returns the value of white."""
    if pixels.dtype == np.float32:
        return 1
    if pixels.dtype != np.int32:
        return np.iinfo(pixels.dtype).max
    if pixels.min() < 0 or pixels.max() > 65535:  # Pillow stores 16 bits in pixels of 32 for some formats
        raise InputError(f"argument FILE: {file} has pixels of 32 bits, expected 8 or 16, or floats")
    return 65535


def _read_array(file: Path) -> Array:
    """Returns a contiguous float32 array of rank 2 or more; a note says if it was converted from another float type."""
    with _reading("array", file):
        # A memory map refuses sizes that are negative or beyond the file's before memory is allocated for them.
        stored = np.load(file, mmap_mode="r", allow_pickle=False)
    if not np.issubdtype(stored.dtype, np.floating):
        dtype = _one_line(str(stored.dtype))
        raise InputError(
            f"argument FILE: {file} has dtype {dtype}, expected float32 (or another float type to convert)"
        )
    if stored.ndim < 2 or stored.size == 0:
        raise InputError(
            f"argument FILE: {file} has shape {stored.shape}, expected rank 2 or more, with samples first, and no size "
            "of 0"
        )
    if stored.dtype != np.float32:
        print(f"{file} was converted from {stored.dtype} to float32", file=sys.stderr)
    with np.errstate(all="ignore"):  # values beyond float32 become infinite or 0, as in any conversion
        return np.array(stored, np.float32, order="C")


def _short(name: str) -> str:
    """Returns a file's name as the name of a case, without characters that mean something to tables and figures."""
    plain = "".join(c if c.isalnum() or c in "-." else "_" for c in name)
    return plain if len(plain) <= 12 else f"{plain[:10]}.."
