"""The code of the documentation's pages, which tests run."""

import doctest
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

_HEADING_OR_CODE = re.compile(r"^(#+) (.+?)$|^( *)```(python|pycon)\n(.*?)^\3```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """Code between fences: a script (`python`) or a session with its output (`pycon`)."""

    path: Path
    line: int  # of the fence, from 1
    kind: str
    code: str
    headings: tuple[str, ...]  # the titles above it, the page's first


def blocks(path):
    """Returns the blocks of a page in order."""
    text, headings, found = path.read_text(), [], []
    for match in _HEADING_OR_CODE.finditer(text):
        marks, title, _, kind, code = match.groups()
        if title:
            headings[len(marks) - 1 :] = [title]
        else:
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(path, line, kind, textwrap.dedent(code), tuple(headings)))
    return found


def run(block, names):
    """Runs a block in a namespace; a session has to print what the page shows."""
    if block.kind == "python":
        exec(compile("\n" * block.line + block.code, str(block.path), "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(block.code, {}, str(block.path), str(block.path), block.line)
    test.globs = names  # the parser would copy them
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    assert not runner.failures, "".join(report)
