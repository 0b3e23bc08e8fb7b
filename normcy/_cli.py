"""The command line: ``normcy compare``, ``accuracy`` and ``info``, their arguments and exit codes."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import normcy
from normcy._checks import LAYOUTS
from normcy._compare.inputs import InputError
from normcy._compare.methods import OPTIONS, plain
from normcy._compare.peers import PEERS

COMPARE = """\
Run every method on the shapes of real models and on a photograph, or on an array or picture of yours, and show for
each: the largest error against the float64 reference, the time, the bandwidth (x read once, y written once), the
time as a multiple of that of the fastest copy of x, and the speed-up over NumPy and over the libraries of --against.
Times are lower quartiles of rounds in which the libraries take turns; if other programs kept the machine busy
meanwhile, the first line says so."""

ACCURACY = """\
Show the largest error of every method against the float64 reference where norms become inaccurate: means far from
zero, slots of statistics from one value to 2**26, values from 1e-30 to 1e30; beside NumPy and the libraries of
--against on the same arrays. Errors are in the units of docs/accuracy.md, which normcy's bounds are stated in."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return 0, 1 if nobody reads the output, 2 if it fails, or 130 if interrupted."""
    try:
        options = vars(_parser().parse_args(argv))
        status = options.pop("command")(**options)
        print(end="", flush=True)  # also where there is no stdout
        return status
    except InputError as error:
        print(f"normcy: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to be flushed goes there
        return 1
    except OSError as error:
        print(f"normcy: error: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print("normcy: error: not enough memory for these arrays and their float64 reference", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("normcy: interrupted", file=sys.stderr)
        return 130


def _help(parser: argparse.ArgumentParser) -> int:
    """Print what there is, as no command was given."""
    parser.print_help(sys.stderr)
    return 2


def _info() -> int:
    normcy.show_config()
    return 0


def _compare(**options: Any) -> int:
    _require("rich", "matplotlib")
    from normcy._compare import compare

    compare(**options)
    return 0


def _accuracy(**options: Any) -> int:
    _require("rich")
    from normcy._compare import survey

    survey(**options)
    return 0


def _require(*packages: str) -> None:
    missing = [name for name in packages if not importlib.util.find_spec(name)]
    if missing:
        raise InputError(f"this needs {' and '.join(missing)}: run `python -m pip install {' '.join(missing)}`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="normcy", description="Normalization layers for NumPy float32 arrays on CPUs.")
    parser.add_argument("--version", action="version", version=f"normcy {normcy.__version__}")
    parser.set_defaults(command=partial(_help, parser))
    commands = parser.add_subparsers(title="commands", metavar="compare | accuracy | info")
    info = commands.add_parser("info", help="the features of this build and of this machine")
    info.set_defaults(command=_info)
    compare = commands.add_parser("compare", help="accuracy and speed, beside other libraries", description=COMPARE)
    compare.set_defaults(command=_compare)
    _add_compare_arguments(compare)
    accuracy = commands.add_parser(
        "accuracy", help="errors on hard inputs, beside other libraries", description=ACCURACY
    )
    accuracy.set_defaults(command=_accuracy)
    _add_accuracy_arguments(accuracy)
    return parser


def _add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", nargs="?", type=Path, metavar="FILE", help="a .npy array (samples first), or a picture")
    _add_common_arguments(parser, "both; that of a picture is NHWC")
    add("--plot", type=Path, metavar="FILE", help="draw times and errors; .png, .svg or .pdf")
    add("--quick", action="store_true", help="fewer and shorter measurements: a first impression")


def _add_accuracy_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_common_arguments(parser, "both")
    add("--markdown", type=Path, metavar="FILE", help="write the tables, and those of each library, as Markdown")
    add("--quick", action="store_true", help="fewer values, and no slots beyond 2**20: a first impression")


def _add_common_arguments(parser: argparse.ArgumentParser, layouts: str) -> None:
    methods = tuple(dict.fromkeys(OPTIONS.values()))
    add = parser.add_argument
    add("--methods", type=_names(methods, lambda name: OPTIONS.get(plain(name))), default=methods, metavar="A,B,...",
        help=f"of {', '.join(methods)}; or functions and layers, such as layer_norm and LayerNorm")  # fmt: skip
    add("--layout", choices=(*LAYOUTS, "both"), help="where the channels are: NCHW is axis 1, NHWC the last "
        f"(default: {layouts})")  # fmt: skip
    add("--threads", type=_threads, default=normcy.get_num_threads(), metavar="N",
        help="given to every library (default: normcy.get_num_threads(), here %(default)s)")  # fmt: skip
    add("--against", type=_names(tuple(PEERS)), default=(), metavar="A,B,...", help=f"of {', '.join(PEERS)}")
    add("--json", type=Path, metavar="FILE", help="write all numbers")


def _names(
    known: tuple[str, ...], find: Callable[[str], str | None] = lambda name: name
) -> Callable[[str], tuple[str, ...]]:
    """Returns a parser of arguments that are lists of names; ``find`` gives the one of ``known`` that a name means."""

    def parse(text: str) -> tuple[str, ...]:
        given = [name.strip() for name in text.split(",")]
        for name in given:
            if find(name) not in known:
                raise argparse.ArgumentTypeError(f"got {name!r}, expected names of {', '.join(known)}")
        return tuple(dict.fromkeys(found for name in given if (found := find(name))))

    return parse


def _threads(text: str) -> int:
    try:
        with normcy.num_threads(int(text)):
            return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a possible number of threads, 1 or more") from error
