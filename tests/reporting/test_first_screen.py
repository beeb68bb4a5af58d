"""The first screen, the regulatory map, the glossary, and how much of long lists is shown."""

import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.core.contracts import AuditFeature, Provenance, RobustnessRecord
from pipeline.core.errors import ConfigError
from pipeline.core.settings import FairnessSettings, ReportSettings, ScopeSettings
from pipeline.core.strict import plain, read
from pipeline.metrics.disparity import audit
from pipeline.metrics.scores import class_scores
from pipeline.reporting import Records, document, render
from pipeline.reporting.caps import CLASSES, PAIRS, TRIALS, confused_pairs, evenly, least, showing, trials_shown
from pipeline.reporting.glance import SEVERITIES, asked_words, groups_line
from pipeline.reporting.glossary import TERMS, Glossary, identity
from pipeline.reporting.page import search_figure
from pipeline.reporting.pictures import series_figure
from tests.reporting.records import records

BEHIND = [
    Provenance(stage="train", command="x", digests={}, seed=7, code="c", versions={"python": "3.12", "torch": "2.13"})
]


def made(found: Records, purpose: str = "To sort post") -> dict[str, Any]:
    body = document(ReportSettings(title="t", purpose=purpose), found, BEHIND)
    loaded: dict[str, Any] = json.loads(json.dumps(plain(body), allow_nan=False))
    return loaded


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def unequal(role: str) -> Records:
    """Return records where rows of group "few" are predicted wrong far more often."""
    rng = np.random.default_rng(3)
    y = rng.integers(2, size=900)
    few = np.arange(900) % 3 == 0
    predicted = np.where(rng.random(900) < np.where(few, 0.4, 0.05), 1 - y, y)
    feature = AuditFeature(name="age", role=role, source="column age", groups=("few", "rest"))  # type: ignore[arg-type]
    groups = {"age": np.where(few, "few", "rest").astype(object)}
    found = audit((feature,), groups, y, predicted, ("no", "yes", "third"), FairnessSettings(), 1)
    return replace(records(), fairness=found)


def test_what_was_asked_names_task_aims_and_bounds() -> None:
    found = records()
    assert asked_words(found.card, found.search, found.front) == (
        "Say to which of 3 classes each image belongs; lowest log loss on validation rows, within bounds: "
        "weights at most 2,000, calibration error (ECE) at most 0.125"
    )
    free = replace(found.search, constraints={})
    both = replace(found.front, declared=True)
    assert asked_words(found.card, free, both) == (
        "Say to which of 3 classes each image belongs; lowest log loss and multiply-adds a row on validation rows"
    )
    tags = replace(found.card, task="multilabel")
    assert asked_words(tags, free, found.front).startswith("Say which of 3 labels each image has; ")


def test_bounds_that_do_not_hold_are_named() -> None:
    whole = records()
    assert made(whole)["glance"]["bounds"] == {
        "verdict": "warn", "words": "1 of 2 hold on test rows; cannot tell: calibration error (ECE)"
    }  # fmt: skip
    weights, error = whole.scores.constraints
    broken = replace(
        whole.scores, constraints=(replace(weights, verdict="does not hold"), replace(error, verdict="holds"))
    )
    assert made(replace(whole, scores=broken))["glance"]["bounds"] == {
        "verdict": "fail", "words": "1 of 2 hold on test rows; broken: weights"
    }  # fmt: skip
    none = made(replace(whole, scores=replace(whole.scores, constraints=())))["glance"]["bounds"]
    assert none == {"verdict": "not_assessed", "words": "None were set (search.constraints)"}


