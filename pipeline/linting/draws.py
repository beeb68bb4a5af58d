"""Candidates drawn from a space: which can be built for a subject, and why the others cannot. Nothing is trained."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from pipeline.core.contracts import Candidate
from pipeline.core.errors import PipelineError, SpaceError
from pipeline.core.seeds import stream
from pipeline.linting.subjects import Subject
from pipeline.linting.tree import (
    Noting,
    Question,
    families,
    family_answer,
    family_of,
    forbidden,
    questions,
    refusal,
)
from pipeline.models import build, parameter_count
from pipeline.space import (
    Chooser,
    DefaultChooser,
    Forbidden,
    RandomChooser,
    Scalar,
    Space,
    answers,
    sample,
)
from pipeline.training.augment import check_changes
from pipeline.training.heads import head_for

_BUILDS = 8
_WALKS = 64


@dataclass(frozen=True, slots=True)
class Draw:
    """A candidate by its answers, or the reason why there is none."""

    answers: Mapping[str, Scalar]
    candidate: Candidate | None
    parameters: int | None
    reason: str | None
    forbidden: bool = False
    """Whether the space itself forbids it: a search draws again, which costs nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why draws are lost; numbers in the words stand for those of one draw."""

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
        except Forbidden as wrong:
            return Draw(noting.answers, None, None, wrong.message, forbidden=True)
        except PipelineError as wrong:
            return Draw(noting.answers, None, None, wrong.message)
        except Exception as wrong:  # noqa: BLE001  a trial would fail of it, and that is what is asked
            return Draw(noting.answers, None, None, f"{type(wrong).__name__}: {str(wrong).partition(chr(10))[0]}")

    def reached(self, given: Mapping[str, Scalar]) -> Iterator[dict[str, Scalar]]:
        """Yield the answers of draws in which given answers are really asked for: the default's, then random ones."""
        for walk in range(_WALKS):
            chooser = self._chance if walk else DefaultChooser({})
            found = answers(self.space, Noting(chooser, given))
            if given.items() <= found.items():
                yield found

    def _built(self, candidate: Candidate) -> int:
        subject = self.subject
        with torch.device("meta"):
            size = parameter_count(build(candidate.architecture, subject.inputs, subject.outputs))
        if size > self.max_parameters:
            raise SpaceError(f"{size:,} weights are more than search.max_parameters {self.max_parameters:,}")
        check_changes(candidate.optimizer, subject.inputs)
        head_for(subject.task, subject.inputs, subject.targets, candidate.optimizer)
        return size


def removed(space: Space, draws: Sequence[Draw]) -> tuple[Reason, ...]:
    """Return what each line of `forbid` removes; a draw that two of them forbid counts for the first."""
    words = Counter(draw.reason for draw in draws if draw.forbidden)
    lines = dict.fromkeys(refusal(condition) for condition in forbidden(space))
    return tuple(Reason(words=line, share=words[line] / len(draws)) for line in lines)


def reasons(draws: Sequence[Draw]) -> tuple[Reason, ...]:
    """Return why draws that are allowed cannot be trained, the commonest first.

    Reasons that differ in numbers alone are one.
    """
    kinds: Counter[str] = Counter()
    words: dict[str, str] = {}
    for draw in draws:
        if draw.reason is not None and not draw.forbidden:
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
    why: list[str] = []
    for reached in drawing.reached(given):
        reason = drawing.by(DefaultChooser({}), reached).reason
        if reason is None:
            return None
        why.append(reason)
        if len(why) == _BUILDS:
            break
    return Counter(why).most_common(1)[0][0] if why else f"none of {_WALKS} draws around it reaches it"
