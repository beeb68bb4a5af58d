"""A trained network that answers over HTTP, as predict does: each bad row with its reason, the others all the same.

    python -m pipeline.serve [key=value …]

    model=<folder>     what train wrote; artifacts/train unless said otherwise
    host=<address>     127.0.0.1, this machine alone, unless said otherwise
    port=<number>      8000 unless said otherwise; 0: any that is free
    rows=<number>      most rows of a request, 1000
    body_mb=<number>   most megabytes (10^6) of a request, 32
    wait_ms=<number>   how long a request waits for others, to be predicted with them, 5
    batch=<number>     most rows of several requests that are predicted together, 256
    device=<device>    cpu, cuda, or auto

POST /predict   {"rows": [...]} → {"answers": [...]}; images also as files of a form
GET  /card      what a row is, and who answers
GET  /health    whether anybody does
"""

import importlib.util
import logging
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.core.arguments import read_arguments
from pipeline.core.errors import ConfigError, PipelineError
from pipeline.core.process import settle
from pipeline.core.settings import TrainerSettings
from pipeline.core.store import TRAIN
from pipeline.stage import prepare_terminal

log = logging.getLogger("pipeline.serve")

_NEEDS = {"fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}
_HOME = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """The command line."""

    model: str = str(TRAIN)
    host: str = "127.0.0.1"
    port: int = 8000
    rows: int = 1000
    body_mb: float = 32.0
    wait_ms: float = 5.0
    batch: int = 256
    device: Literal["auto", "cpu", "cuda"] = "cpu"

    def __post_init__(self) -> None:
        """Limits let something through."""
        if min(self.rows, self.batch) < 1 or self.body_mb <= 0 or self.wait_ms < 0 or not 0 <= self.port < 65536:
            raise ValueError("rows, batch and body_mb must be positive, wait_ms not negative, port below 65536")


def run(arguments: Sequence[str]) -> None:
    """Answer until interrupted."""
    wishes = read_arguments(Wishes, arguments, "serve", "port=8000")
    check(wishes)
    opened = listening(wishes)
    try:
        import uvicorn

        from pipeline.core.contracts import ModelCard
        from pipeline.core.store import read_record
        from pipeline.delivery.service import Limits, application
        from pipeline.prediction import load_folder
        from pipeline.training.device import choose_device

        folder = Path(wishes.model)
        model = load_folder(folder, choose_device(TrainerSettings(device=wishes.device))[0])
        model = model.with_threshold(folder, "auto", "balanced_accuracy").with_sets(folder, 0.9, None)  # as predict has
        limits = Limits(rows=wishes.rows, body_bytes=int(wishes.body_mb * 1e6), batch=wishes.batch,
                        wait_seconds=wishes.wait_ms / 1000)  # fmt: skip
        app = application(model, read_record(ModelCard, folder / "card.json"), limits)
        for note in model.notes:
            log.info("note: %s", note)
        host, port = opened.getsockname()[:2]
        if wishes.host not in _HOME:
            log.info("note: there is no login: everybody who reaches %s can ask", host)
        log.info("http://%s:%d/predict · end it with Ctrl-C", host, port)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[opened])
    finally:
        opened.close()


def check(wishes: Wishes) -> None:
    """Refuse what cannot be served before anything heavy is loaded."""
    gone = [package for name, package in _NEEDS.items() if importlib.util.find_spec(name) is None]
    if gone:
        raise ConfigError(f"serve: {', '.join(gone)} not installed", fix="pip install 'archline[serve]'")
    if not Path(wishes.model).is_dir():
        raise ConfigError(f"serve: model={wishes.model}: no such folder", fix="run `dvc repro train`, or name it")


def listening(wishes: Wishes) -> socket.socket:
    """Return the open port."""
    try:
        family, _, _, _, place = socket.getaddrinfo(wishes.host, wishes.port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind(place)
            opened.listen(128)
        except OSError:
            opened.close()
            raise
    except OSError as wrong:
        fix = "port=<another>, 0 for any that is free"
        raise ConfigError(f"serve: {wishes.host}:{wishes.port}: {wrong.strerror}", fix=fix) from None
    return opened


def main(arguments: Sequence[str]) -> int:
    """Run and return the exit code."""
    settle()
    prepare_terminal("serve")
    if set(arguments) & {"-h", "--help"}:
        sys.stdout.write(f"{__doc__}\n")
        return 0
    try:
        run(arguments)
    except PipelineError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
