"""The weights of a study's best trials, for an ensemble: one file per trial under state/, never an artifact.

A file is named by its trial's place and notes its score, so that what is there says all: a killed or restarted search
goes on from the files alone, and a trial whose file is missing is no member.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

from pipeline.models import Network
from pipeline.training.fit import Fit
from pipeline.training.members import MEMBER_FILES, MEMBERS, member_file, noted_score, save_trial, which_member
from pipeline.tuning.jobs import Job

log = logging.getLogger("pipeline.search")


Which = tuple[int, int]
"""Number of a trial, and its seed: 0 is that of the search, others are trainings again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keeper:
    """Holds the weights of the finished trainings with the lowest scores, the earlier trial on ties."""

    folder: Path
    most: int
    """So many; 0: none."""

    def keep_fit(self, job: Job, fit: Fit) -> None:
        """Take the weights of a training that came to its end; called where it ran."""
        self.keep((job.place, job.repeat), fit.records[-1].val_score, fit.network)

    def keep(self, which: Which, score: float, network: Network) -> None:
        """Take weights if they are among the best so far, and drop what no longer is."""
        if not math.isfinite(score):
            return
        scores = self._scores() | {which: score}
        ranked = sorted(scores, key=lambda key: (scores[key], key))
        if which in ranked[: self.most]:
            save_trial(self.path(which), network, score)
        for key in ranked[self.most :]:
            self.path(key).unlink(missing_ok=True)

    def kept(self) -> dict[Which, float]:
        """Return {(trial, seed): score} of the kept weights, best first."""
        scores = self._scores()
        return {key: scores[key] for key in sorted(scores, key=lambda key: (scores[key], key))[: self.most]}

    def path(self, which: Which) -> Path:
        """Return where weights lie, if they do."""
        return self.folder / member_file(*which)

    def _scores(self) -> dict[Which, float]:
        found = {}
        for path in self.folder.glob(MEMBER_FILES):
            try:
                score = noted_score(path)
            except FileNotFoundError:
                continue  # another worker keeps better ones and has just dropped it
            if score is None:
                log.warning("%s is damaged; its trial is no member of an ensemble", path)
                path.unlink(missing_ok=True)
                continue
            found[which_member(path)] = score
        return found


def open_keeper(state: Path, study: str, most: int) -> Keeper:
    """Return the keeper of a study, without what a killed process left half written."""
    folder = state / study / MEMBERS
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob(".*.part"):
        part.unlink()
    return Keeper(folder=folder, most=most)
