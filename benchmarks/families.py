"""Does every family learn what it is made for? Each one's default beside the simplest predictor, on real data.

    python benchmarks/families.py DATA_FOLDER [only=set,set] [family=name,name] [seconds=20]
                                  [out=benchmarks/results/families.json] [again=yes|no]

Each family is trained on one set of every kind of data it reads (series and tables: one of classes, one of numbers)
with the default of its branch in search_spaces/, for so many seconds on one thread, one seed, no search. Beside its
test score stands the predictor that knows the training labels alone: the majority class, the mean, and for forecasts
the training mean at every step. "Beats" needs the whole paired interval of the difference above 0. Records are merged
into the JSON file, one per set and family, and the page beside it is written anew.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from defaults import UCR
from own_data import StepError, Steps, numbers, say
from scratch import (
    ALONE,
    RESULTS,
    ROOT,
    chosen,
    circumstances,
    circumstances_lines,
    commit,
    environment,
    markdown,
    merge,
    one_thread,
    options,
    scratch_project,
    there_already,
)

_TABLE = "data=california_housing ~data.slices.place data.header=false"
SETS: dict[str, dict[str, Any]] = {
    "digits": {"space": "image", "path": None, "settings": "data=digits"},
    "sms_spam": {"space": "text", "path": "sms_spam", "settings": "data=sms_spam"},
    "JapaneseVowels": {"space": "series", "path": "ucr_uea/JapaneseVowels", "settings": UCR.format("JapaneseVowels")},
    # Two test rows stand among the training rows too.
    "Covid3Month": {"space": "series", "path": "ucr_uea/Covid3Month",
                    "settings": UCR.format("Covid3Month") + " data.duplicates=drop"},
    # Made of the set below: eight weeks of daily minima, the mean of the ninth.
    "next_week": {"space": "series", "path": "small_forecast", "made": "next_week",
                  "settings": "data=ucr data.name=next_week data.train_file=train.csv data.test_file=test.csv "
                              "data.target=mean data.task=regression"},
    "min_temperatures": {"space": "forecast", "path": "small_forecast",
                         "settings": "data=etth1 data.name=min_temperatures data.train_file=daily-min-temperatures.csv "
                                     "data.time=Date data.target=[Temp] data.horizon=28 data.window=112 "
                                     "data.season=null data.steps=[] data.gaps=fill"},
    "phoneme": {"space": "table", "path": "phoneme",
                "settings": f"{_TABLE} data.name=phoneme data.train_file=phoneme.csv data.columns=[a,b,c,d,e,label] "
                            "data.target=label data.task=binary data.duplicates=drop"},
    "abalone": {"space": "table", "path": "abalone",
                "settings": f"{_TABLE} data.name=abalone data.train_file=abalone.csv "
                            "data.columns=[sex,length,diameter,height,whole,shucked,viscera,shell,rings] "
                            "data.target=rings data.task=regression"},
}  # fmt: skip
# Families without a branch in the space of a kind they read: their one field without a default, as a setting.
BRANCHES = {"image": {"cnn": ["+space.architecture.cnn={width: 32}"],
                      "transformer": ["+space.architecture.transformer={width: 64}"]}}  # fmt: skip
DEFAULTS = {"only": "", "family": "", "seconds": 20, "again": False, "out": RESULTS / "families.json"}


def families_of(space: str) -> list[str]:
    """Return the families that are measured on data of a space: its branches, and those of BRANCHES."""
    text = (ROOT / "search_spaces" / f"{space}.yaml").read_text(encoding="utf-8")
    return [k for k in yaml.safe_load(text)["architecture"] if k != "default"] + list(BRANCHES.get(space, {}))


def next_week(source: Path, folder: Path) -> None:
    """Write train.csv and test.csv, a line per week: 56 daily minima before it, and its mean; two years are the test.

    Targets of different lines share no day.
    """
    days = pd.read_csv(source / "daily-min-temperatures.csv")["Temp"].to_numpy()
    cut = len(days) - 2 * 365
    for name, starts in (("train", range(56, cut - 6, 7)), ("test", range(cut, len(days) - 6, 7))):
        lines = [[*days[at - 56 : at], days[at : at + 7].mean().round(3)] for at in starts]
        header = [*(f"day_{i}" for i in range(56)), "mean"]
        pd.DataFrame(lines, columns=header).to_csv(folder / f"{name}.csv", index=False)


_MADE = {"next_week": next_week}


def one_set(spec: Mapping[str, Any], families: Sequence[str], data: Path, seconds: int) -> Iterator[dict[str, Any]]:
    """Prepare the set once; yield the record of each family as it is done."""
    path = data / spec["path"] if spec["path"] else None
    if path is not None and not path.exists():
        yield from ({"status": "not there"} for _ in families)
        return
    with scratch_project() as top:
        if path is not None and "made" in spec:
            _MADE[spec["made"]](path, top)
            path = top
        told = [*spec["settings"].split(), *([f"data.path={path}"] if path else [])]
        steps = Steps(top, data)
        try:
            steps.run("prepare", ["pipeline.prepare", *told])
        except StepError as failed:
            yield from ({"status": "failed", "failure": failed.record} for _ in families)
            return
        told += [f"train.seconds={seconds}", *ALONE, "trainer=cpu", "evaluate.baselines=[constant]",
                 "evaluate.robustness=[]"]  # fmt: skip
        own = {family: BRANCHES.get(spec["space"], {}).get(family, []) for family in families}
        while own:
            for found in trained(steps, own, told):
                own.pop(next(iter(own)))
                yield found
            # Ended early: the family that was next has failed, those after it are tried anew.


def trained(steps: Steps, own: Mapping[str, Sequence[str]], told: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the record of each family as it is done; the first that fails is the last."""
    due, other = len(own), []
    command = [sys.executable, "-m", *steps.inside("pairs", [json.dumps(own), *told], "hand_on")]
    with subprocess.Popen(
        command, cwd=steps.top, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("{"):
                other.append(steps.hide(line.rstrip()))
                continue
            due -= 1
            yield {"status": "done"} | record(json.loads(line))
    if due:
        yield {"status": "failed", "failure": {"step": "pairs", "code": process.returncode, "tail": other[-12:]}}


def record(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a family."""
    model = found["model"]
    kept = {key: found[key] for key in ("task", "candidate", "metric", "rows", "predictor")}
    measured = {key: numbers(found[key]) for key in ("score", "predictor_score", "gain", "last_value") if key in found}
    return kept | {"seconds": round(model["seconds"], 1), "passes": passes(model),
                   "parameters": model["parameters"]} | measured  # fmt: skip


def passes(model: Mapping[str, Any]) -> float:
    """Return the passes over the training rows; where the seconds ended them, a note of the card says how many."""
    cut = [m for note in model["notes"] if (m := re.search(r"after ([\d.]+) of \d+ epochs", note))]
    return float(cut[0][1]) if cut else float(model["epochs"][-1]["epoch"])


def beats(record: Mapping[str, Any]) -> bool:
    """Say whether the whole interval of the difference is above 0."""
    low = record["gain"]["ci_low"]
    return low is not None and low > 0


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Markdown page of all records."""
    head = ["family", "data", "set", "train / test rows", "train s", "passes", "weights", "metric", "score",
            "simplest predictor", "its score", "difference", "beats it"]  # fmt: skip
    rows: list[Sequence[object]] = [head]
    ahead: list[Sequence[object]] = [["family", "set", "ahead of the last value"]]
    for key, r in records.items():
        where, family = key.split(", ")
        if r["status"] != "done":
            why = r.get("failure", {}).get("tail", [""])[-1]
            rows.append([family, r["settings"]["set"]["space"], where, r["status"], why, *[""] * 8])
            continue
        kind = r["settings"]["set"]["space"] + (", numbers" if r["task"] == "regression" else "")
        rows.append([
            family, kind, where, f"{r['rows']['train']:,} / {r['rows']['test']:,}", f"{r['seconds']:.0f}",
            f"{r['passes']:g}", f"{r['parameters']:,}", r["metric"], shown(r["score"], ""),
            r["predictor"].replace("_", " "), f"{r['predictor_score']['value']:.4f}", shown(r["gain"], "+"),
            "yes" if beats(r) else "no",
        ])  # fmt: skip
        if "last_value" in r:
            ahead.append([family, where, shown(r["last_value"], "+")])
    done = [r for r in records.values() if r["status"] == "done"]
    return "\n".join([
        "# Every family beside the simplest predictor", "",
        "Written by `python benchmarks/families.py`. The default candidate of each family, one seed, one thread, no "
        "search; brackets hold 95 % intervals, of differences by a bootstrap of pairs on the same test rows "
        f"(forecasts: in blocks). {sum(map(beats, done))} of {len(records)} beat the simplest predictor: "
        "the whole interval of the difference lies above 0.", "", *markdown(rows), "",
        "Skill of forecasts is 1 - MAE / MAE of repeating the last value, which therefore has skill 0:", "",
        *markdown(ahead), "", *circumstances_lines(done),
    ]) + "\n"  # fmt: skip


def shown(number: Mapping[str, Any], sign: str) -> str:
    """Return a number with its interval, or why there is none."""
    if number["value"] is None or number["ci_low"] is None:
        return f"{number['value']} ({number['reason']})"
    return f"{number['value']:{sign}.4f} [{number['ci_low']:{sign}.4f}, {number['ci_high']:{sign}.4f}]"


def main(arguments: Sequence[str], sets: Mapping[str, Mapping[str, Any]] = SETS) -> int:
    """Measure the pairs asked for, set after set; return 1 if any failed."""
    data, asked = options(arguments, DEFAULTS)
    known = {name: families_of(spec["space"]) for name, spec in sets.items()}
    names = chosen(asked["only"], known)
    wanted = chosen(asked["family"], dict.fromkeys(f for found in known.values() for f in found), "family: no family")
    order = [f"{name}, {family}" for name, found in known.items() for family in found]
    one_thread()
    failed = 0
    for name in names:
        marks = {"settings": {"set": dict(sets[name]), "seconds": asked["seconds"]}, "commit": commit()}
        keys = {family: f"{name}, {family}" for family in known[name] if family in wanted}
        there = [] if asked["again"] else [f for f, key in keys.items() if there_already(asked["out"], key, marks)]
        for family in there:
            say(f"{keys.pop(family)}: there already")
        if not keys:
            continue
        around = circumstances()
        for key, record in zip(keys.values(), one_set(sets[name], list(keys), data, asked["seconds"]), strict=True):
            merge(asked["out"], key, marks | {"circumstances": around} | record, order.index, render)
            around = circumstances()
            failed += record["status"] == "failed"
            say(f"{key}: {record['status']} {shown(record['gain'], '+') if 'gain' in record else ''}".strip())
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
