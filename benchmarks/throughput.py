"""How fast an image folder is prepared, beside the plainest loop one could write.

    python benchmarks/throughput.py FOLDER [files=100000] [pixels=256] [quality=85] [sample=10000]
                                    [out=benchmarks/results/throughput.json]

FOLDER is filled with made-up JPEGs of ten classes (about 20 kB each) unless it holds just these already. Then: two
loops on a sample of the files, `python -m pipeline.prepare` on all, the loops on the same sample again. The plain loop
does what a script does: open, convert, resize to 64 x 64, to NumPy, in one process. The loop with draft lets the JPEG
decoder leave out detail, as prepare does. Prepare does more: it finds exact copies and near twins, splits, packs and
writes, and its time counts from the start of Python. All read from the page cache if the files fit there.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import measured
from PIL import Image, ImageOps
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

DEFAULTS = {"files": 100_000, "pixels": 256, "quality": 85, "sample": 10_000, "out": RESULTS / "throughput.json"}
_CLASSES = 10
_MADE = "made.json"
_SEED = 7
_SIDE = 64
_UNSTEADY = 1.2


def make(folder: Path, asked: Mapping[str, int]) -> None:
    """Fill a folder with JPEGs <class>/<number>.jpg on all cores; one that holds them already is left as it is."""
    wanted = {key: asked[key] for key in ("files", "pixels", "quality")} | {"seed": _SEED}
    note = folder / _MADE
    if note.exists() and json.loads(note.read_text()) == wanted:
        return
    if folder.exists() and any(folder.iterdir()):
        raise mistake(f"{folder}: holds something else", "give an empty folder or a new one")
    for label in range(_CLASSES):
        (folder / f"class_{label}").mkdir(parents=True)
    one = partial(make_one, folder=folder, pixels=asked["pixels"], quality=asked["quality"])
    with ProcessPoolExecutor() as workers:
        for _ in workers.map(one, range(asked["files"]), chunksize=256):
            pass
    note.write_text(json.dumps(wanted))


def place(folder: Path, number: int) -> Path:
    """Return where an image lies."""
    return folder / f"class_{number % _CLASSES}" / f"{number:07d}.jpg"


def make_one(number: int, folder: Path, pixels: int, quality: int) -> None:
    """Write one image: coloured blobs with a little grain, which packs about as badly as a photograph."""
    generator = np.random.default_rng([_SEED, number])
    coarse = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((pixels, pixels), Image.Resampling.BICUBIC), np.int16)
    grain = generator.integers(-6, 7, (pixels, pixels, 1), dtype=np.int16)
    Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(place(folder, number), quality=quality)


def loop(folder: Path, numbers: Sequence[int], *, draft: bool) -> float:
    """Decode these files one after the other; return images per second."""
    pixels = np.empty((len(numbers), _SIDE, _SIDE, 3), np.uint8)
    start = time.perf_counter()
    for i, number in enumerate(numbers):
        with Image.open(place(folder, number)) as image:
            if draft:
                image.draft(None, (2 * _SIDE, 2 * _SIDE))
            pixels[i] = np.asarray(ImageOps.fit(image.convert("RGB"), (_SIDE, _SIDE), Image.Resampling.BILINEAR))
    return len(numbers) / (time.perf_counter() - start)


def compare(folder: Path, asked: Mapping[str, int]) -> dict[str, Any]:
    """Run loop, prepare, loop; return rates, their ratio and memory."""
    step = max(1, asked["files"] // max(1, asked["sample"]))
    numbers = range(0, asked["files"], step)
    settings = ["data=image_folder", f"data.path={folder}", f"data.side={_SIDE}"]
    with scratch_project() as top:
        bare = measured([sys.executable, "-c", "import time; time.sleep(1)"], top, environment())
        before = [loop(folder, numbers, draft=draft) for draft in (False, True)]
        prepared = measured([sys.executable, "-m", "pipeline.prepare", *settings], top, environment())
        if prepared.code:
            raise mistake(f"prepare ended with {prepared.code}: {prepared.output[-2000:]}", "see above")
        rows = json.loads((top / "artifacts/prepare/fit/dataset.json").read_text(encoding="utf-8"))["rows"]
        after = [loop(folder, numbers, draft=draft) for draft in (False, True)]
    rate = asked["files"] / prepared.seconds
    beyond = None if prepared.tree_mb is None or bare.tree_mb is None else round(prepared.tree_mb - bare.tree_mb)
    return {
        "rows": rows,
        "kilobytes_per_file": round(sum(place(folder, n).stat().st_size for n in numbers) / len(numbers) / 1000, 1),
        "loop_images_per_second": [round(before[0]), round(after[0])],
        "draft_loop_images_per_second": [round(before[1]), round(after[1])],
        "prepare_seconds": round(prepared.seconds, 1),
        "prepare_images_per_second": round(rate),
        "ratio": round(2 * rate / (before[0] + after[0]), 2),
        "ratio_range": [round(rate / max(before[0], after[0]), 2), round(rate / min(before[0], after[0]), 2)],
        "draft_ratio": round(2 * rate / (before[1] + after[1]), 2),
        "tree_mb_beyond_interpreter": beyond,
        "largest_mb": round(prepared.largest_mb),
        "interpreter_mb": round(bare.largest_mb, 1),
    }


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Markdown page of all records."""
    head = ("files", "kB each", "plain loop before, after: images/s", "prepare, s", "prepare, images/s",
            "prepare / plain loop", "prepare / loop with draft",
            "memory of all processes beyond a bare interpreter, MB")  # fmt: skip
    rows = [head, ["---"] * len(head)]
    for r in records.values():
        before, after = r["loop_images_per_second"]
        memory = "–" if r["tree_mb_beyond_interpreter"] is None else f"{r['tree_mb_beyond_interpreter']:,}"
        ratio = "{} ({} to {})".format(r["ratio"], *r["ratio_range"])
        rows.append([f"{r['settings']['files']:,}", r["kilobytes_per_file"], f"{before:,}, {after:,}",
                     r["prepare_seconds"], f"{r['prepare_images_per_second']:,}", ratio,
                     r["draft_ratio"], memory])  # fmt: skip
    table = [f"| {' | '.join(cell(c) for c in row)} |" for row in rows]
    title = ["# Image folders: prepare beside a plain loop", "", "Written by `python benchmarks/throughput.py`.", ""]
    return "\n".join([*title, *table, "", *circumstances_lines(list(records.values()))]) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Make the files if need be, compare, print and keep the outcome."""
    folder, asked = options(arguments, DEFAULTS)
    if asked["files"] < _CLASSES * 20:
        raise mistake(f"files: {asked['files']} are too few to split", f"files={_CLASSES * 20} or more")
    make(folder, asked)
    about = {"settings": {k: v for k, v in asked.items() if k != "out"}, "commit": commit()}
    record = about | {"circumstances": circumstances()} | compare(folder, asked)
    records = read_results(asked["out"]) | {record["circumstances"]["date"]: record}
    write_results(asked["out"], records, render(records))
    for key in (
        "loop_images_per_second",
        "draft_loop_images_per_second",
        "prepare_images_per_second",
        "ratio",
        "ratio_range",
        "draft_ratio",
        "tree_mb_beyond_interpreter",
    ):
        sys.stdout.write(f"{key.replace('_', ' ')}: {record[key]}\n")
    if max(record["loop_images_per_second"]) > _UNSTEADY * min(record["loop_images_per_second"]):
        sys.stdout.write("the two loops differ a lot: something else used the machine, so the ratio says little\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
