"""Does every family learn what it is made for? Each one's default beside the simplest predictor, on real data.

    python benchmarks/families.py DATA_FOLDER [only=set,set] [family=name,name] [seconds=20]
                                  [out=benchmarks/results/families.json] [again=yes|no]

Each family is trained on one set of every kind of data it reads (series and tables: one of classes, one of numbers)
with the default of its branch in search_spaces/, for so many seconds on one thread, one seed, no search. Beside its
test score stands the predictor that knows the training labels alone: the majority class, the mean, and for forecasts
the training mean at every step. "Beats" needs the whole paired interval of the difference above 0. Records are merged
into the JSON file, one per set and family, and the page beside it is written anew.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from defaults import UCR, hand_on
from own_data import StepError, Steps, numbers, say
from scratch import (
    RESULTS,
    ROOT,
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

SETS: dict[str, dict[str, Any]] = {
    "digits": {"space": "image", "path": None, "settings": "data=digits"},
    "sms_spam": {"space": "text", "path": "sms_spam", "settings": "data=sms_spam"},
    "JapaneseVowels": {"space": "series", "path": "ucr_uea/JapaneseVowels", "settings": UCR.format("JapaneseVowels")},
    # Two test rows stand among the training rows too.
    "Covid3Month": {"space": "series", "path": "ucr_uea/Covid3Month",
                    "settings": UCR.format("Covid3Month") + " data.duplicates=drop"},
    "etth1": {"space": "forecast", "path": "ett", "settings": "data=etth1"},
    "adult": {"space": "table", "path": "adult", "settings": "data=adult"},
    "california_housing": {"space": "table", "path": "california_housing", "settings": "data=california_housing"},
}  # fmt: skip
# Families without a branch in the space of a kind they read: their one field without a default, as a setting.
BRANCHES = {"image": {"cnn": "+space.architecture.cnn={width: 32}",
                      "transformer": "+space.architecture.transformer={width: 64}"}}  # fmt: skip
DEFAULTS = {"only": "", "family": "", "seconds": 20, "again": False, "out": RESULTS / "families.json"}


def families_of(space: str) -> list[str]:
    """Return the families that are measured on data of a space: its branches, and those of BRANCHES."""
    text = (ROOT / "search_spaces" / f"{space}.yaml").read_text(encoding="utf-8")
    return [k for k in yaml.safe_load(text)["architecture"] if k != "default"] + list(BRANCHES.get(space, {}))


def one_set(spec: Mapping[str, Any], families: Sequence[str], data: Path, seconds: int) -> Iterator[dict[str, Any]]:
    """Prepare the set once; yield the record of each family."""
    path = data / spec["path"] if spec["path"] else None
    if path is not None and not path.exists():
        yield from ({"status": "not there"} for _ in families)
        return
    told = [*spec["settings"].split(), *([f"data.path={path}"] if path else [])]
    with scratch_project() as top:
        steps = Steps(top, data)
        try:
            steps.run("prepare", ["pipeline.prepare", *told])
        except StepError as failed:
            yield from ({"status": "failed", "failure": failed.record} for _ in families)
            return
        for family in families:
            branch = BRANCHES.get(spec["space"], {}).get(family)
            try:
                yield {"status": "done"} | one_family(steps, [*told, *([branch] if branch else [])], family, seconds)
            except StepError as failed:
                yield {"status": "failed", "failure": failed.record}


def one_family(steps: Steps, told: Sequence[str], family: str, seconds: int) -> dict[str, Any]:
    """Train the family's default and score it beside the simplest predictor."""
    candidate = hand_on(steps, told, family)
    steps.run("train", ["pipeline.train", *told, f"train.seconds={seconds}", "trainer=cpu"])
    steps.run("evaluate", ["pipeline.evaluate", *told, "evaluate.baselines=[constant]"])
    model, scores = steps.read("artifacts/train/card.json"), steps.read("artifacts/evaluate/scores.json")
    metric, simple = scores["headline"], scores["baselines"][0]
    found = {"task": steps.read("artifacts/prepare/fit/dataset.json")["task"], "candidate": candidate, "metric": metric}
    if found["task"] == "forecast":
        found["last_value"] = numbers(simple["gain"])
        steps.inside("training_mean", told)
        simple = {"name": "training_mean"} | steps.read("training_mean.json")
    return found | {
        "rows": steps.read("artifacts/prepare/fit/dataset.json")["rows"],
        "seconds": round(model["seconds"], 1),
        "passes": passes(model),
        "parameters": model["parameters"],
        "score": numbers(scores["metrics"][metric]),
        "predictor": simple["name"],
        "predictor_score": numbers(simple["metrics"][metric]),
        "gain": numbers(simple["gain"]),
    }


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
