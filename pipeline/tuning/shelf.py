"""Where paused trials lie, and how much disk they may take there.

Over the bound those least likely to be promoted lose their files: the worst of the lowest rung first. Such a trial is
trained from its start if it is promoted after all, with the same scores as if it had gone on. So the bound costs
seconds and changes no decision, and a search that was killed needs no memory of what was dropped. The default keeps its
files; weights of complete trials lie elsewhere (keeper.py), as many as `search.keep` says.
"""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.tuning.row import Row

MEGABYTE = 1e6


class Shelf:
    """The files of trials that may go on, one folder each."""

    def __init__(self, folder: Path, most_mb: float) -> None:
        self.folder, self.most_mb = folder, most_mb
        self.highest_mb = 0.0
        """Taken at most, before what was too much was dropped."""
        self.dropped = 0
        """Trials that lost their files to the bound."""
        for part in folder.glob("*/.*.part"):  # what a killed process left half written
            part.unlink()
        self._bytes = {found.name: _size(found) for found in folder.glob("trial-*")}

    @property
    def used_mb(self) -> float:
        """Megabytes taken now."""
        return sum(self._bytes.values()) / MEGABYTE

    def put(self, name: str) -> None:
        """Note that the files of a job were written anew, if they were."""
        found = self.folder / name
        if found.exists():
            self._bytes[name] = _size(found)
            self.highest_mb = max(self.highest_mb, self.used_mb)

    def remove(self, names: Iterable[str]) -> None:
        """Delete files of jobs."""
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            self._bytes.pop(name, None)

    def bound(self, rows: Sequence[Row], rungs: Sequence[float]) -> None:
        """Drop files of paused rows until the rest keeps the bound."""
        if self.used_mb <= self.most_mb:
            return
        paused = [row for row in rows if row.paused and row.place and name_of(row) in self._bytes]
        paused.sort(key=lambda row: (len(row.scores(rungs)), not row.excess, -(row.last_score or 0.0), -row.place))
        for row in paused:
            if self.used_mb <= self.most_mb:
                return
            self.remove([name_of(row)])
            self.dropped += 1

    def tidy(self, rows: Sequence[Row]) -> None:
        """Keep what paused rows need to go on with a larger budget, and nothing else."""
        cut = [row for row in rows if row.outcome is not None and row.outcome.state == "stopped"]
        needed = {name_of(row) for row in (*cut, *(row for row in rows if row.paused))}
        self.remove(set(self._bytes) - needed)

    def lost(self, rows: Sequence[Row]) -> frozenset[int]:
        """Return the places of paused rows that would start anew."""
        return frozenset(row.place for row in rows if row.paused and name_of(row) not in self._bytes)

    def words(self) -> str:
        """Say what was used of the bound."""
        dropped = f"; {self.dropped} lost their files to the bound" if self.dropped else ""
        return f"paused trials took at most {self.highest_mb:,.1f} of {self.most_mb:,.0f} MB of disk{dropped}"


def name_of(row: Row) -> str:
    """Return the name of a row's folder, as its jobs call it."""
    return f"trial-{row.place}"


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
