"""How many more samples a second several candidates train on as a pack than one after the other.

    python benchmarks/packing.py DATA_FOLDER [only=mlp,tabm] [seconds=3] [out=benchmarks/results/packing.json]

One thread. In turns: K steps of one candidate alone (`Alone`: network, loss, clipping, fused AdamW, nothing around), a
step of K as torch.func.vmap makes it of the plain network, a step of K as a `Pack`. Each speed-up is K times the
seconds alone over the seconds together, the median over the turns, because steps of one turn meet the same load of the
machine; the quartiles are beside it. Dropout is 0.2 for all, learning rate and decay differ. Preparing batches is left
out on both sides. Seconds are those of the thread, so that waiting for a busy machine does not count.
"""

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from scratch import (
    RESULTS,
    cell,
    circumstances,
    circumstances_lines,
    commit,
    environment,
    mistake,
    options,
    read_results,
    scratch_project,
    write_results,
)
from torch import Tensor, nn

from pipeline.core.contracts import Candidate, DatasetCard, Optimizer
from pipeline.core.errors import SpaceError
from pipeline.core.store import read_record
from pipeline.models import parameter_count
from pipeline.models.dropout import ByteDropout
from pipeline.training.batches import Batch, Batches
from pipeline.training.data import Data, Rows, load_data
from pipeline.training.packing import Alone, Pack, losses

SETS = {"adult": "adult", "sst2": "sentence_cls", "etth1": "ett"}
"""The data and where it lies below DATA_FOLDER."""
_DENSE = {"kind": "bag", "vectors": False, "wide": False}
CASES: dict[str, tuple[str, list[dict[str, Any]], tuple[int, ...]]] = {
    "mlp": ("adult", [{"kind": "mlp", "depth": 2, "width": width} for width in (32, 64, 128, 256)], (4, 8, 16, 32)),
    "tabm": ("adult", [{"kind": "tabm", "depth": 2, "width": width, "members": 8} for width in (32, 64)], (4, 8, 16)),
    "linear": ("etth1", [{"kind": "linear", "residual": width} for width in (64, 256)], (4, 8, 16)),
    "bag": ("sst2", [{"kind": "bag", "width": 32}, _DENSE | {"width": 32}], (4, 8)),
}
"""Family: data, architectures, K."""
DEFAULTS = {"only": "", "seconds": 3, "out": RESULTS / "packing.json"}
_LEAST_TURNS = 5
_BATCHES = 8


class ByVmap:
    """K candidates as one by torch.func: the plain network over stacked weights, and AdamW with vectors of rates.

    Only for its speed: dropout has one share for all, and weights that are lazy alone are dense here.
    """

    def __init__(self, candidates: Sequence[Candidate], first: Alone) -> None:
        plain = deepcopy(first.network)
        for parent in list(plain.modules()):  # vmap cannot draw bytes
            for name, part in parent.named_children():
                if isinstance(part, ByteDropout):
                    setattr(parent, name, nn.Dropout(part.p))
                elif isinstance(part, nn.Embedding):
                    part.sparse = False  # nor has a sparse gradient K of anything
        K, self.head = len(candidates), first.head
        trained = {name: p for name, p in plain.named_parameters() if p.requires_grad}
        self.weights = {n: p.detach().expand(K, *p.shape).clone().requires_grad_() for n, p in trained.items()}
        fixed = {name: p.detach() for name, p in plain.named_parameters() if not p.requires_grad}
        fixed |= dict(plain.named_buffers())

        def outputs(own: dict[str, Tensor], x: Tensor) -> Tensor:
            out: Tensor = torch.func.functional_call(plain, own | fixed, (x,))
            return out

        self.outputs = torch.func.vmap(outputs, in_dims=(0, None), randomness="different")
        self.smoothing_K = torch.tensor([c.optimizer.label_smoothing for c in candidates])
        self.lr_K = torch.tensor([c.optimizer.lr for c in candidates])
        self.decay_K = torch.tensor([c.optimizer.weight_decay for c in candidates])
        self.moments = {name: (torch.zeros_like(w), torch.zeros_like(w)) for name, w in self.weights.items()}
        self.steps = 0

    def step(self, batch: Batch, progress: float) -> None:
        """Train all on a batch."""
        loss_K = losses(self.head, self.outputs(self.weights, batch.x), batch.y, self.smoothing_K)
        gradients = torch.autograd.grad(loss_K.sum(), list(self.weights.values()))
        self.steps += 1
        with torch.no_grad():
            norm_K = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
            shorter_K = (1 / (norm_K + 1e-6)).clamp(max=1)
            for (name, weight), gradient in zip(self.weights.items(), gradients, strict=True):
                of_K = (-1, *[1] * (weight.ndim - 1))
                shortened = gradient * shorter_K.view(of_K)
                first, second = self.moments[name]
                first.lerp_(shortened, 0.1)
                second.mul_(0.999).addcmul_(shortened, shortened, value=0.001)
                if weight.ndim > 2:
                    weight.mul_((1 - self.lr_K * self.decay_K).view(of_K))
                deviation = (second / (1 - 0.999**self.steps)).sqrt_().add_(1e-8)
                weight.addcdiv_(first * (-self.lr_K / (1 - 0.9**self.steps)).view(of_K), deviation)


def prepared(name: str, folder: Path) -> tuple[Data, Rows]:
    """Prepare a set in a scratch copy of the project; return what a training gets."""
    with scratch_project() as top:
        settings = [f"data={name}", f"data.path={folder / SETS[name]}"]
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.prepare", *settings], cwd=top, env=environment(), capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise mistake(f"prepare of {name} ended with {done.returncode}: {done.stderr[-1000:]}", "see above")
        fit = top / "artifacts/prepare/fit"
        data = load_data(read_record(DatasetCard, fit / "dataset.json"), fit)
        return data, Rows(data.train.x, data.train.y, data.inputs, "cpu")


