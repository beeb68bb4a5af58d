"""What a record of robustness says in words: what an input is, what is missing, how it ended."""

from pipeline.core.contracts import DatasetCard, ForecastInputs, Number, RobustnessRecord, TextInputs
from pipeline.robustness.choice import Choice, can_be_attacked


def input_notes(card: DatasetCard) -> tuple[str, ...]:
    """Say what an input is where it is not the raw one."""
    match card.inputs:
        case TextInputs():
            return ("texts are changed in the words that prepare kept of them, in lower case: raw test texts are not "
                    "kept, and capitals make no difference to the network",)  # fmt: skip
        case ForecastInputs():
            return ("the steps that are looked back on are changed, in deviations of their series; what is known of "
                    "the future, and the last value that skill is measured by, are not",)  # fmt: skip
        case _:
            return ()


def gaps(card: DatasetCard, choice: Choice) -> tuple[str, ...]:
    """Return what is not looked at, and why."""
    found = []
    if not choice.corruptions:
        found.append("robustness to corrupted inputs (evaluate.robustness)")
    if not choice.attacks:
        why = "evaluate.robustness" if can_be_attacked(card) else "only images with classes are attacked"
        found.append(f"attacks ({why})")
    if card.task in ("regression", "forecast"):
        found.append("telling rows of another kind: predicted numbers have no probability that could fall")
    elif choice.outside is None:
        found.append("inputs of another kind than these: no other data set is named (evaluate.ood)")
    return tuple(found)


def told(record: RobustnessRecord) -> list[str]:
    """Return how far the headline metric falls, and what was reduced."""
    lines, metric = [], record.metric.replace("_", " ")
    falls = [(d.quality[-1].value, d.corruption) for d in record.degradations if d.quality[-1].value is not None]
    if record.clean is not None and falls:
        ends = [f"{value:.4f} ({name.replace('_', ' ')})" for value, name in (min(falls), max(falls))]
        lines.append(f"{metric} of {record.rows:,} rows {_value(record.clean)}; at severity 5 from {' to '.join(ends)}")
    for item in record.attacks:
        epsilon = round(255 * item.epsilons[-1])
        lines.append(f"{metric} under {item.attack.upper()} at {epsilon}/255: at most {_value(item.accuracy[-1])}")
    return [*lines, *(f"note: {note}" for note in record.notes)]


def _value(number: Number) -> str:
    return f"undefined ({number.reason})" if number.value is None else f"{number.value:.4f}"
