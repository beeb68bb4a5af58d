"""What optuna-dashboard offers beside a trial for download: the weights that are kept of it.

The dashboard (--artifact-dir) looks for files by an identity of hex digits. Here these are links to the kept weights,
so nothing is copied. What they are stands in system attributes of the study, as with notes: a trial that ended takes
none.
"""

import json
import os
import uuid
from pathlib import Path

import optuna

from pipeline.tuning.keeper import Keeper

_WEIGHTS = "dashboard:artifacts:"


def show_weights(study: optuna.Study, keeper: Keeper, folder: Path) -> None:
    """Offer the weights that are kept now, and no longer those that were dropped since; `folder`: of the links."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = {t.system_attrs["place"]: t._trial_id for t in study.get_trials(deepcopy=False) if "place" in t.system_attrs}
    offered = {}
    for place, repeat in keeper.kept():
        path = keeper.path((place, repeat))
        identity = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{study.study_name}/{path.name}"))
        link = folder / identity
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(path, folder))
        offered[f"{_WEIGHTS}{ids[place]}:{identity}"] = json.dumps(
            {"artifact_id": identity, "filename": path.name, "mimetype": "application/octet-stream", "encoding": None}
        )
    known = study._storage.get_study_system_attrs(study._study_id)
    for name in (name for name in known if name.startswith(_WEIGHTS) and name not in offered):
        (folder / name.rpartition(":")[2]).unlink(missing_ok=True)
        study._storage.set_study_system_attr(study._study_id, name, json.dumps(None))  # as the dashboard removes one
    for name, what in offered.items():
        if known.get(name) != what:
            study._storage.set_study_system_attr(study._study_id, name, what)
