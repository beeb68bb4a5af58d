"""From a path to a report on real data sets: what init infers, what prepare costs, what a minute of search finds.

    python benchmarks/own_data.py DATA_FOLDER [only=name,name] [experiment=yes|no] [seconds=60] [train_seconds=60]
                                  [out=benchmarks/results/own_data.json] [again=yes|no]

Each set runs in a scratch copy of the project, as it is in this working tree. Records are merged into the JSON file and
the page beside it is written anew after every set, so a run can be broken off and continued: a set that was measured at
this commit with these settings is skipped unless again=yes.
"""

import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import measured
from own_data_page import render
from scratch import (
    ALONE,
    RESULTS,
    ROOT,
    chosen,
    circumstances,
    commit,
    environment,
    mistake,
    options,
    read_results,
    scratch_project,
    write_results,
)

# One line per set: `path` below DATA_FOLDER, `init` what is said to pipeline.init beside it, `settings` what both
# commands after it are told; or `conf`, the file of conf/data used instead of init.
_AFTERWARDS = (  # compas: known only after the two years, or the score of another tool
    "id,is_recid,r_charge_degree,r_days_from_arrest,r_offense_date,r_charge_desc,r_jail_in,r_jail_out,violent_recid,"
    "is_violent_recid,vr_charge_degree,vr_offense_date,vr_charge_desc,decile_score,decile_score.1,score_text,"
    "v_decile_score,v_score_text,in_custody,out_custody,priors_count.1,start,end,event"
)
SETS: dict[str, dict[str, str]] = {
    "fashion_mnist": {"path": "fashion_mnist"},
    "cifar10_jpg": {"path": "cifar10_jpg/cifar10_jpg.tar.xz"},
    "hymenoptera": {"path": "hymenoptera/hymenoptera_256.tar"},
    "sst2": {"path": "sentence_cls/stsa.binary.train.gz"},
    "sms_spam": {"path": "sms_spam/sms.tsv.gz", "init": "target=column_1"},
    "banking77": {"path": "banking77", "init": "target=category"},
    "review_polarity": {"path": "review_polarity/review_polarity.tar.gz"},
    "arrowhead": {"path": "ucr_uea/ArrowHead"},
    "basicmotions": {"path": "ucr_uea/BasicMotions"},
    "covid3month": {"path": "ucr_uea/Covid3Month"},
    "gunpoint": {"path": "ucr_uea/GunPoint"},
    "italypowerdemand": {"path": "ucr_uea/ItalyPowerDemand"},
    "japanesevowels": {"path": "ucr_uea/JapaneseVowels"},
    "pickupgesturewiimotez": {"path": "ucr_uea/PickupGestureWiimoteZ"},
    "etth1": {"path": "ett/ETTh1.csv", "init": "target=[HUFL,HULL,MUFL,MULL,LUFL,LULL,OT] horizon=96",
              "settings": "data.steps=[8640,2880,2880]"},
    "m4_hourly": {"path": "m4_hourly", "init": "horizon=48"},
    "adult": {"path": "adult", "conf": "adult"},
    "compas": {
        "path": "compas/compas-scores-two-years_nonames.csv.gz",
        "init": "target=two_year_recid sensitive=[sex,race]",
        "settings": f"data.exclude=[{_AFTERWARDS}]",
    },
    "german_credit": {"path": "german_credit/german_data_credit.csv", "init": "target=class-label sensitive=[sex]"},
    "california_housing": {"path": "california_housing/housing.csv.gz", "init": "target=median_house_value"},
    "wine_quality": {
        "path": "wine_quality/winequality-white.csv",
        "init": "target=column_12 task=regression",
    },
}  # fmt: skip
DEFAULTS = {"only": "", "experiment": True, "seconds": 60, "train_seconds": 60, "again": False,
            "out": RESULTS / "own_data.json"}  # fmt: skip
_TAIL = 12


class StepError(Exception):
    """A command of a set that did not end well."""

    def __init__(self, step: str, code: int, tail: list[str]) -> None:
        super().__init__(f"{step}: exit {code}")
        self.record = {"step": step, "code": code, "tail": tail}


