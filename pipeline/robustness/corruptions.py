"""What a corruption is, and which ones fit an input.

The amount of a corruption grows with its severity while its draws stay: the noise of severity 5 is that of severity 1,
only more of it. So curves show the corruption and not the luck of the draw.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.seeds import stream

SEVERITIES = (1, 2, 3, 4, 5)

Packed = NDArray[Any]
Apply = Callable[[Packed, float, np.random.Generator], Packed]
"""Packed rows (N, …), the amount and a generator to changed rows of the same shape and type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Corruption:
    """One way in which inputs get worse."""

    name: str
    words: str
    """What it does, in which `a` is the amount."""
    amounts: tuple[float, float, float, float, float]
    """Of severities 1 to 5."""
    apply: Apply

    def at(self, x: Packed, severity: int, seed: int, part: int = 0) -> Packed:
        """Return packed rows at a severity; 0 is unchanged. `part` tells several lots of rows apart."""
        if severity == 0:
            return x
        return self.apply(x, self.amounts[severity - 1], stream(seed, "robustness", self.name, part))
