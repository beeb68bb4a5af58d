"""predict over HTTP: POST /predict, GET /health, GET /card. Answers are those of predict, row by row.

A body is read no further than the limit, and nothing of it is kept. There is no login: who reaches the port may ask.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from pipeline import __version__
from pipeline.core.contracts import (
    CategoricalColumn,
    ForecastInputs,
    ImageInputs,
    ModelCard,
    NumericColumn,
    SeriesInputs,
    TableInputs,
)
from pipeline.core.errors import PipelineError
from pipeline.delivery.batching import Batcher
from pipeline.delivery.requests import Answer, Reader, Unreadable
from pipeline.prediction import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a request may ask for."""

    rows: int = 1000
    body_bytes: int = 32_000_000
    batch: int = 256
    """Rows of several requests that are predicted together."""
    wait_seconds: float = 0.005
    """That a request waits for others."""


class Declined(Exception):  # noqa: N818  of a whole request
    """A request that is not answered: why, what to do, and the HTTP status."""

    def __init__(self, status: int, why: str, fix: str) -> None:
        super().__init__(why)
        self.status, self.why, self.fix = status, why, fix


def application(model: Model, card: ModelCard, limits: Limits) -> FastAPI:
    """Return the application; `app.state.batcher` counts its predictions."""
    reader = Reader(model)
    batcher = Batcher(reader, limits.batch, limits.wait_seconds)
    app = FastAPI(title="Archline", version=__version__, docs_url=None, redoc_url=None)  # their pages load foreign code
    app.state.batcher = batcher

    @app.exception_handler(Declined)
    async def declined(_: Request, wrong: Declined) -> JSONResponse:
        return JSONResponse({"error": wrong.why, "fix": wrong.fix}, wrong.status)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @app.get("/card")
    async def about() -> dict[str, Any]:
        return summary(model, card, limits)

    @app.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        rows = await rows_of(request, model, limits)
        return JSONResponse({"answers": await answered(rows, reader, batcher)})

    return app


async def answered(rows: Sequence[Any], reader: Reader, batcher: Batcher) -> list[Answer]:
    """Return one answer per row with its place, or of forecasts one per series."""
    refused: dict[int, str] = {}
    remarks: dict[int, str] = {}
    items = []
    for place, row in enumerate(rows):
        try:
            item, remark = reader.item(row)
        except Unreadable as wrong:
            refused[place] = str(wrong)
            continue
        items.append(item)
        if remark:
            remarks[place] = remark
    if reader.alone and refused:  # a series with a hole where nobody asked for one would be answered wrongly
        place, why = next(iter(refused.items()))
        raise Declined(422, f"row {place}: {why}", "all rows of a request make series together")
    try:
        found = iter(await batcher.ask(items) if items else [])
    except PipelineError as wrong:
        raise Declined(422, wrong.message, wrong.fix or "") from None
    if reader.alone:
        return list(found)
    answers = []
    for place in range(len(rows)):
        answer = reader.refused(refused[place]) if place in refused else next(found)
        if place in remarks and answer["refused"] is None:
            answer["flag"] = "; ".join(filter(None, (answer["flag"], remarks[place])))
        answers.append({"row": place} | answer)
    return answers


async def rows_of(request: Request, model: Model, limits: Limits) -> list[Any]:
    """Return the rows of a request: of a JSON body {"rows": [...]}, or the files of a form.

    Raises:
        Declined: the body is too large, empty, of another kind or shape.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    images = isinstance(model.inputs, ImageInputs)
    if kind == "multipart/form-data" and images:
        rows = await _files(request, limits)
    elif kind in ("application/json", ""):
        rows = _json_rows(b"".join([part async for part in _body(request, limits)]))
    else:
        form = " or image files as multipart/form-data" if images else ""
        raise Declined(415, f"a body of kind {kind}", f"send JSON{form}")
    if not rows:
        raise Declined(422, "no rows", 'send {"rows": [...]} with at least one')
    if len(rows) > limits.rows:
        raise Declined(413, f"{len(rows):,} rows, at most {limits.rows:,} a request", "send several requests")
    return rows


async def _body(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """Yield the body and stop reading where it is too large."""
    fix = f"send at most {limits.body_bytes:,} bytes a request"
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.body_bytes:
        raise Declined(413, f"a body of {int(declared):,} bytes", fix)
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limits.body_bytes:
            raise Declined(413, f"a body of more than {limits.body_bytes:,} bytes", fix)
        yield part


def _json_rows(body: bytes) -> list[Any]:
    if not body.strip():
        raise Declined(400, "an empty body", 'send {"rows": [...]}')
    try:
        # JSON has no NaN and no Infinity: as text they are refused where a number is wanted, and only there.
        said = json.loads(body, parse_constant=str)
    except (ValueError, RecursionError) as wrong:
        raise Declined(400, f"not JSON ({wrong})", 'send {"rows": [...]}') from None
    rows = said.get("rows") if isinstance(said, dict) else None
    if not isinstance(rows, list) or set(said) != {"rows"}:
        raise Declined(422, "the body is not an object with the one key 'rows', a list", 'send {"rows": [...]}')
    return rows


async def _files(request: Request, limits: Limits) -> list[Any]:
    """Return the bytes of the files of a form, in their order."""
    parser = MultiPartParser(request.headers, _body(request, limits), max_files=limits.rows, max_fields=0)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as wrong:
        fix = f"send at most {limits.rows:,} files, and files alone"
        raise Declined(400, f"not a form with files ({wrong})", fix) from None
    try:
        return [await file.read() for _, file in form.multi_items() if isinstance(file, UploadFile)]
    finally:
        await form.close()


def summary(model: Model, card: ModelCard, limits: Limits) -> dict[str, Any]:
    """Return who answers here, and what it reads."""
    intake = model.intake
    return {
        "family": card.candidate.architecture["kind"],
        "task": intake.task,
        "classes": list(intake.classes),
        "targets": [target.name for target in intake.targets],
        "rows": _wanted(model),
        "parameters": card.parameters,
        "val_score": card.val_score,
        "val_quality": card.val_quality,
        "weights_sha256": card.weights_sha256,
        "archline": intake.version,
        "limits": {"rows": limits.rows, "body_bytes": limits.body_bytes},
        "notes": [*card.notes, *model.notes],
    }


def _wanted(model: Model) -> dict[str, Any]:
    """Return what a row is."""
    inputs, settings = model.inputs, model.intake.data
    match inputs:
        case ImageInputs():
            size = {"channels": inputs.channels, "height": inputs.height, "width": inputs.width}
            return {"kind": "image", "row": "an image file as base64, or as a file of a form"} | size
        case TableInputs():
            columns = {c.name: _kind(c) for c in inputs.columns}
            return {"kind": "table", "row": "an object with these columns, null where missing", "columns": columns}
        case SeriesInputs():
            row = "a list of values, null where missing, or one list per channel"
            return {"kind": "series", "row": row, "channels": list(inputs.channels), "length": inputs.length}
        case ForecastInputs():
            row = "an object with the columns of the training file; the rows of a request make one or more series"
            return {"kind": "forecast", "row": row, "channels": list(inputs.channels), "window": inputs.window,
                    "horizon": inputs.horizon}  # fmt: skip
    return {"kind": "text", "row": "a text, or an object with these columns", "columns": list(settings.text)}


def _kind(column: NumericColumn | CategoricalColumn) -> str:
    if column.kind == "categorical":
        return "category"
    return "number" if column.since is None else "ISO date"
