"""Pages in Chromium without a window, where one is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (.ci/run installs one)")


def dumped(address: str, folder: Path, *, width: int = 1280, height: int = 900, wait_ms: int = 20_000) -> str:
    """Return the document after scripts have run; `folder`: of the browser's own files, `wait_ms`: of its clock."""
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-dev-shm-usage", f"--user-data-dir={folder}", f"--window-size={width},{height}",
        f"--virtual-time-budget={wait_ms}", "--dump-dom", address,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
