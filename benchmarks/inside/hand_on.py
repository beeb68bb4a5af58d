"""Write artifacts/search/best.json with a family's default, as a search that found nothing better would.

python -m hand_on FAMILY [setting …]    (FAMILY may be empty: the default family)
"""

import sys
from collections.abc import Mapping
from typing import Any

from pipeline.core.contracts import Best
from pipeline.core.store import SEARCH, fresh_folder, write_json
from pipeline.space import DefaultChooser, parse, sample
from pipeline.stage import compose


def hand_on(config: Mapping[str, Any], family: str) -> None:
    """Write the default candidate of the composed space and of a family; empty: of the default family."""
    given = {"architecture.kind": family} if family else {}
    best = Best(number=0, score=0.0, candidate=sample(parse(config["space"]), DefaultChooser(given)))
    with fresh_folder(SEARCH) as folder:
        write_json(folder / "best.json", best)


if __name__ == "__main__":
    hand_on(compose(sys.argv[2:]), sys.argv[1])