def test_the_group_that_fares_worst_is_named_with_its_rows_and_interval() -> None:
    found = made(unequal("sensitive"))
    worst = found["glance"]["groups"]["worst"]
    assert worst["group"] == "few"
    assert found["glance"]["groups"]["verdict"] == "disparity_found"
    gaps = [abs(g["gap"]["value"]) for a in found["fairness"]["audits"] for g in a["gaps"]
            if g["words"].startswith("disadvantaged")]  # fmt: skip
    text = words(render(found))
    at = worst["gap"].rpartition("/")[0].removeprefix("/fairness/audits/").split("/")
    gap = found["fairness"]["audits"][int(at[0])]["gaps"][int(at[2])]
    assert abs(gap["gap"]["value"]) == max(gaps)
    assert "Worst off: few," in text
    assert "n = 300" in text or re.search(r"of n = 1\d\d , against the rest", text)


def test_of_slices_alone_nothing_is_said_of_people() -> None:
    line = groups_line(unequal("slice").fairness)
    assert line["words"].startswith("People: not assessed, none are declared (data.sensitive). Slices of")
    nothing = groups_line(replace(unequal("slice").fairness, audits=()))
    assert nothing["verdict"] == "not_assessed"
    assert nothing["worst"] is None


def test_warnings_stand_by_severity_and_the_rule_is_told() -> None:
    whole = unequal("sensitive")
    found = made(replace(whole, card=replace(whole.card, notes=("one", "two", "three"))))
    ranks = [SEVERITIES.index(warning["severity"]) for warning in found["warnings"]]
    assert ranks == sorted(ranks)
    assert {SEVERITIES[1], SEVERITIES[5]} <= {warning["severity"] for warning in found["warnings"]}
    page = render(found)
    assert f"By severity: {'; '.join(found['glance']['rule'])}. {found['glance']['order']}." in words(page)
    first = page[: page.index("<main")]
    assert len(re.findall(r'<li data-json-pointer="', first.partition("more to know</summary>")[0])) == 5
    assert all(warning["text"] in words(first) for warning in found["warnings"])


def test_the_map_is_filled_from_the_run_and_says_what_a_person_has_to_write() -> None:
    found = made(unequal("sensitive"))
    act, nist = found["regulatory"]["frameworks"]
    points = {point["point"]: point for point in (*act["points"], *nist["points"])}
    assert [p["point"] for p in act["points"]] == [
        "1", "2(a)", "2(b)", "2(c)", "2(d)", "2(e)", "2(f)", "2(g)", "2(h)", "3", "4", "5", "6", "7", "8", "9"
    ]  # fmt: skip
    assert points["1"]["found"] == "To sort post; trained on cpu with python 3.12, torch 2.13"
    assert points["2(c)"]["found"] == "cnn with 123 weights; seconds and energy"
    assert points["2(d)"]["found"].startswith("<script>alert(1)</script>: rows 90 train, 90 val, 90 test; SHA-256 0000")
    assert "groups by age" in points["2(g)"]["found"]
    assert points["MEASURE 2.7"]["found"] == "Attacks PGD"
    assert points["MEASURE 2.12"]["state"] == "to be written by a person"  # no energy was measured
    states = Counter(point["state"] for point in points.values())
    assert set(states) == {"from this run", "in part from this run", "to be written by a person"}
    assert all(point["found"] or point["sections"] == [] for point in points.values())
    page = render(found)
    text = words(page)
    assert "Not legal advice, not a conformity assessment" in text
    assert "to be written by a person" in text
    assert not re.search(r"\b20[23]\d\b", page[page.index('id="regulatory"') : page.index('id="provenance"')])
    for point in points.values():
        assert all(f'id="{section}"' in page for section in point["sections"])


def test_what_was_not_assessed_does_not_fill_the_map() -> None:
    quiet = replace(
        records(), robustness=RobustnessRecord(metric="accuracy", rows=0, of=90),
        fairness=replace(records().fairness, audits=()),
    )  # fmt: skip
    points = {p["point"]: p for f in made(quiet, purpose="")["regulatory"]["frameworks"] for p in f["points"]}
    assert "robustness was not assessed" in points["2(g)"]["found"]
    assert "no sensitive feature was declared" in points["2(g)"]["found"]
    assert points["MEASURE 2.7"]["state"] == "to be written by a person"
    assert points["MEASURE 2.11"]["state"] == "to be written by a person"
    assert points["MAP 1.1"]["state"] == "to be written by a person"
    assert points["1"]["by_person"].startswith("the purpose, ")