def candidates_of(architecture: Mapping[str, Any], K: int) -> list[Candidate]:
    """Return K candidates that differ in learning rate and decay."""
    shape = dict(architecture) | {"dropout": 0.2}
    return [
        Candidate(architecture=shape, optimizer=Optimizer(lr=1e-3 * 1.1**k, weight_decay=1e-3 * k, batch_size="auto"))
        for k in range(K)
    ]


def measure(architecture: Mapping[str, Any], K: int, data: Data, rows: Rows, seconds: float) -> dict[str, Any]:
    """Return seconds and speed-ups of one case; a way that does not work says why."""
    found = candidates_of(architecture, K)
    alone = Alone(found[0], data, rows, 0)
    batches = list(itertools.islice(Batches(rows, found[0].optimizer, 0).of(0), _BATCHES))
    ways: dict[str, Callable[[], Any]] = {
        "vmap": lambda: ByVmap(found, alone),
        "pack": lambda: Pack(found, data, rows, [0] * K),
    }
    made: dict[str, Any] = {"alone": alone}
    failures: dict[str, str] = {}
    for name, make in ways.items():
        try:
            made[name] = make()
            made[name].step(batches[0], 0.5)
        except (SpaceError, RuntimeError, NotImplementedError) as failure:
            made.pop(name, None)
            failures[name] = str(failure).splitlines()[0].partition(". ")[0]
    took: dict[str, list[float]] = {name: [] for name in made}
    start = time.monotonic()
    for batch in itertools.cycle(batches):
        for name, training in made.items():
            times = K if name == "alone" else 1
            before = time.thread_time()
            for _ in range(times):
                training.step(batch, 0.5)
            took[name].append((time.thread_time() - before) / times)
        if len(took["alone"]) > _LEAST_TURNS and time.monotonic() - start > seconds:
            break
    after = {name: times[1:] for name, times in took.items()}  # the first turn is slow
    record: dict[str, Any] = {
        "K": K, "rows": len(batches[0].y), "weights": parameter_count(alone.network), "failures": failures,
        "turns": len(after["alone"]),
        "alone_ms": round(1000 * statistics.median(after["alone"]), 3),
        "alone_samples_per_second": round(len(batches[0].y) / statistics.median(after["alone"])),
    }  # fmt: skip
    for name in set(after) - {"alone"}:
        ratios = [K * a / b for a, b in zip(after["alone"], after[name], strict=True)]
        record[name] = {
            "ms": round(1000 * statistics.median(after[name]), 3),
            "samples_per_second": round(K * len(batches[0].y) / statistics.median(after[name])),
            "speed_up": round(statistics.median(ratios), 2),
            "quartiles": [round(q, 2) for q in statistics.quantiles(ratios, n=4)[::2]],
        }
    return record


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Markdown page of all records."""
    head = ("architecture", "weights", "rows of a step", "K", "alone, ms", "alone, samples/s", "vmap: speed-up",
            "pack, ms for all", "pack, samples/s", "pack: speed-up")  # fmt: skip
    rows: list[Sequence[object]] = [head, ["---"] * len(head)]
    for record in records.values():
        for one in record["cases"]:
            shape = " ".join(f"{k}={v}" for k, v in one["architecture"].items() if k != "kind")
            pack = one.get("pack")
            rows.append([f"{one['architecture']['kind']} {shape}", f"{one['weights']:,}", one["rows"], one["K"],
                         one["alone_ms"], f"{one['alone_samples_per_second']:,}", _times(one, "vmap"),
                         pack["ms"] if pack else "–", f"{pack['samples_per_second']:,}" if pack else "–",
                         _times(one, "pack")])  # fmt: skip
    table = [f"| {' | '.join(cell(c) for c in row)} |" for row in rows]
    title = ["# Packs: several candidates as one, beside one after the other", "",
             "Written by `python benchmarks/packing.py`. Times are processor time of one thread. Speed-ups are medians "
             "of paired turns, in brackets the quartiles.", ""]  # fmt: skip
    return "\n".join([*title, *table, "", *circumstances_lines(list(records.values()))]) + "\n"


def _times(one: Mapping[str, Any], way: str) -> str:
    if way not in one:
        return f"not possible: {one['failures'][way]}"
    found = one[way]
    verdict = "" if found["quartiles"][0] > 1 else " (negative)" if found["quartiles"][1] < 1 else " (even)"
    return "{} ({} to {}){}".format(found["speed_up"], *found["quartiles"], verdict)


def main(arguments: Sequence[str]) -> int:
    """Measure the families asked for, print and keep the outcome."""
    folder, asked = options(arguments, DEFAULTS)
    families = asked["only"].split(",") if asked["only"] else list(CASES)
    if not set(families) <= set(CASES):
        raise mistake(f"only: {asked['only']!r} names no family measured here", f"known: {', '.join(CASES)}")
    torch.set_num_threads(1)
    for family in families:
        name, architectures, sizes = CASES[family]
        about = {"settings": {"seconds": asked["seconds"]}, "commit": commit(), "circumstances": circumstances()}
        data, rows = prepared(name, folder)
        cases = []
        for architecture, K in itertools.product(architectures, sizes):
            one = {"architecture": architecture} | measure(architecture, K, data, rows, asked["seconds"])
            cases.append(one)
            sys.stdout.write(f"{architecture} K={K}: vmap {_times(one, 'vmap')}, pack {_times(one, 'pack')}\n")
            sys.stdout.flush()
        records = read_results(asked["out"]) | {family: about | {"data": name, "cases": cases}}
        write_results(asked["out"], records, render(records))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
