"""What the linter found, as text."""

from collections.abc import Iterator, Mapping

from pipeline.linting.report import FamilyLines, Linted, Model, OnSubject
from pipeline.linting.tree import Size

_REASONS = 5


def lines(linted: Linted) -> list[str]:
    """Return the lines of a report for people."""
    found = [f"{linted.space}: {size_words(linted.size)}"]
    found.append(f"  of these {size_words(linted.training)} are ways to train an architecture")
    found += [
        f"  {rise.name}: {rise.default:g} by default, up to {rise.most:g} while a training has {rise.passes:g} passes"
        for rise in linted.rises
    ]
    found += [f"  warning: {text}" for text in linted.warnings]
    for part in linted.subjects:
        found += ["", *_on(part)]
    return found


def size_words(size: Size) -> str:
    """Return a size: "1,200 different × 3 continuous settings"."""
    shown = f"{size.different:,}" if size.different < 10**9 else f"{size.different:.1e}"
    if size.at_most:
        shown = f"at most {shown}"
    if not size.continuous:
        return f"{shown} different"
    return f"{shown} different × {size.continuous} continuous setting{'s' if size.continuous > 1 else ''}"


def _on(part: OnSubject) -> Iterator[str]:
    rows = f", {part.rows:,} training rows, {part.epochs} epochs a trial" if part.rows else ""
    yield f"on {part.subject}{rows}"
    for text in part.warnings:
        yield f"  warning: {text}"
    for reason in part.forbidden:
        yield f"  {reason.share:.1%} of {part.draws} random draws fall to {reason.words}"
    yield f"  {part.infeasible:.1%} of {part.draws} random draws cannot be trained"
    for reason in part.reasons[:_REASONS]:
        yield f"    {reason.share:6.1%}  {reason.words}"
    if len(part.reasons) > _REASONS:
        yield f"    and {len(part.reasons) - _REASONS} other reasons"
    if part.dead_ends:
        yield "  dead ends"
        for end in part.dead_ends:
            yield f"    {end.name}: {end.answer}: {end.why}"
    else:
        yield "  no dead ends: with every option and both ends of every range something can be built"
    if part.ranges:
        yield f"  smallest and largest seen (activations: of a batch of {part.batch})"
    for found in part.ranges:
        yield f"    by {found.measure:<20}{model_words(found.smallest)}  {_fields(found.smallest)}"
        yield f"    {'':<23}{model_words(found.largest)}  {_fields(found.largest)}"
    yield from _table(part)


def _table(part: OnSubject) -> Iterator[str]:
    seconds = "a trial here" if part.rows else "1,000 rows here"
    head = ("family", "architectures", "weights from", "default", "to", "multiply-adds", "MB", seconds)
    rows = [head, *(_row(family) for family in part.families)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for at, row in enumerate(rows):
        cells = (cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        yield f"  {'  '.join(cells)}"
        if at and (family := part.families[at - 1]).refused:
            yield f"    the default cannot be trained: {family.refused}"
        elif at and family.beyond:
            yield f"    all numbers at their high end cannot be trained: {family.beyond}"
    yield f"  multiply-adds (of a row), MB of activations (of {part.batch} rows) and seconds are those of the default"


def _row(family: FamilyLines) -> tuple[str, ...]:
    default = family.default
    return (
        family.name,
        size_words(family.size),
        _short(family.smallest.parameters) if family.smallest else "-",
        _short(default.parameters) if default else "-",
        _short(family.largest.parameters) if family.largest else "-",
        _short(default.multiply_adds) if default else "-",
        f"{default.activation_mb:.3g}" if default else "-",
        f"{family.seconds:.3g} s" if family.seconds is not None else "-",
    )


def model_words(model: Model) -> str:
    """Return a cost: "12.3 k weights, 1.5 M multiply-adds, 3.2 MB"."""
    return (
        f"{_short(model.parameters)} weights, {_short(model.multiply_adds)} multiply-adds, {model.activation_mb:.3g} MB"
    )


def _short(number: int) -> str:
    for unit, factor in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return str(number)


def _fields(model: Model) -> str:
    shown = [f"{k} {_value(v)}" for k, v in model.architecture.items() if k != "kind"]
    return f"{model.architecture['kind']}: {', '.join(shown)}"


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{k} {_value(v)}" for k, v in value.items())
    if isinstance(value, tuple):
        return f"[{', '.join(_value(v) for v in value)}]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