class Steps:
    """The commands of one set, run in one scratch copy; what is kept of them names no place of this machine."""

    def __init__(self, top: Path, data: Path) -> None:
        self.top = top
        named = {data: "DATA_FOLDER", top: ".", ROOT: "PROJECT", sys.prefix: "VENV", sys.base_prefix: "PYTHON"}
        self._hidden = {str(Path(place).resolve()): name for place, name in named.items()}

    def run(self, step: str, command: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
        """Run `python -m …`; return its record and its lines."""
        done = measured([sys.executable, "-m", *command], self.top, environment())
        shown = self.hide(f"python -m {shlex.join(command)}").replace("python -m dvc ", "dvc ")
        lines = [line.rstrip() for line in self.hide(done.output).replace("\r", "\n").splitlines() if line.strip()]
        if done.code:
            raise StepError(step, done.code, [f"$ {shown}", *lines[-_TAIL:]])
        tree = None if done.tree_mb is None else round(done.tree_mb)
        return {"command": shown, "seconds": round(done.seconds, 1), "largest_mb": round(done.largest_mb),
                "tree_mb": tree}, lines  # fmt: skip

    def inside(self, name: str, arguments: Sequence[str], *beside: str) -> list[str]:
        """Copy a script of benchmarks/inside (and those it imports) here; return what follows `python -m`."""
        for script in (name, *beside):
            shutil.copy(ROOT / "benchmarks" / "inside" / f"{script}.py", self.top)
        return [name, *arguments]

    def hide(self, text: str) -> str:
        """Return text without the places of this machine."""
        for place, name in self._hidden.items():
            text = text.replace(place, name)
        return text

    def read(self, name: str) -> Any:
        """Return a JSON file of the scratch copy."""
        return json.loads((self.top / name).read_text(encoding="utf-8"))


def one_set(name: str, spec: Mapping[str, str], data: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Take one data set from its path to a report (or, without experiment, to prepared rows); return the record."""
    path = data / spec["path"]
    record: dict[str, Any] = {"status": "done" if path.exists() else "not there", "circumstances": circumstances()}
    if not path.exists():
        return record
    try:
        with scratch_project() as top:
            steps = Steps(top, data)
            settings = _settings(steps, record, name, spec, path)
            record["prepare"], _ = steps.run("prepare", ["pipeline.prepare", *settings])
            record["data"] = card(steps.read("artifacts/prepare/fit/dataset.json"))
            if asked["experiment"]:
                record["experiment"] = experiment(steps, settings, asked)
    except StepError as failed:
        record |= {"status": "failed", "failure": failed.record}
    return record


def _settings(steps: Steps, record: dict[str, Any], name: str, spec: Mapping[str, str], path: Path) -> list[str]:
    """Run init, or take the shipped file; return the settings of the commands that follow."""
    more = spec.get("settings", "").split()
    if "conf" in spec:
        return [f"data={spec['conf']}", f"data.path={path}", *more]
    own = f"own_{name}"  # some names are those of shipped files
    record["init"], lines = steps.run(
        "init", ["pipeline.init", str(path), f"name={own}", *spec.get("init", "").split()]
    )
    told = [line.partition("│")[2].strip() for line in lines]
    record["init"]["said"] = [line for line in told if not line.startswith(("written:", "next:", "then:"))]
    return [f"data={own}", *more]


def card(of: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table shows of a dataset card."""
    return {"kind": of["inputs"]["kind"], "task": of["task"], "classes": len(of["classes"]), "rows": of["rows"],
            "targets": len(of["targets"]), "notes": of["notes"]}  # fmt: skip


def experiment(steps: Steps, settings: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Search, train and report within the budgets; return the outcome."""
    told = [*settings, f"search.seconds={asked['seconds']}", f"train.seconds={asked['train_seconds']}", *ALONE]
    record, _ = steps.run("experiment", ["dvc", "exp", "run", *(part for s in told for part in ("-S", s))])
    _, summary = steps.run("summary", ["pipeline.report", "--summary"])
    report = steps.read("reports/report.json")
    head = report["headline"]
    return record | {
        "metric": head["metric"],
        "score": numbers(at(report, head["score"])),
        "baseline_name": head.get("baseline_name"),
        "baseline": numbers(at(report, head["baseline"])) if "baseline" in head else None,
        "gain": numbers(at(report, head["gain"])) if "gain" in head else None,
        "verdict": head["verdict"],
        "winner": head["winner"],
        "trials": report["search"]["counts"],
        "summary": summary,
        "metrics": steps.read("reports/metrics.json"),
    }


def at(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer names."""
    for part in pointer.removeprefix("/").split("/"):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def numbers(of: Mapping[str, Any]) -> dict[str, Any]:
    """Return value and interval of a number of the report."""
    return {key: of.get(key) for key in ("value", "ci_low", "ci_high", "ci_level", "n", "reason")}


def main(arguments: Sequence[str], sets: Mapping[str, Mapping[str, str]] = SETS) -> int:
    """Measure the sets asked for, one after the other; return 1 if any failed."""
    data, asked = options(arguments, DEFAULTS)
    if not data.is_dir():
        raise mistake(f"{data}: no folder", "give the folder with the data sets")
    names = chosen(asked["only"], sets)
    failed = 0
    for name in names:
        settings = {"set": dict(sets[name])} | {k: asked[k] for k in ("experiment", "seconds", "train_seconds")}
        marks = {"settings": settings, "commit": commit()}
        old = read_results(asked["out"]).get(name, {"status": "not there"})
        if old["status"] != "not there" and not asked["again"] and all(old[k] == v for k, v in marks.items()):
            say(f"{name}: there already ({old['status']})")
            continue
        record = marks | one_set(name, sets[name], data, asked)
        records = read_results(asked["out"]) | {name: record}
        ordered = {
            n: records[n] for n in sorted(records, key=lambda n: list(sets).index(n) if n in sets else len(sets))
        }
        write_results(asked["out"], ordered, render(ordered))
        say(f"{name}: {record['status']} {record.get('failure', {}).get('tail', [''])[-1]}".strip())
        failed += record["status"] == "failed"
    return int(failed > 0)


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