def test_the_glossary_tells_the_terms_of_the_page_and_no_others() -> None:
    page = render(made(records()))
    linked = set(re.findall(r'<a class="term" href="#([^"]+)">', page))
    told = re.findall(r'<div id="(term-[^"]+)"><dt>', page)
    assert linked == set(told)
    assert len(told) == len(set(told)) > 4
    assert identity("log_loss") in linked
    assert identity("r2") not in linked
    assert len({identity(name) for name in TERMS}) == len(TERMS)
    assert str(Glossary().term("no such term", "<b>")) == "&lt;b&gt;"


def many(count: int) -> Records:
    whole = records()
    first, failed = whole.search.trials
    trials = tuple(
        replace(failed, number=i) if i % 10 == 9 else replace(first, number=i, score=1 / (i + 1)) for i in range(count)
    )
    return replace(whole, search=replace(whole.search, trials=trials))


def test_of_many_trials_the_best_and_some_failures_are_shown() -> None:
    found = made(many(900))
    shown = trials_shown(found["search"])
    assert len(shown) == TRIALS
    assert [place for place, _ in shown] == sorted(place for place, _ in shown)
    assert sum(trial["score"] is None for _, trial in shown) == TRIALS // 4
    assert max(place for place, trial in shown if trial["score"] is not None) == 898
    page = render(found)
    assert "showing 200 of 900 trials" in words(page)
    assert len(found["search"]["trials"]) == 900
    assert search_figure(found["search"]).count("<circle") == 810
    assert "trials.parquet" in page
    assert "trials.parquet" not in render(made(many(50)))


def test_a_figure_of_very_many_trials_says_how_many_it_shows() -> None:
    search = made(many(20))["search"]
    search["trials"] = search["trials"] * 250
    text = str(search_figure(search))
    assert text.count("<circle") == 2000
    assert "a trial where it ended (showing 2,000 of 4,500 trials)" in text


def test_of_many_classes_the_worst_are_shown_and_the_mistakes_made_most_often() -> None:
    names = tuple(f"class {k}" for k in range(400))
    y = np.arange(4000) % 400
    predicted = np.where(np.arange(4000) % 7 == 0, (y + 1) % 400, y)
    counts = np.zeros((400, 400), int)
    np.add.at(counts, (y, predicted), 1)
    whole = records()
    scores = replace(whole.scores, classes=class_scores(y, predicted, names, 0.95),
                     confusion=tuple(tuple(int(n) for n in row) for row in counts))  # fmt: skip
    card = replace(whole.card, classes=names, class_rows={"train": (1,) * 400, "val": (1,) * 400, "test": (10,) * 400})
    found = made(replace(whole, card=card, scores=scores))
    page = render(found)
    assert len(page.encode()) < 1_000_000
    text = words(page)
    assert "showing 100 of 400 classes" in text
    assert "The mistakes made most often, of 400 classes" in text
    kept = least(found["evaluate"]["classes"], "f1")
    assert len(kept) == CLASSES
    worst = max(c["f1"]["value"] for _, c in kept)
    left_out = [c["f1"]["value"] for i, c in enumerate(found["evaluate"]["classes"]) if i not in dict(kept)]
    assert worst <= min(left_out)
    pairs = confused_pairs(found["evaluate"]["confusion"])
    assert len(pairs) == PAIRS
    wrong = counts - np.diag(np.diag(counts))
    assert [n for n, _, _ in pairs] == sorted(wrong[wrong > 0].tolist(), reverse=True)[:PAIRS]


