"""Candidates drawn from a space: which can be built for a subject, and why the others cannot. Nothing is trained."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from pipeline.core.contracts import Candidate
from pipeline.core.errors import PipelineError, SpaceError
from pipeline.core.seeds import stream
from pipeline.linting.subjects import Subject
from pipeline.linting.tree import Noting, Question, families, family_answer, family_of, questions
from pipeline.models import build, parameter_count
from pipeline.space import Chooser, DefaultChooser, RandomChooser, Scalar, Space, sample
from pipeline.training.augment import check_changes
from pipeline.training.heads import head_for

_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Draw:
    """A candidate by its answers, or the reason why there is none."""

    answers: Mapping[str, Scalar]
    candidate: Candidate | None
    parameters: int | None
    reason: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why draws cannot be trained; numbers in the words stand for those of one draw."""

    words: str
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadEnd:
    """An answer that leads nowhere."""

    name: str
    answer: Scalar
    why: str


class Drawing:
    """Draws candidates for one subject."""

    def __init__(self, space: Space, subject: Subject, max_parameters: int, seed: int) -> None:
        self.space, self.subject = space, subject
        self.max_parameters = max_parameters
        self._chance = RandomChooser(stream(seed, "linter"))

    def at_random(self, given: Mapping[str, Scalar] | None = None) -> Draw:
        """Draw at random, but for given answers."""
        return self.by(self._chance, given or {})

    def default(self, family: str) -> Draw:
        """Return the default of a family."""
        return self.by(DefaultChooser({}), family_answer(family))

    def by(self, chooser: Chooser, given: Mapping[str, Scalar]) -> Draw:
        """Let a chooser decide, but for given answers, and try to build what comes out."""
        noting = Noting(chooser, given)
        try:
            candidate = sample(self.space, noting)
            return Draw(noting.answers, candidate, self._built(candidate), None)
        except PipelineError as wrong:
            return Draw(noting.answers, None, None, wrong.message)
        except Exception as wrong:  # noqa: BLE001  a trial would fail of it, and that is what is asked
            return Draw(noting.answers, None, None, f"{type(wrong).__name__}: {str(wrong).partition(chr(10))[0]}")

    def _built(self, candidate: Candidate) -> int:
        subject = self.subject
        with torch.device("meta"):
            size = parameter_count(build(candidate.architecture, subject.inputs, subject.outputs))
        if size > self.max_parameters:
            raise SpaceError(f"{size:,} weights are more than search.max_parameters {self.max_parameters:,}")
        check_changes(candidate.optimizer, subject.inputs)
        head_for(subject.task, subject.inputs, subject.targets, candidate.optimizer)
        return size


def reasons(draws: Iterable[Draw]) -> tuple[Reason, ...]:
    """Return why draws cannot be trained, the commonest first; reasons that differ in numbers alone are one."""
    draws = list(draws)
    kinds: Counter[str] = Counter()
    words: dict[str, str] = {}
    for draw in draws:
        if draw.reason is not None:
            kind = re.sub(r"\d[\d.,]*", "n", draw.reason)
            kinds[kind] += 1
            words.setdefault(kind, draw.reason)
    return tuple(Reason(words=words[kind], share=n / len(draws)) for kind, n in kinds.most_common())


def dead_ends(drawing: Drawing, draws: Iterable[Draw]) -> tuple[DeadEnd, ...]:
    """Return the answers with which nothing can be built, most general first.

    What no random draw proves alive is tried with the defaults and then at random around it.
    """
    alive = {(name, answer) for draw in draws if draw.reason is None for name, answer in draw.answers.items()}
    found: list[DeadEnd] = []
    for family in families(drawing.space):
        if ("architecture.kind", family) not in alive and (why := _why_dead(drawing, family_answer(family))):
            found.append(DeadEnd(name="architecture.kind", answer=family, why=why))
    dead = {end.answer for end in found}
    for question in questions(drawing.space):
        if question.name == "architecture.kind" or family_of(question) in dead:
            continue
        found += _dead_answers(drawing, question, alive)
    return tuple(found)


def _dead_answers(drawing: Drawing, question: Question, alive: set[tuple[str, Scalar]]) -> list[DeadEnd]:
    found = []
    for answer in question.answers:
        if (question.name, answer) not in alive:
            why = _why_dead(drawing, {**question.reached_by, question.name: answer})
            if why:
                found.append(DeadEnd(name=question.name, answer=answer, why=why))
    return found


def _why_dead(drawing: Drawing, given: Mapping[str, Scalar]) -> str | None:
    """Return why nothing can be built with some answers; None if something can."""
    tried = [drawing.by(DefaultChooser({}), given)]
    while tried[-1].reason is not None or not given.items() <= tried[-1].answers.items():
        if len(tried) > _ATTEMPTS:
            reached = [draw for draw in tried if given.items() <= draw.answers.items()]
            return reasons(reached)[0].words if reached else "no draw reaches it"
        tried.append(drawing.at_random(given))
    return None
