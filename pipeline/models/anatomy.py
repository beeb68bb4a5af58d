"""What a network is made of, part by part, and what each part reads: what a drawing of it needs.

Parts are the layers in stem, trunk and head. A module of ours among them is one part and tells what is inside; only
what holds a whole trunk is opened. What a part reads is found by forward passes: the output of each part is handed on
as a fresh leaf of torch's graph, and what a leaf has a gradient of has read it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from pipeline.core.contracts import Inputs, Layer
from pipeline.models import build
from pipeline.models.cost import example_rows
from pipeline.models.layer_words import is_light, is_norm, words_of

INPUT, OUTPUT, WEIGHTS = "input", "output", "weights"
_OPENED = ("stem", "trunk", "head", "body")
_FEW, _MORE = 2, 4
"""Rows of the two passes: a shape per row is one that grows with them."""
_MOST_INSIDE = 6


def layers_of(architecture: Mapping[str, Any], inputs: Inputs, outputs: int) -> tuple[Layer, ...]:
    """Return what the network of an architecture is made of, in the order of its forward pass.

    Weights of all parts add up to those of the network. Some drawn rows pass a network that knows nothing yet, on the
    CPU; torch's generator stays as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(architecture, inputs, outputs).eval()
        parts = dict(_parts(network, ""))
        few, more = (_walked(network, parts, example_rows(inputs, n, gaps=False)) for n in (_FEW, _MORE))
    shapes = {name: _per_row(few.shapes[name], more.shapes[name]) for name in few.shapes}
    order = [*few.after, *(name for name in parts if name not in few.after)]
    found = [_layer(name, parts[name], shapes.get(name), few.after.get(name, ())) for name in order]
    first = Layer(name=INPUT, kind=INPUT, words=inputs.kind, output=shapes[INPUT])
    last = Layer(name=OUTPUT, kind=OUTPUT, words="output", output=shapes[OUTPUT], after=few.outcome)
    return (first, *found, last, *_loose(network, parts))


def _parts(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield what is drawn: containers and what holds a whole trunk are opened."""
    for key, child in module.named_children():
        at = f"{name}.{key}".removeprefix(".")
        opened = isinstance(child, nn.Sequential | nn.ModuleList) or (key in _OPENED and not _leaf(child))
        if opened:
            yield from _parts(child, at)
        elif not isinstance(child, nn.Identity | nn.Dropout):  # which do nothing when it predicts
            yield at, child


@dataclass
class _Walk:
    """What one forward pass has shown."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    after: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By part, in the order in which they were first called."""
    outcome: tuple[str, ...] = ()
    leaves: dict[int, str] = field(default_factory=dict)
    """Which part a leaf is the output of, by its id."""
    kept: list[tuple[str, Tensor]] = field(default_factory=list)
    """All leaves by part: while they are held, ids are their own."""

    def fresh(self, name: str, x: Tensor) -> Tensor:
        """Return the output of a part as if the graph began there."""
        if not x.is_floating_point():
            return x
        leaf = x.detach().requires_grad_()
        self.kept.append((name, leaf))
        self.leaves[id(leaf)] = name
        return leaf.clone()

    def sources(self, found: Iterable[Tensor]) -> tuple[str, ...]:
        """Return the parts that tensors were made of, in the order of their calls."""
        tensors = [x for x in found if x.requires_grad]
        names = self.leading_to(tensors)
        if len(names) > 1:  # of what was joined, only some may have been taken
            leaves = [(name, leaf) for name, leaf in self.kept if name in names]
            sums = [(x * torch.randn_like(x)).sum() for x in tensors]
            gradients = torch.autograd.grad(sums, [leaf for _, leaf in leaves], allow_unused=True, retain_graph=True)
            names = {n for (n, _), grad in zip(leaves, gradients, strict=True) if grad is not None and grad.any()}
        return tuple(name for name in (INPUT, *self.after) if name in names)

    def leading_to(self, tensors: Iterable[Tensor]) -> set[str]:
        """Return the parts whose leaves are in the graphs of tensors."""
        names = set()
        todo: list[Any] = [x.grad_fn for x in tensors]
        seen: set[Any] = set()
        while todo:
            node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if (name := self.leaves.get(id(getattr(node, "variable", None)))) is not None:
                names.add(name)
            todo += [before for before, _ in node.next_functions]
        return names

    def hook(self, name: str) -> Callable[..., Any]:
        """Return what notes a call of a part."""

        def note(_: nn.Module, args: Any, kwargs: Any, out: Any) -> Any:
            tensors = list(_tensors(out))
            if name not in self.after:
                before = self.sources(_tensors((args, tuple(kwargs.values()))))
                # Whole numbers leave no trace in the graph: stems read the input, others what came last.
                last = INPUT if name.startswith("stem") else next(reversed(self.after), INPUT)
                self.after[name] = before or (last,)
                if tensors:
                    self.shapes[name] = tuple(tensors[0].shape)
            return _replaced(out, lambda x: self.fresh(name, x))

        return note


def _walked(network: nn.Module, parts: Mapping[str, nn.Module], x: Tensor) -> _Walk:
    walk = _Walk()
    hooks = [part.register_forward_hook(walk.hook(name), with_kwargs=True) for name, part in parts.items()]
    try:
        out = network(walk.fresh(INPUT, x))
    finally:
        for handle in hooks:
            handle.remove()
    walk.outcome = walk.sources([out])
    walk.shapes |= {INPUT: tuple(x.shape), OUTPUT: tuple(out.shape)}
    return walk


def _tensors(found: Any) -> Iterator[Tensor]:
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, PackedSequence):
        yield found.data
    elif isinstance(found, list | tuple):
        for part in found:
            yield from _tensors(part)


