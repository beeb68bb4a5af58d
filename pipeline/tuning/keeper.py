"""The weights of a study's best trials, for an ensemble: one file per trial under state/, never an artifact.

A file is named by its trial's place and notes its score, so that what is there says all: a killed or restarted search
goes on from the files alone, and a trial whose file is missing is no member.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.contracts import TrialRecord
from pipeline.models import Network
from pipeline.training.members import MEMBERS, member_file, noted_score, save_trial

log = logging.getLogger("pipeline.search")


@dataclass(frozen=True, kw_only=True, slots=True)
class Keeper:
    """Holds the weights of the complete trials with the lowest scores, the earlier ones on ties."""

    folder: Path
    most: int
    """So many trials; 0: none."""

    def keep(self, record: TrialRecord, network: Network) -> None:
        """Take the weights of a complete trial if it is one of the best so far, and drop what no longer is."""
        if record.state != "complete" or record.score is None or not math.isfinite(record.score):
            return
        scores = self._scores() | {record.number: record.score}
        ranked = sorted(scores, key=lambda number: (scores[number], number))
        if record.number in ranked[: self.most]:
            save_trial(self.path(record.number), network, record.score)
        for number in ranked[self.most :]:
            self.path(number).unlink(missing_ok=True)

    def kept(self) -> dict[int, float]:
        """Return {trial: score} of the kept weights, best first."""
        scores = self._scores()
        return {number: scores[number] for number in sorted(scores, key=lambda n: (scores[n], n))[: self.most]}

    def path(self, number: int) -> Path:
        """Return where the weights of a trial lie, if they do."""
        return self.folder / member_file(number)

    def _scores(self) -> dict[int, float]:
        found = {}
        for path in self.folder.glob(member_file("*")):
            score = noted_score(path)
            if score is None:
                log.warning("%s is damaged; its trial is no member of an ensemble", path)
                path.unlink(missing_ok=True)
                continue
            found[int(path.stem.removeprefix("trial-"))] = score
        return found


def open_keeper(state: Path, study: str, most: int) -> Keeper:
    """Return the keeper of a study, without what a killed process left half written."""
    folder = state / study / MEMBERS
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob(".*.part"):
        part.unlink()
    return Keeper(folder=folder, most=most)
