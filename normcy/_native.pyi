from typing import Any

from numpy import float32
from numpy.typing import NDArray

def copy(x: NDArray[float32], out: NDArray[float32]) -> None: ...
def __getattr__(name: str) -> Any: ...
