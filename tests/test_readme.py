"""The README's example runs as it stands."""

from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.skipif(not README.exists(), reason="needs the source tree")
def test_example(capsys):
    example = README.read_text().split("```python\n")[1].split("```")[0]
    exec(compile(example, str(README), "exec"), {})
    assert float(capsys.readouterr().out) < 1e-6