def _replaced(found: Any, by: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(found, Tensor):
        return by(found)
    if isinstance(found, PackedSequence):
        return found._replace(data=by(found.data))
    return type(found)(_replaced(part, by) for part in found) if isinstance(found, list | tuple) else found


def _per_row(few: tuple[int, ...], more: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape for one row from those for two and four; what is many times the rows keeps its factor."""
    if len(few) != len(more) or few[1:] != more[1:] or few[0] % _FEW or few[0] * _MORE != more[0] * _FEW:
        return None
    lead = few[0] // _FEW
    return few[1:] if lead == 1 else (lead, *few[1:])


def _layer(name: str, part: nn.Module, shape: tuple[int, ...] | None, after: tuple[str, ...]) -> Layer:
    still: list[Tensor] = [p for p in part.parameters() if not p.requires_grad]
    still += [b for m in part.modules() if not is_norm(m) for b in m.buffers(recurse=False) if b.is_floating_point()]
    return Layer(
        name=name,
        kind=type(part).__name__,
        words=words_of(part),
        inside=_inside(part),
        output=shape,
        parameters=sum(p.numel() for p in part.parameters() if p.requires_grad),
        fixed=sum(numbers.numel() for numbers in still),
        after=after,
        light=is_light(part),
    )


def _inside(part: nn.Module) -> tuple[str, ...]:
    """Return the layers with weights of a part that has some, equal neighbours as one."""
    leaves = [m for m in part.modules() if m is not part and _leaf(m) and not is_norm(m)]
    words = [words_of(m) for m in leaves if next(m.parameters(), None) is not None]
    told = [(word, sum(1 for _ in same)) for word, same in groupby(words)]
    found = [word if times == 1 else f"{times} times {word}" for word, times in told]
    rest = len(found) - _MOST_INSIDE
    return tuple(found) if rest <= 1 else (*found[:_MOST_INSIDE], f"{rest} more")


def _leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


def _loose(network: nn.Module, parts: Mapping[str, nn.Module]) -> Iterator[Layer]:
    """Yield the weights that what was opened has of its own."""
    drawn = {id(p) for part in parts.values() for p in part.parameters()}
    for name, p in network.named_parameters():
        if id(p) not in drawn:
            said = f"{name.rpartition('.')[2].replace('_', ' ')}, {' × '.join(map(str, p.shape)) or 'one number'}"
            trained = p.numel() if p.requires_grad else 0
            yield Layer(name=name, kind=WEIGHTS, words=said, parameters=trained, fixed=p.numel() - trained)
