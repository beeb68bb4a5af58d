"""Who answers the questions of a search space: Optuna, another candidate, or somebody whose answers are noted."""

from collections.abc import Callable, Mapping

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pipeline.space import Choice, Chooser, DefaultChooser, FloatRange, IntRange, Scalar
from pipeline.training.packing import OWN


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


def free(name: str) -> bool:
    """Say whether candidates of a pack may differ in the answer to this question."""
    match name.split("."):
        case ["optimizer", field]:
            return field in OWN
        case ["architecture", _, "dropout"]:
            return True
    return False


class Like:
    """Gives the answers of another candidate to all questions but those that are left open."""

    def __init__(self, chooser: Chooser, answers: Mapping[str, Scalar], is_open: Callable[[str], bool] = free) -> None:
        self._chooser: Chooser = chooser
        self._given: Chooser = DefaultChooser(answers)
        self._is_open = is_open

    def choice(self, name: str, node: Choice) -> Scalar:
        """Answer a question with options."""
        return (self._chooser if self._is_open(name) else self._given).choice(name, node)

    def integer(self, name: str, node: IntRange) -> int:
        """Answer a question for an integer."""
        return (self._chooser if self._is_open(name) else self._given).integer(name, node)

    def number(self, name: str, node: FloatRange) -> float:
        """Answer a question for a number."""
        return (self._chooser if self._is_open(name) else self._given).number(name, node)


class Noted:
    """Passes questions on and keeps the answers, with what Optuna calls the range of each question."""

    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser
        self.answers: dict[str, Scalar] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def choice(self, name: str, node: Choice) -> Scalar:
        """Pass a question with options on; one option is no question."""
        if len(node.options) == 1:
            return node.options[0]
        answer = self._chooser.choice(name, node)
        self.answers[name], self.distributions[name] = answer, CategoricalDistribution(list(node.options))
        return answer

    def integer(self, name: str, node: IntRange) -> int:
        """Pass a question for an integer on."""
        answer = self._chooser.integer(name, node)
        self.answers[name] = answer
        self.distributions[name] = IntDistribution(node.low, node.high, log=node.log, step=node.step)
        return answer

    def number(self, name: str, node: FloatRange) -> float:
        """Pass a question for a number on."""
        answer = self._chooser.number(name, node)
        self.answers[name], self.distributions[name] = answer, FloatDistribution(node.low, node.high, log=node.log)
        return answer
