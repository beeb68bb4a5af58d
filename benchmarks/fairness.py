"""Groups on real data: what the audit says of defaults, what mitigation costs, and whether published gaps reappear.

    python benchmarks/fairness.py DATA_FOLDER [only=name,name] [seconds=25] [search=45] [bound=0.15]
                                  [out=benchmarks/results/fairness.json] [again=yes|no]

Each set runs in a scratch copy of the project, on one thread: prepare; the default of the space is trained for
`seconds` as groups are, and where the set says so once more with each value of `optimizer.groups`; evaluate and
fairness look at the test rows. All trainings of a set predict the same rows, so differences are paired. `adult_bound`
searches for `search` seconds with `search.constraints.equalized_odds_gap=bound` and all values of `optimizer.groups` in
the space.
COMPAS is audited twice: the scores it gave itself, beside what ProPublica published of them (Larson et al. 2016), and a
network of ours that has neither race nor sex among its inputs.
"""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from own_data import StepError, Steps, numbers, say
from scratch import (
    ALONE,
    RESULTS,
    chosen,
    circumstances,
    circumstances_lines,
    commit,
    markdown,
    merge,
    one_thread,
    options,
    scratch_project,
    there_already,
)

KINDS = ("reweighed", "balanced", "worst")
ADULT = {"path": "adult", "conf": None, "settings": "data=adult ~data.sensitive.age_band"}
SETS: dict[str, dict[str, Any]] = {
    "adult": ADULT | {"mitigation": KINDS},
    "adult_bound": ADULT | {"search": True},
    "compas": {
        "path": "compas",
        "file": "compas-scores-two-years_nonames.csv.gz",
        "mitigation": KINDS,
        "conf": {"target": "two_year_recid", "classes": ["0", "1"], "sensitive": {
            "race": {"column": "race"}, "sex": {"column": "sex"}}},
        "keep": ["age", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count", "c_charge_degree"],
    },
    "german_credit": {
        "path": "german_credit",
        "file": "german_data_credit.csv",
        "conf": {"target": "class-label", "sensitive": {
            "age": {"column": "age", "edges": [26]}, "sex": {"column": "sex"}}},
    },
    "student": {
        "path": "student",
        "file": "student_por_new.csv",
        "conf": {"target": "class", "classes": ["Low", "High"], "exclude": ["G1", "G2"], "sensitive": {
            "sex": {"column": "sex"}, "age": {"column": "age", "edges": [18]}}},
    },
}  # fmt: skip
PUBLISHED = {
    ("false_positive_rate", "African-American"): 0.4485,
    ("false_positive_rate", "Caucasian"): 0.2345,
    ("true_positive_rate", "African-American"): 1 - 0.2799,
    ("true_positive_rate", "Caucasian"): 1 - 0.4772,
}
"""Of ProPublica's table for all defendants; true positive rates are one minus the published false negative rates."""
DEFAULTS = {"only": "", "seconds": 25, "search": 45, "bound": 0.15, "again": False, "out": RESULTS / "fairness.json"}


def one_set(spec: Mapping[str, Any], data: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Train and audit a set; return the record."""
    path = data / spec["path"]
    if not path.exists():
        return {"status": "not there"}
    try:
        with scratch_project() as top:
            steps = Steps(top, data)
            told = settings_of(spec, path, top)
            steps.run("prepare", ["pipeline.prepare", *told])
            record: dict[str, Any] = {
                "status": "done",
                "rows": steps.read("artifacts/prepare/fit/dataset.json")["rows"],
            }
            if spec.get("search"):
                return record | bounded(steps, told, asked)
            kinds = ("none", *spec.get("mitigation", ()))
            for kind in kinds:
                record |= trained(steps, told, kind, asked)
            if len(kinds) > 1:
                steps.run("ways", steps.inside("ways", kinds))
                record["trade_offs"] = [trade(t) for t in steps.read("ways.json")]
            if spec["path"] == "compas":
                steps.run("scores", steps.inside("compas_scores", [str(path / spec["file"])]))
                record["published"] = published(steps.read("compas_scores.json"))
            return record
    except StepError as failed:
        return {"status": "failed", "failure": failed.record}


def settings_of(spec: Mapping[str, Any], path: Path, top: Path) -> list[str]:
    """Return the settings of a set; one without a shipped file gets one, and its rows as its split.json says."""
    if spec["conf"] is None:
        return [*spec["settings"].split(), f"data.path={path}"]
    table, split = pd.read_csv(path / spec["file"], dtype=str), json.loads((path / "split.json").read_text())
    kept = table.index
    if spec["path"] == "compas":  # ProPublica's own filter; split.json holds places of the whole file
        days = pd.to_numeric(table["days_b_screening_arrest"])
        kept = table.index[(days.abs() <= 30) & (table["is_recid"] != "-1") & (table["c_charge_degree"] != "O")]
    named = [spec["conf"]["target"], *(s["column"] for s in spec["conf"]["sensitive"].values())]
    columns = list(dict.fromkeys([*spec["keep"], *named])) if "keep" in spec else list(table.columns)
    held = table.index.isin(split["test"])
    (top / "own").mkdir()
    for name, rows in (("train", kept[~held[kept]]), ("test", kept[held[kept]])):
        table.loc[rows, columns].to_csv(top / "own" / f"{name}.csv", index=False)
    conf = {"name": spec["path"], "format": "csv", "path": str(top / "own"), "train_file": "train.csv",
            "test_file": "test.csv", "duplicates": "keep", **spec["conf"]}  # fmt: skip
    head = {"defaults": ["/base/data@_here_", {"override /space@_global_.space": "table"}]}
    (top / "conf" / "data" / "own.yaml").write_text(json.dumps(head | conf))  # JSON is YAML
    return ["data=own"]


def trained(steps: Steps, told: Sequence[str], kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Train the default with one value of optimizer.groups, keep its predictions; return the audit of the plain one."""
    steps.run("hand on", steps.inside("hand_on", ["", *told, f"+space.optimizer.groups={kind}"]))
    steps.run("train", ["pipeline.train", *told, f"train.seconds={asked['seconds']}", *ALONE, "trainer=cpu"])
    steps.run("evaluate", ["pipeline.evaluate", *told, "evaluate.baselines=[constant]", "evaluate.robustness=[]"])
    (steps.top / "runs").mkdir(exist_ok=True)
    shutil.copy(steps.top / "artifacts/evaluate/predictions.parquet", steps.top / "runs" / f"{kind}.parquet")
    if kind != "none":
        return {}
    steps.run("fairness", ["pipeline.fairness", *told])
    groups, scores = steps.read("artifacts/fairness/groups.json"), steps.read("artifacts/evaluate/scores.json")
    return {
        "accuracy": numbers(scores["metrics"]["accuracy"]),
        "tests": groups["tests"],
        "audits": [audit(item) for item in groups["audits"] if " and " not in item["feature"]],
        "pairs": sum(" and " in item["feature"] and item["verdict"] == "disparity_found" for item in groups["audits"]),
        "thresholds": [trade(t) for t in groups["trade_offs"]],
        "proxies": [{"feature": p["feature"], "source": p["source"], "auroc": numbers(p["auroc"]),
                     "columns": p["columns"][:2]} for p in groups["proxies"]],
    }  # fmt: skip


def bounded(steps: Steps, told: Sequence[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Search under a bound on the gap; return what the search says and what the test rows say."""
    own = [*told, f"search.constraints.equalized_odds_gap={asked['bound']}", f"search.seconds={asked['search']}",
           "+space.optimizer.groups={choice:[none,reweighed,balanced,worst]}", "trainer=cpu"]  # fmt: skip
    steps.run("search", ["pipeline.search", *own])
    steps.run("train", ["pipeline.train", *own, f"train.seconds={asked['seconds']}", *ALONE])
    steps.run("evaluate", ["pipeline.evaluate", *own, "evaluate.baselines=[constant]", "evaluate.robustness=[]"])
    search, scores = steps.read("artifacts/search/search.json"), steps.read("artifacts/evaluate/scores.json")
    best = search["trials"][search["best"]]
    return {
        "accuracy": numbers(scores["metrics"]["accuracy"]),
        "trials": len(search["trials"]),
        "groups": best["candidate"]["optimizer"]["groups"],
        "bounds": [{"name": c["name"], "bound": c["bound"], "search": c["search"], "test": numbers(c["test"]),
                    "verdict": c["verdict"]} for c in scores["constraints"]],
    }  # fmt: skip


def audit(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of one metric of one feature."""
    rates = {rate["group"]: numbers(rate["rate"]) for rate in item["groups"]}
    worse = [{"group": gap["group"], "gap": numbers(gap["gap"]), "p": gap["p_adjusted"], "words": gap["words"]}
             for gap in item["gaps"] if gap["words"].startswith("disadvantaged")]  # fmt: skip
    return {"feature": item["feature"], "metric": item["metric"], "verdict": item["verdict"], "rates": rates,
            "disadvantaged": worse}  # fmt: skip


def trade(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return one trade-off with fewer fields."""
    decisions = [{"name": d["name"], "error": numbers(d["error"]), "gap": numbers(d["gap"]), "front": d["front"]}
                 for d in item["decisions"]]  # fmt: skip
    return {"feature": item["feature"], "gap": item["gap"], "decisions": decisions,
            "moves": [move["words"] for move in item["moves"]]}  # fmt: skip


def published(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the audit of COMPAS's own scores measures beside what was published."""
    rates = {(a["metric"], r["group"]): numbers(r["rate"]) for a in record["audits"] for r in a["groups"]}
    return [{"metric": metric, "group": group, "published": value, "measured": rates[metric, group],
             "inside": rates[metric, group]["ci_low"] <= value <= rates[metric, group]["ci_high"]}
            for (metric, group), value in PUBLISHED.items()]  # fmt: skip


def shown(number: Mapping[str, Any], digits: int = 3) -> str:
    """Return a number with its interval, or why there is none."""
    if number["value"] is None:
        return f"– ({number['reason']})"
    limits = "" if number["ci_low"] is None else f" [{number['ci_low']:.{digits}f}, {number['ci_high']:.{digits}f}]"
    return f"{number['value']:.{digits}f}{limits}"


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Markdown page of all records."""
    lines = ["# Groups on real data", "", "Written by `python benchmarks/fairness.py`. Test rows; intervals are of "
             "95 %. One training of each: another seed gives other numbers.", ""]  # fmt: skip
    for name, r in records.items():
        lines += [f"## {name}", ""]
        if r["status"] != "done":
            lines += [r["status"] + " " + " ".join(r.get("failure", {}).get("tail", [""])[-1:]), ""]
            continue
        told = f"{r['rows']['test']:,} test rows, trained for {r['settings']['seconds']} seconds at most"
        lines += [f"{told}: accuracy {shown(r['accuracy'])}.", ""]
        lines += of_bounds(r) if "bounds" in r else of_audits(r)
    done = [r for r in records.values() if r["status"] == "done"]
    return "\n".join([*lines, *circumstances_lines(done)]) + "\n"


def of_bounds(r: Mapping[str, Any]) -> list[str]:
    """Return the lines of a search under a bound."""
    rows: list[Sequence[object]] = [
        ["bound", "at most", "in the search", "on test rows", "verdict", "groups", "trials"]
    ]
    rows += [[b["name"], b["bound"], f"{b['search']:.3f}" if b["search"] is not None else "–", shown(b["test"]),
              b["verdict"], r["groups"], r["trials"]] for b in r["bounds"]]  # fmt: skip
    return [*markdown(rows), ""]


def of_audits(r: Mapping[str, Any]) -> list[str]:
    """Return the lines of an audit, of mitigation, of probes, and of published rates."""
    rows: list[Sequence[object]] = [["feature", "metric", "by group", "verdict", "disadvantaged"]]
    for a in r["audits"]:
        rates = "; ".join(f"{group} {shown(rate)}, n {rate['n']}" for group, rate in a["rates"].items())
        said = "; ".join(f"{d['group']} {shown(d['gap'])}" for d in a["disadvantaged"])
        rows.append([a["feature"], a["metric"].replace("_", " "), rates, a["verdict"].replace("_", " "), said])
    lines = [f"{r['tests']} tests corrected together; {r['pairs']} metrics of pairs of features with a disparity.", "",
             *markdown(rows), ""]  # fmt: skip
    for t in [*r["thresholds"], *r.get("trade_offs", [])]:
        ways = "; ".join(f"{d['name']}: error {shown(d['error'], 4)}, gap {shown(d['gap'])}{', front' * d['front']}"
                         for d in t["decisions"])  # fmt: skip
        lines += [f"* **{t['gap'].replace('_', ' ')} by {t['feature']}**: {ways}", *(f"    * {w}" for w in t["moves"])]
    lines += [f"* probe of {p['feature']} from {p['source']}: area {shown(p['auroc'])}"
              + "".join(f", {name} alone {area:.2f}" for name, area in p["columns"]) for p in r["proxies"]]  # fmt: skip
    for p in r.get("published", []):
        lines.append(f"* COMPAS's own scores, {p['metric'].replace('_', ' ')} of {p['group']}: published "
                     f"{p['published']:.4f}, measured {shown(p['measured'], 4)}, "
                     f"{'inside' if p['inside'] else 'NOT inside'} the interval")  # fmt: skip
    return [*lines, ""]


def main(arguments: Sequence[str], sets: Mapping[str, Mapping[str, Any]] = SETS) -> int:
    """Measure the sets asked for, one after the other; return 1 if any failed."""
    data, asked = options(arguments, DEFAULTS)
    names, order = (
        [n.replace("+", ", ") for n in chosen(asked["only"], [k.replace(", ", "+") for k in sets])],
        list(sets),
    )
    one_thread()
    failed = 0
    for name in names:
        marks = {"settings": {"set": name} | {k: asked[k] for k in ("seconds", "search", "bound")}, "commit": commit()}
        if not asked["again"] and there_already(asked["out"], name, marks):
            say(f"{name}: there already")
            continue
        record = marks | {"circumstances": circumstances()} | one_set(sets[name], data, asked)
        merge(asked["out"], name, record, order.index, render)
        say(f"{name}: {record['status']} {record.get('failure', '')}")
        failed += record["status"] == "failed"
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
