"""The stage `report`, timed apart from its start: imports first, then records to report.json, then the page."""

import json
import sys
import time
from pathlib import Path

began = time.perf_counter()

import pipeline.report as stage  # noqa: E402
from pipeline.core.settings import ReportSlice  # noqa: E402
from pipeline.core.store import REPORTS, read_json  # noqa: E402
from pipeline.reporting import render  # noqa: E402
from pipeline.stage import compose, slice_for  # noqa: E402

if __name__ == "__main__":
    settings = slice_for("report", ReportSlice, compose(sys.argv[1:]))
    import numpy as np  # noqa: F401  a part of the start too

    started = time.perf_counter()
    stage.run(settings, sys.argv[1:])
    reported = time.perf_counter()
    body = read_json(REPORTS / "report.json")
    read = time.perf_counter()
    page = render(body)
    rendered = time.perf_counter()
    seconds = {"start": started - began, "report": reported - started, "page again": rendered - read}
    sizes = {"page_mb": len(page.encode()) / 1e6, "json_mb": (REPORTS / "report.json").stat().st_size / 1e6}
    found = {"seconds": seconds, **sizes, "trials": len(body["search"]["trials"]), "rows": body["data"]["rows"]["test"]}
    Path("reported.json").write_text(json.dumps(found), encoding="utf-8")
