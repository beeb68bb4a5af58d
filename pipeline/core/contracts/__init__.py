"""What one stage hands to the next: frozen records, each with a schema number, read strictly.

Arrays lie beside them as `.npy`, tables as Parquet, weights as safetensors; nothing is pickled.
"""

from pipeline.core.contracts.data import (
    AuditFeature,
    CategoricalColumn,
    DatasetCard,
    ImageInputs,
    Inputs,
    NumericColumn,
    SplitName,
    TableInputs,
    Task,
)
from pipeline.core.contracts.scores import BaselineScores, Bin, ClassScores, Number, Scores
from pipeline.core.contracts.search import (
    Best,
    Budget,
    Candidate,
    EpochRecord,
    ModelCard,
    Optimizer,
    Origin,
    SearchRecord,
    TrialRecord,
)
from pipeline.core.contracts.trust import (
    ExplainedRow,
    Explanations,
    FairnessRecord,
    FairnessVerdict,
    FeatureAudit,
    GroupGap,
    GroupRate,
    Importance,
    MethodCheck,
    Provenance,
    Verdict,
)

__all__ = [
    "AuditFeature",
    "BaselineScores",
    "Best",
    "Bin",
    "Budget",
    "Candidate",
    "CategoricalColumn",
    "ClassScores",
    "DatasetCard",
    "EpochRecord",
    "ExplainedRow",
    "Explanations",
    "FairnessRecord",
    "FairnessVerdict",
    "FeatureAudit",
    "GroupGap",
    "GroupRate",
    "ImageInputs",
    "Importance",
    "Inputs",
    "MethodCheck",
    "ModelCard",
    "Number",
    "NumericColumn",
    "Optimizer",
    "Origin",
    "Provenance",
    "Scores",
    "SearchRecord",
    "SplitName",
    "TableInputs",
    "Task",
    "TrialRecord",
    "Verdict",
]
