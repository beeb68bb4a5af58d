"""Optuna answers the questions of a search space."""

import optuna

from pipeline.space import Choice, FloatRange, IntRange, Scalar


class TrialChooser:
    """Asks the trial's sampler; names in the study are the space's own."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def choice(self, name: str, node: Choice) -> Scalar:
        """Ask for one of the options."""
        if len(node.options) == 1:
            return node.default
        answer = self._trial.suggest_categorical(name, list(node.options))
        assert answer is not None
        return answer

    def integer(self, name: str, node: IntRange) -> int:
        """Ask for an integer of the range."""
        return int(self._trial.suggest_int(name, node.low, node.high, step=node.step, log=node.log))

    def number(self, name: str, node: FloatRange) -> float:
        """Ask for a number of the range."""
        return float(self._trial.suggest_float(name, node.low, node.high, log=node.log))