def test_long_series_keep_their_peaks_and_not_their_weight() -> None:
    values = [0.0] * 20_000
    values[777] = 5.0
    maps = [100] * 20_000
    text = str(series_figure([values], [maps], ["a"]))
    assert len(text) < 60_000
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", text)]
    assert min(heights) == 18.0
    assert text.count("<rect") <= 180


def test_lists_are_thinned_evenly_and_say_so() -> None:
    assert evenly(range(5), 9) == [(i, i) for i in range(5)]
    kept = evenly(range(1000), 11)
    assert [i for i, _ in kept] == [0, 100, 200, 300, 400, 500, 599, 699, 799, 899, 999]
    assert showing(24, 4812, "rows") == "showing 24 of 4,812 rows"
    assert showing(5, 5, "rows") == ""


def test_the_largest_page_is_far_below_five_megabytes() -> None:
    found = made(many(2000))
    found["interpret"]["gallery"]["rows"] *= 6
    assert len(render(found).encode()) < 2_000_000


SAID = ScopeSettings(
    intended_use="Sorting post of one town. " * 20,
    out_of_scope="Deciding about people; other towns",
    affected_people="Nobody but readers of post.",
    labels_made_by="Two clerks, each alone",
    human_oversight="A clerk looks at every tenth letter",
)


def scoped(scope: ScopeSettings) -> dict[str, Any]:
    body = document(ReportSettings(title="t", purpose="To sort post", scope=scope), records(), BEHIND)
    found: dict[str, Any] = json.loads(json.dumps(plain(body)))
    return found


def test_what_a_person_declared_stands_in_the_place_of_what_is_to_be_written() -> None:
    found, blank = scoped(SAID), scoped(ScopeSettings())
    assert found["scope"]["labels_made_by"] == "Two clerks, each alone"
    assert not any("report.scope" in gone for gone in found["not_assessed"])
    assert (
        "scope: a person has to write intended use, out of scope, people affected, who made the labels, human "
        "oversight (report.scope)"
    ) in blank["not_assessed"]
    points = {p["point"]: p for f in found["regulatory"]["frameworks"] for p in f["points"]}
    empty = {p["point"]: p for f in blank["regulatory"]["frameworks"] for p in f["points"]}
    assert points["2(d)"]["found"].endswith("; declared who made the labels: Two clerks, each alone")
    assert "labelled" in empty["2(d)"]["by_person"]
    assert points["2(d)"]["by_person"] == "how the data were obtained and selected"
    assert (points["2(e)"]["by_person"], empty["2(e)"]["by_person"]) == ("", "measures of oversight")
    assert points["3"]["found"].endswith("declared people affected: Nobody but readers of post")
    assert "declared intended use: Sorting post" in points["MAP 1.1"]["found"]
    assert "declared" not in empty["1"]["found"]
    text, without = words(render(found)), words(render(blank))
    assert text.count("Sorting post of one town. " * 19) >= 3  # the scope, Annex IV and NIST: whole, not cut
    assert (
        without.count("Nobody has written it yet: intended use, out of scope, people affected, who made the labels,")
        == 1
    )
    partly = words(render(scoped(ScopeSettings(intended_use="Sorting"))))
    assert partly.count("To be written by a person ( report.scope.") == 4
    assert "To be written by a person ( report.scope." not in text


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ({"intended_use": " "}, "report.scope: intended_use is blank; write what it is, or null"),
        ({"out_of_scope": "x" * 4001}, "report.scope: out_of_scope has 4,001 characters, more than 4,000; link to the "
                                       "rest"),
        ({"intended_uses": "x"}, "report.scope: unknown key 'intended_uses'\n  fix: did you mean 'intended_use'?"),
        ({"intended_use": 7}, "report.scope.intended_use: expected a string, got an integer 7"),
    ],
)  # fmt: skip
def test_texts_that_say_nothing_are_refused(scope: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(ReportSettings, {"title": "t", "scope": scope}, "report")
    assert str(caught.value) == message
