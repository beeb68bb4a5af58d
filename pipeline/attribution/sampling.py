"""Which test rows are explained: by a rule that is said, not by how good the picture looks."""

import numpy as np
from numpy.typing import NDArray

RULE = (
    "a quarter each: most confident mistakes, rows nearest to the boundary, most confident right answers, "
    "and rows drawn at random; quarters that run short are filled at random"
)


def choose_rows(
    y: NDArray[np.int64], p: NDArray[np.float64], rows: int, rng: np.random.Generator
) -> list[tuple[int, str]]:
    """Return (index, why) of at most `rows` different rows; p is (N, K)."""
    top = np.sort(p, axis=1)
    margin = top[:, -1] - top[:, -2]
    right = p.argmax(axis=1) == y
    ranked = {
        "confident mistake": [i for i in np.argsort(-top[:, -1], kind="stable") if not right[i]],
        "near the boundary": list(np.argsort(margin, kind="stable")),
        "confident and right": [i for i in np.argsort(-top[:, -1], kind="stable") if right[i]],
        "random": list(rng.permutation(len(y))),
    }
    quarter = max(1, rows // len(ranked))
    chosen: dict[int, str] = {}
    for why, order in ranked.items():
        free = [int(i) for i in order if int(i) not in chosen]
        wanted = rows - len(chosen) if why == "random" else min(quarter, rows - len(chosen))
        chosen |= dict.fromkeys(free[:wanted], why)
    return list(chosen.items())
