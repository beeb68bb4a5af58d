"""data.url: the raw file is fetched once, checked against data.sha256, and kept below data/fetched."""

import logging
import os
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.store import sha256_file

log = logging.getLogger("pipeline.prepare")

_ROWS = ("csv", "image_table", "series", "forecast")
"""Formats that name a file in a folder."""
_ONE_FILE = ("npz", "images", "text", *_ROWS)


def fetched(settings: DataSettings) -> DataSettings:
    """Return settings whose data.path is the fetched file; without data.url they come back as they are.

    A table or a .ts file that lies alone becomes data.train_file in its folder. The file is fetched where it is not
    kept yet, or is no longer what the checksum says; otherwise the network is not touched.
    """
    if settings.url is None:
        if settings.sha256 is not None:
            raise ConfigError("data.sha256: set without data.url", fix="set data.url, or remove data.sha256")
        return settings
    wanted = _check(settings, settings.url)
    # Experiments run in temporary copies of the project; what was fetched is shared, as studies are.
    folder = Path(os.environ.get("DVC_ROOT", ".")) / "data" / "fetched" / re.sub(r"\W+", "_", settings.name)
    file = folder / _file_name(settings.url)
    if not (file.is_file() and sha256_file(file) == wanted):
        if file.exists():
            log.info("%s is damaged, or belongs to another data.sha256", file)
        _fetch(settings.url, wanted, file)
    if settings.format not in _ROWS:
        return replace(settings, path=str(file))
    return replace(settings, path=str(folder), train_file=file.name)


def origin_notes(settings: DataSettings) -> tuple[str, ...]:
    """Return where the raw file came from, for the card."""
    return (f"fetched from {settings.url}, sha256 {str(settings.sha256).lower()}",) if settings.url else ()


def _check(settings: DataSettings, url: str) -> str:
    """Refuse what cannot be fetched and verified; return the checksum."""
    if settings.sha256 is None:
        raise ConfigError("data.sha256: not set, but data.url is", fix="give the file's checksum (sha256sum <file>)")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", settings.sha256):
        raise ConfigError(f"data.sha256: {settings.sha256!r} is not 64 hex digits", fix="copy it from sha256sum <file>")
    if settings.path is not None:
        raise ConfigError("data.path and data.url: both set", fix="data.path=null fetches, data.url=null does not")
    if settings.format not in _ONE_FILE:
        raise ConfigError(f"data.url: data of format {settings.format} are no single file",
                          fix="fetch the files yourself and set data.path")  # fmt: skip
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"data.url: {url!r} is no http or https address", fix="data.url=https://<host>/<file>")
    if parts.username or parts.password:
        fix = "fetch the file yourself and set data.path"
        raise ConfigError("data.url: holds a name or password, which would stand in records", fix=fix)
    name = _file_name(url)
    if settings.format in _ROWS and settings.train_file not in (None, name):
        raise ConfigError(f"data.train_file: {settings.train_file}, but data.url gives the single file {name}",
                          fix="leave data.train_file out, or unpack the file yourself and set data.path")  # fmt: skip
    if settings.format in _ROWS and (settings.val_file or settings.test_file):
        raise ConfigError("data.url: gives one file, but data.val_file or data.test_file names another",
                          fix="fetch the files yourself and set data.path")  # fmt: skip
    return settings.sha256.lower()


def _file_name(url: str) -> str:
    """Return a plain file name that keeps the endings, which tell how the file is written."""
    return re.sub(r"[^\w.-]", "_", PurePosixPath(unquote(urlsplit(url).path)).name).lstrip(".-") or "download"


def _fetch(url: str, wanted: str, file: Path) -> None:
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    log.info("fetching %s", url)
    # Asked for as it lies: an unpacked transfer would have another checksum than the file.
    plain = pooch.HTTPDownloader(chunk_size=1024**2, headers={"Accept-Encoding": "identity"})
    try:
        pooch.retrieve(url, f"sha256:{wanted}", file.name, file.parent, downloader=plain)
    except ValueError as wrong:
        got = re.search(r"but got ([0-9a-f]{64})", str(wrong))
        if got is None:
            raise DataError(f"{url}: cannot be fetched ({_brief(wrong)})", fix="check data.url") from None
        fix = "the file there has changed or data.sha256 is mistyped; use the new one only if you trust it"
        raise DataError(f"{url}: sha256 is {got[1]}, data.sha256 is {wanted}", fix=fix) from None
    except OSError as wrong:  # all errors of the network are kinds of it
        fix = "check data.url and the network, or fetch the file yourself and set data.path"
        raise DataError(f"{url}: cannot be fetched ({_brief(wrong)})", fix=fix) from None


def _brief(wrong: Exception) -> str:
    """Return one line: the innermost reason, where the network library wraps several."""
    text = re.sub(r".*\(Caused by (.*)\)$", r"\1", " ".join(str(wrong).split()))
    return text[:200] or type(wrong).__name__
