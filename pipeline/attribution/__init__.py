"""Attributions, Captum's and some of our own, and what is needed to say how far to believe them."""

from pipeline.attribution.budget import DRAWS, Clock, Costs, Plan, measured, plan
from pipeline.attribution.concepts import Probe, Sensitivity, check_layers, concepts
from pipeline.attribution.examine import (
    MAPS_SHARE,
    Examined,
    change_baseline,
    change_inputs,
    change_weights,
    explained,
    remove,
)
from pipeline.attribution.influence import MOST_TRACED, Influence, influence, last_layer
from pipeline.attribution.methods import partners
from pipeline.attribution.overview import MOST_ROWS, Crowd, Overview, overview
from pipeline.attribution.prechecks import FAST_PATH_OFF, same_function
from pipeline.attribution.subject import Subject, choose_rows, subject_of
from pipeline.attribution.task import Attribution, Task, baseline_for, completeness, other_baseline

__all__ = [
    "DRAWS",
    "FAST_PATH_OFF",
    "MAPS_SHARE",
    "MOST_ROWS",
    "MOST_TRACED",
    "Attribution",
    "Clock",
    "Costs",
    "Crowd",
    "Examined",
    "Influence",
    "Overview",
    "Plan",
    "Probe",
    "Sensitivity",
    "Subject",
    "Task",
    "baseline_for",
    "change_baseline",
    "change_inputs",
    "change_weights",
    "check_layers",
    "choose_rows",
    "completeness",
    "concepts",
    "explained",
    "influence",
    "last_layer",
    "measured",
    "other_baseline",
    "overview",
    "partners",
    "plan",
    "remove",
    "same_function",
    "subject_of",
]
