"""data.url: fetched once, checked always, and never read when the checksum differs."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets import prepare_dataset
from pipeline.datasets.fetch import fetched
from tests.datasets.test_npz import images, labels, written
from tests.datasets.test_photos import files
from tests.datasets.test_texts import packed


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        super().do_GET()


class Site:
    """A folder that is served; `asked` are the requests so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.asked: list[str] = []
        self.server.asked = self.asked  # type: ignore[attr-defined]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("site", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    served = Site(tmp_path / "site")
    yield served
    served.close()


def said(site: Site, file_name: str, **changes: Any) -> DataSettings:
    file = site.folder / file_name
    digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "0" * 64
    given: dict[str, Any] = {
        "name": "own data", "format": "npz", "url": f"{site.address}/{file_name}", "sha256": digest,
        "sensitive": {}, "slices": {},
    }  # fmt: skip
    return DataSettings(**(given | changes))


def test_fetched_once_then_the_network_is_not_touched(site: Site) -> None:
    written(site.folder / "a.npz", x=images(), y=labels())
    settings = said(site, "a.npz")
    first = prepare_dataset(settings, 7)
    assert site.asked == ["/a.npz"]
    assert first.card.notes[0] == f"fetched from {settings.url}, sha256 {settings.sha256}"
    kept = Path("data/fetched/own_data/a.npz")
    assert kept.read_bytes() == (site.folder / "a.npz").read_bytes()
    site.close()
    again = prepare_dataset(settings, 7)
    assert np.array_equal(again.splits["test"].x, first.splits["test"].x)
    assert site.asked == ["/a.npz"]
    assert list(Path("data/fetched").rglob("*.*")) == [kept]


def test_a_damaged_file_is_fetched_again_or_refused(site: Site) -> None:
    written(site.folder / "a.npz", x=images(), y=labels())
    settings = said(site, "a.npz")
    kept = Path(str(fetched(settings).path))
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1] + b"?")
    assert fetched(settings).path == str(kept)
    assert kept.read_bytes() == whole
    assert len(site.asked) == 2
    kept.write_bytes(b"?")
    site.close()
    with pytest.raises(DataError, match="cannot be fetched"):
        fetched(settings)


def test_another_checksum_is_refused_and_nothing_is_kept(site: Site) -> None:
    (site.folder / "a.npz").write_bytes(b"something else")
    wanted = "ab" * 32
    with pytest.raises(DataError) as caught:
        prepare_dataset(said(site, "a.npz", sha256=wanted), 7)
    found = hashlib.sha256(b"something else").hexdigest()
    message, fix = str(caught.value).split("\n")
    assert message == f"{site.address}/a.npz: sha256 is {found}, data.sha256 is {wanted}"
    assert fix.startswith("  fix: ")
    assert [p for p in Path("data/fetched").rglob("*") if p.is_file()] == []


def test_what_is_not_there_is_one_line(site: Site) -> None:
    with pytest.raises(DataError, match=r"no\.npz: cannot be fetched \(404 ") as caught:
        fetched(said(site, "no.npz"))
    assert str(caught.value).count("\n") == 1
    site.close()
    with pytest.raises(DataError, match="cannot be fetched") as caught:
        fetched(said(site, "no.npz"))
    assert str(caught.value).count("\n") == 1


def test_a_table_lies_alone_in_its_folder_and_an_archive_is_read_as_it_is(site: Site) -> None:
    rows = [f"{i},{i % 7},{'yes' if i % 2 else 'no'}" for i in range(60)]
    (site.folder / "rows.csv").write_text("\n".join(["a,b,c", *rows]))
    settings = said(site, "rows.csv", format="csv", target="c")
    assert (fetched(settings).path, fetched(settings).train_file) == ("data/fetched/own_data", "rows.csv")
    assert sum(prepare_dataset(settings, 7).card.rows.values()) == 60
    packed(site.folder / "photos.zip", files())
    prepared = prepare_dataset(said(site, "photos.zip", format="images", side=8), 7)
    assert prepared.card.classes == ("cat", "dog")


def test_names_cannot_leave_the_folder(site: Site) -> None:
    for path, name in (("..%2F..%2Fevil.npz", "evil.npz"), ("%2E%2E", "download"), ("a b.npz", "a_b.npz")):
        settings = said(site, path, url=f"{site.address}/{path}", name="../up")
        with pytest.raises(DataError, match=r"cannot be fetched|sha256 is"):
            fetched(settings)
        kept = Path("data/fetched/_up") / name
        kept.write_bytes(b"kept")
        assert Path(str(fetched(said(site, path, name="../up", url=f"{site.address}/{path}",
                                     sha256=hashlib.sha256(b"kept").hexdigest())).path)) == kept  # fmt: skip


WRONG = [
    ({"sha256": None}, "data.sha256: not set, but data.url is"),
    ({"url": None}, "data.sha256: set without data.url"),
    ({"sha256": "abc"}, "data.sha256: 'abc' is not 64 hex digits"),
    ({"path": "here"}, "data.path and data.url: both set"),
    ({"format": "idx"}, "data.url: data of format idx are no single file"),
    ({"url": "file:///etc/hosts"}, "data.url: 'file:///etc/hosts' is no http or https address"),
    ({"url": "https://me:secret@host/a.npz"}, "data.url: holds a name or password, which would stand in records"),
    ({"format": "csv", "train_file": "b.csv"}, "data.train_file: b.csv, but data.url gives the single file a.npz"),
    ({"format": "csv", "test_file": "b.csv"}, "data.url: gives one file, but data.val_file or data.test_file"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_settings_that_cannot_be_meant_are_refused(site: Site, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fetched(said(site, "a.npz", **changes))
    assert str(caught.value).startswith(message)
    assert site.asked == []
