"""Write artifacts/search/best.json with a family's default, as a search that found nothing better would.

python -m hand_on FAMILY [setting …]    (FAMILY may be empty: the default family)
"""

import sys

from pipeline.core.contracts import Best
from pipeline.core.store import SEARCH, fresh_folder, write_json
from pipeline.space import DefaultChooser, parse, sample
from pipeline.stage import compose

_, family, *settings = sys.argv
space = parse(compose(settings)["space"])
given = {"architecture.kind": family} if family else {}
best = Best(number=0, score=0.0, candidate=sample(space, DefaultChooser(given)))
with fresh_folder(SEARCH) as folder:
    write_json(folder / "best.json", best)
