"""Parts of a network as blocks of a drawing: norms and activations join what they follow, equal neighbours are one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Layers = Sequence[Mapping[str, Any]]
_ENDS = ("input", "output")


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One box."""

    name: str
    """Of its first part."""
    words: str
    inside: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    """Norms, activations and poolings that follow."""
    output: tuple[int, ...] | None = None
    parameters: int = 0
    fixed: int = 0
    times: int = 1
    beside: bool = False
    """Whether the equal ones stand side by side; else one reads the other."""
    after: tuple[str, ...] = ()
    """Names of the boxes it reads."""

    @property
    def end(self) -> bool:
        """Whether it is what goes in or comes out."""
        return self.name in _ENDS

    def like(self, other: "Block") -> bool:
        """Say whether two boxes show the same but for what they read."""
        bare = {"name": "", "times": 1, "after": (), "parameters": 0, "fixed": 0, "beside": False}
        each = (self.parameters // self.times, self.fixed // self.times)
        same = each == (other.parameters // other.times, other.fixed // other.times)
        return same and replace(self, **bare) == replace(other, **bare)  # type: ignore[arg-type]


def blocks_of(layers: Layers) -> list[Block]:
    """Return the boxes in the order of the forward pass."""
    blocks: dict[str, Block] = {}
    home: dict[str, str] = {}
    tail: dict[str, str] = {}
    for layer in layers:
        if layer["kind"] == "weights":
            continue
        after = tuple(dict.fromkeys(home[name] for name in layer["after"] if name in home))
        name = str(layer["name"])
        if layer["light"] and len(after) == 1 and not blocks[after[0]].end and layer["after"] == [tail[after[0]]]:
            before = blocks[after[0]]
            blocks[after[0]] = replace(
                before,
                then=(*before.then, str(layer["words"])),
                output=_shape(layer) or before.output,
                parameters=before.parameters + layer["parameters"],
                fixed=before.fixed + layer["fixed"],
            )
            home[name], tail[after[0]] = after[0], name
            continue
        home[name] = tail[name] = name
        blocks[name] = Block(
            name=name,
            words=str(layer["words"]),
            inside=tuple(layer["inside"]),
            output=_shape(layer),
            parameters=layer["parameters"],
            fixed=layer["fixed"],
            after=after,
        )
    return _in_rows(_in_line(list(blocks.values())))


def _shape(layer: Mapping[str, Any]) -> tuple[int, ...] | None:
    return None if layer["output"] is None else tuple(layer["output"])


def _in_line(blocks: list[Block]) -> list[Block]:
    """Join equal boxes where one reads the other and nothing else does."""
    found: list[Block] = []
    moved: dict[str, str] = {}
    readers = {b.name: sum(b.name in other.after for other in blocks) for b in blocks}
    for block in blocks:
        block = replace(block, after=tuple(dict.fromkeys(moved.get(name, name) for name in block.after)))  # noqa: PLW2901
        last = found[-1] if found else None
        if last is not None and block.after == (last.name,) and readers[_end(last, moved)] == 1 and last.like(block):
            found[-1] = _joined(last, block)
            moved[block.name] = last.name
        else:
            found.append(block)
    return found


def _end(block: Block, moved: dict[str, str]) -> str:
    """Return the last of the boxes that were joined."""
    return next((name for name in reversed(moved) if moved[name] == block.name), block.name)


def _in_rows(blocks: list[Block]) -> list[Block]:
    """Join equal boxes that read the same and are read by the same."""
    found: list[Block] = []
    moved: dict[str, str] = {}
    readers = {b.name: [other.name for other in blocks if b.name in other.after] for b in blocks}
    for block in blocks:
        block = replace(block, after=tuple(dict.fromkeys(moved.get(name, name) for name in block.after)))  # noqa: PLW2901
        twin = next((i for i, b in enumerate(found) if b.after == block.after and b.like(block)
                     and readers[b.name] == readers[block.name] and b.beside | (b.times == 1)), None)  # fmt: skip
        if twin is not None and not block.end and block.times == 1:
            moved[block.name] = found[twin].name
            found[twin] = replace(_joined(found[twin], block), beside=True)
        else:
            found.append(block)
    return found


def _joined(one: Block, other: Block) -> Block:
    return replace(
        one,
        times=one.times + other.times,
        parameters=one.parameters + other.parameters,
        fixed=one.fixed + other.fixed,
    )


def ranks_of(blocks: Sequence[Block]) -> list[list[Block]]:
    """Return the boxes in rows: each below all that it reads."""
    at: dict[str, int] = {}
    for block in blocks:
        at[block.name] = 1 + max((at[name] for name in block.after), default=-1)
    lowest = max(at.values(), default=0)
    rows: list[list[Block]] = [[] for _ in range(lowest + 1)]
    for block in blocks:
        rows[lowest if block.name == "output" else at[block.name]].append(block)
    return rows
