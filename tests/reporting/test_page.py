"""The page: everything from the JSON, nothing foreign alive, every number where it says it stands."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pipeline.core.contracts import Number, Provenance, RobustnessRecord, Threshold
from pipeline.core.settings import ReportSettings
from pipeline.core.strict import plain
from pipeline.evaluation import constraint_checks
from pipeline.metrics.thresholds import curves, decision_table
from pipeline.reporting import document, render, summary_lines
from pipeline.reporting.figures import Line, Scale, capital, forest, line_chart, tick_texts, tick_words
from pipeline.reporting.numbers import passes_of
from pipeline.reporting.page import front_figure, search_figure
from pipeline.reporting.panels import Panel, panels_figure
from pipeline.reporting.words import clean, counted, interval, resolve
from tests.reporting.records import HOSTILE, IMAGE, SERIES, TABLE, TEXT, AnyInputs, records

SETTINGS = ReportSettings(title=f"A {HOSTILE} title", purpose="", include_raw=True)
BEHIND = [Provenance(stage="prepare", command="python -m pipeline.prepare", digests={"artifacts/prepare/fit": "ab"})]


def report(inputs: AnyInputs = IMAGE, role: str = "slice", settings: ReportSettings = SETTINGS) -> dict[str, Any]:
    found = document(settings, records(inputs, role), BEHIND)
    text = json.dumps(plain(found), allow_nan=False)
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded


class Page(HTMLParser):
    """Collects tags, attributes and the text of numbers."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.numbers: list[tuple[str, str]] = []
        self.pointer: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if (pointer := dict(attrs).get("data-json-pointer")) and dict(attrs).get("class") in ("num", "num words"):
            self.pointer = pointer

    def handle_data(self, data: str) -> None:
        if self.pointer:
            self.numbers.append((self.pointer, data))
            self.pointer = None


CASES = pytest.mark.parametrize(
    ("inputs", "role"),
    [(IMAGE, "slice"), (TABLE, "sensitive"), (TEXT, "slice"), (SERIES, "slice")],
    ids=["image", "table", "text", "series"],
)


@CASES
def test_nothing_foreign_comes_alive(inputs: AnyInputs, role: str) -> None:
    text = render(report(inputs, role))
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"script", "iframe", "object", "form", "link", "b"} == set()
    handlers = [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert handlers == []
    assert "{{" not in text.replace("{{ 7*7 }}", "")
    assert "49" not in re.findall(r"c\\u202e(\S+)", text)
    assert "\u202e" not in text
    assert "&lt;script&gt;" in text


@CASES
def test_nothing_is_fetched(inputs: AnyInputs, role: str) -> None:
    page = Page(render(report(inputs, role)))
    sources = [a.get(k) or "" for _, a in page.tags for k in ("src", "href") if k in a]
    assert [s for s in sources if not s.startswith(("data:image/png;base64,", "#"))] == []
    policies = [a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


@CASES
def test_every_number_is_the_one_its_pointer_names(inputs: AnyInputs, role: str) -> None:
    found = report(inputs, role)
    page = Page(render(found))
    assert len(page.numbers) > 60
    for pointer, text in page.numbers:
        target = resolve(found, pointer)
        value = target["value"] if isinstance(target, dict) else target
        if value is None:
            told = (str(target["reason"]),) if isinstance(target, dict) and target["unit"] in ("s", "Wh") else ()
            assert text.startswith(("undefined", "–", *told)), pointer
        else:
            if text.startswith("< "):
                assert 0 <= value < float(text[2:]), pointer
                continue
            digits = len(text.strip().partition(".")[2])
            assert float(text.replace(",", "")) == pytest.approx(value, abs=0.5 / 10**digits + 1e-9), pointer


@CASES
def test_every_number_tells_its_place_when_pointed_at(inputs: AnyInputs, role: str) -> None:
    numbers = [a for _, a in Page(render(report(inputs, role))).tags if a.get("class") in ("num", "num words")]
    assert len(numbers) > 60
    assert all((a["title"] or "").endswith(clean(a["data-json-pointer"])) for a in numbers)
    wilson = next(a["title"] for a in numbers if a["data-json-pointer"] == "/evaluate/metrics/accuracy")
    assert wilson == "95 % Wilson, n = 90; /evaluate/metrics/accuracy"


def test_what_stands_behind_each_stage_is_told_and_harmless() -> None:
    known = Provenance(
        stage="evaluate",
        command=f"python -m pipeline.evaluate 'x={HOSTILE}'",
        digests={"artifacts/evaluate": "ab"},
        params={"seed": 7, "evaluate": {"level": 0.95, "odd": HOSTILE}},
        seed=7,
        code="c0de",
        code_of=("core",),
        versions={"python": "3.12", "torch": "2.13"},
        inputs={"prepare": {"artifacts/prepare/fit": "aa"}, "train": {}},
    )
    text = render(document(SETTINGS, records(), [*BEHIND, known]))
    assert HOSTILE not in text
    for wanted in ("prepare, train", "Seed 7.", "over core: <code>c0de</code>", "Versions: python 3.12, torch 2.13.",
                   "Not recorded: these files", "0" * 64, "\\u003cscript"):  # fmt: skip
        assert wanted in text, wanted


@CASES
def test_every_pointer_resolves(inputs: AnyInputs, role: str) -> None:
    found = report(inputs, role)
    for _, attributes in Page(render(found)).tags:
        if pointer := attributes.get("data-json-pointer"):
            resolve(found, pointer)


@CASES
def test_pictures_have_words_and_headings_have_order(inputs: AnyInputs, role: str) -> None:
    page = Page(render(report(inputs, role)))
    assert all(a.get("alt") for tag, a in page.tags if tag == "img")
    assert all(a.get("aria-label") for tag, a in page.tags if tag == "svg")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert all(a.get("scope") for tag, a in page.tags if tag == "th")
    identities = [a["id"] for _, a in page.tags if "id" in a]
    assert len(identities) == len(set(identities))
    assert {s[1:] for _, a in page.tags if (s := a.get("href")) and s.startswith("#")} <= set(identities)


def test_the_same_records_give_the_same_bytes() -> None:
    assert render(report()) == render(report())


def test_people_and_texts_are_shown_only_where_that_is_declared() -> None:
    quiet = ReportSettings(title="t")
    for inputs, role, shown in ((TABLE, "sensitive", False), (IMAGE, "slice", True), (IMAGE, "sensitive", False),
                                (SERIES, "slice", True), (SERIES, "sensitive", False)):  # fmt: skip
        row = report(inputs, role, quiet)["interpret"]["gallery"]["rows"][0]
        assert ("input" in row, "row_id" in row) == (shown, shown)
    assert report(TEXT, "slice", quiet)["interpret"]["gallery"]["rows"] == []
    assert report(TEXT)["interpret"]["gallery"]["rows"][0]["input"][2] == "plain"
    assert "input" not in report(TABLE, "slice", quiet)["interpret"]["gallery"]["rows"][0]
    assert report(TABLE)["interpret"]["gallery"]["rows"][0]["input"] == ["1", "x"]


def test_tracebacks_stay_out_of_the_report() -> None:
    assert "secret" not in json.dumps(report())


def test_long_curves_are_thinned_and_keep_their_end() -> None:
    epochs = report()["model"]["epochs"]
    assert len(epochs) <= 61
    assert epochs[-1]["epoch"] == 130


def test_the_search_says_who_proposed_and_where_the_seconds_went() -> None:
    found = report()
    assert found["search"]["arms"] == [
        {"origin": "default", "trials": 2, "promoted": 2, "complete": 1, "failed": 1, "best": 0.5}
    ]
    numbers = Page(render(found)).numbers
    assert ("/search/arms/0/best", "0.5000") in numbers
    assert ("/search/phases/1/1", "3.2") in numbers
    found["search"]["phases"] = []
    assert "Where the wall seconds went" not in render(found)


def test_a_default_that_rose_is_shown_with_what_was_measured() -> None:
    found = report()
    page = render(found)
    numbers = Page(page).numbers
    assert ("/search/raised/0/tried/1/passes", "12.0") in numbers
    assert ("/search/raised/0/tried/1/pass_seconds", "2.50") in numbers
    assert page.count("(taken)") == 1
    assert "not measured: " in page
    found["search"]["raised"] = []
    assert "of the first candidate, declared as" not in render(found)


def test_the_terminal_says_score_baseline_winner_report_and_dashboard() -> None:
    text = "\n".join(summary_lines(report()))
    for word in ("test accuracy", "baseline", "(majority)", "winner          cnn: width 8", "reports/report.html",
                 "optuna-dashboard sqlite:///state/optuna.db --artifact-dir state/shown"):  # fmt: skip
        assert word in text
    assert re.search(r"test accuracy   \d\.\d{4} \[\d\.\d{4}, \d\.\d{4}\]", text)


def test_calibration_is_shown_before_and_after_and_a_broken_promise_is_a_warning() -> None:
    found = report()
    text = re.sub(r"<[^>]+>", "", render(found))
    assert "Logits are divided by 1.750, fitted on 90 validation rows." in text
    assert "before the temperature" in text
    assert "Sets that hold the true class: kept" in text
    assert "holds the true one in 0.90 of rows. It is calibrated on 90 validation rows." in text
    assert "if the promise holds, 0.900 [0.800, 0.970] is to be expected" in text
    whole = records()
    assert whole.scores.conformal is not None
    broken = replace(whole.scores, conformal=replace(whole.scores.conformal, verdict="not kept"))
    warned = document(SETTINGS, replace(whole, scores=broken), BEHIND)["warnings"]
    told = "sets that promise to hold the truth in 0.9 of rows hold it less often"
    severity = "probabilities or promised coverage are off"
    kind = "probabilities and promised coverage"
    assert {"text": told, "pointer": "/evaluate/conformal", "severity": severity, "kind": kind} in warned
    none = replace(whole.scores.conformal, verdict="insufficient_evidence", notes=("9 val rows cannot promise 0.9",))
    warned = document(SETTINGS, replace(whole, scores=replace(whole.scores, conformal=none)), BEHIND)["warnings"]
    assert "no sets with a promised coverage: 9 val rows cannot promise 0.9" in [w["text"] for w in warned]


def test_two_classes_have_curves_with_words_and_a_threshold_beside_one_half() -> None:
    held = np.arange(60) % 3 == 0
    p = np.where(held, 0.4, 0.2) + np.arange(60) / 300
    roc, precision_recall = curves(held, p)
    chosen = Threshold(
        value=0.375, chosen_for="f1", rows=44, positive=HOSTILE, metrics=decision_table(held, p >= 0.375, 0.95),
        argmax=decision_table(held, p > 0.5, 0.95), roc=roc, precision_recall=precision_recall,
    )  # fmt: skip
    whole = records()
    found = document(SETTINGS, replace(whole, scores=replace(whole.scores, threshold=chosen)), BEHIND)
    drawn = render(json.loads(json.dumps(plain(found))))
    text = re.sub(r"<[^>]+>", "", drawn)
    assert "The threshold 0.375 was chosen on 44 validation rows for its F1 there" in text
    assert 'aria-label="true against false positive rate of &lt;script&gt;' in drawn
    assert 'aria-label="precision against recall of ' in drawn
    assert ("/evaluate/threshold/metrics/recall", f"{chosen.metrics['recall'].value:.3f} ") in Page(drawn).numbers
    assert "From which probability" not in render(report())


def test_what_the_winner_costs_is_shown_and_an_older_card_is_readable() -> None:
    told = "It takes 1.25 ms (spread 0.50) to predict a batch of 4 on cpu with 1 thread; a training step keeps 7.5 MB"
    current = report()
    assert told in re.sub(r"<[^>]+>", "", render(current))
    assert "123 weights, 456 multiply-adds a row" in current["headline"]["winner"]
    older = current | {"model": current["model"] | {"multiply_adds": None, "activation_mb": None, "latency": None}}
    assert "One prediction takes" in render(older)
    assert "to predict a batch" not in render(older)


def test_speed_and_accuracy_stand_side_by_side_and_say_where_the_ensemble_was_chosen() -> None:
    found = report()
    text = re.sub(r"<[^>]+>", "", render(found))
    assert "Speed and accuracy" in text
    assert "single network1123–" in text
    assert "ensemble2246912" in text
    assert "weighted mean of trial 0 (0.75), trial 3 (0.25)" in text
    assert "on 90 validation rows for its log loss: 0.4500 there, flattered by the choice" in text
    assert "0.5000 of trial 0 alone" in text
    assert re.search(r"^ensemble        \d\.\d{4} \[.*good", "\n".join(summary_lines(found)), re.M)
    assert all("candidate" not in member for member in found["search"]["ensemble"]["members"])
    alone = found | {"evaluate": found["evaluate"] | {"front": found["evaluate"]["front"][:1]}}
    alone["search"] = found["search"] | {"ensemble": found["search"]["ensemble"] | {"members": [], "notes": ["why"]}}
    text = re.sub(r"<[^>]+>", "", render(alone))
    assert "weighted mean" not in text
    assert "Why." in text
    assert not any(line.startswith("ensemble") for line in summary_lines(alone))
    older = found | {"evaluate": found["evaluate"] | {"front": []}}
    assert "Speed and accuracy" not in render(older)


def test_members_that_are_no_networks_are_named_as_that_with_their_shares() -> None:
    found = report()
    text = re.sub(r"<[^>]+>", "", render(found))
    assert "mixed ensemble with gradient boosting (not a network, share 0.62)1246" in text
    assert "Beside the networks gradient boosting (not a network; 0.4800 alone, share 0.62) could be chosen" in text
    assert "the mixed ensemble, with trial 0 (0.38), has 0.4400 on the same rows" in text
    assert "was fitted on 90 of 90 training rows and is fitted again to predict" in text
    assert "Only the first column is a network; baselines are not." in text
    line = next(line for line in summary_lines(found) if line.startswith("mixed ensemble"))
    assert line.endswith("(62% gradient boosting, not a network)")
    mixed = found["search"]["ensemble"]["mixed"]
    assert all("candidate" not in member for member in mixed["members"])
    unused = mixed | {"simple": [mixed["simple"][0] | {"share": 0.0}]}
    unchosen = found | {"search": found["search"] | {"ensemble": found["search"]["ensemble"] | {"mixed": unused}}}
    text = re.sub(r"<[^>]+>", "", render(unchosen))
    assert "could be chosen. What is no network" in text
    assert "the mixed ensemble, with" not in text
    alone = found | {"search": found["search"] | {"ensemble": found["search"]["ensemble"] | {"mixed": None}}}
    assert "could be chosen" not in re.sub(r"<[^>]+>", "", render(alone))


def test_words_are_clean_and_short() -> None:
    assert clean("a\x00b\u202ec") == "a\\u0000b\\u202ec"
    assert len(clean("x" * 500)) == 200
    assert interval({"value": None, "reason": "no_positive_labels", "n": 0}) == "undefined (no positive labels)"
    assert interval({"value": 0.5, "ci_low": 0.25, "ci_high": 0.75, "n": 9}, 2) == "0.50 [0.25, 0.75]"
    assert interval({"value": None, "reason": "not measured", "unit": "Wh", "n": 0}) == "not measured"


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [(-0.0004, -0.003, 0.002, "-0.0004 [-0.0030, 0.0020]"), (-0.0006, None, None, "-0.001"),
     (0.00002, -0.001, 0.001, "0.00002 [-0.00100, 0.00100]"), (-1e-9, -1e-9, 1e-9, "0.000 [0.000, 0.000]"),
     (0.0, 0.0, 0.0, "0.000 [0.000, 0.000]"), (7202.98, None, None, "7,203"),
     (0.25, -0.0001, 1.0, "0.250 [0.000, 1.000]")],
)  # fmt: skip
def test_a_sign_never_stands_before_zeros(value: float, low: float | None, high: float | None, words: str) -> None:
    assert interval({"value": value, "ci_low": low, "ci_high": high, "n": 9}) == words


def test_scales_meet_their_ends_and_ticks_are_round() -> None:
    scale = Scale(0.0, 1.0, 10, 110)
    assert (scale(0.0), scale(1.0), scale(0.5)) == (10, 110, 60)
    assert scale.ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    log = Scale(0.01, 1.0, 0, 100, log=True)
    assert log(0.1) == pytest.approx(50)
    assert log.ticks() == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])


def test_figures_survive_edge_values() -> None:
    assert "no points" in line_chart([Line("a", [], "a")], ("x", "y"), "s")
    flat = line_chart([Line("a", [(1, 0.0), (1, 0.0)], "a")], ("x", "y"), "s", log=True)
    assert "nan" not in flat
    assert "no values" in forest([], None, "s")
    assert "nan" not in forest([("a", 0.5, None, None)], 0.5, "s")


def test_labels_of_a_forest_have_the_room_they_need_and_no_more() -> None:
    """A line of 8 pixels a letter; what is longer than the widest is cut, and the plot begins beside the labels."""
    short_one = str(forest([("ab", 0.5, 0.4, 0.6)], None, "s"))
    long_one = str(forest([("x" * 90, 0.5, 0.4, 0.6)], None, "s"))
    starts = [
        float(found) for text in (short_one, long_one) for found in re.findall(r'class="label" x="([\d.]+)"', text)
    ]
    assert starts == [28.0, 254.0]
    assert "x" * 29 + "…</text>" in long_one
    assert short_one.startswith('<p class="finding" aria-hidden="true">S</p><svg')
    assert str(forest([("ab", 0.5, 0.4, 0.6)], None, "s", titled=False)).startswith("<svg")


def test_a_narrow_range_fills_a_logarithmic_chart() -> None:
    """From 0.29 to 0.30 the points stand near both ends, not in the middle of 0.24 to 0.36."""
    text = str(line_chart([Line("a", [(1, 0.29), (2, 0.30)], "dots")], ("x", "y"), "s", log=True))
    heights = [float(found) for found in re.findall(r'class="dot"[^>]*cy="([\d.]+)"', text)]
    assert heights[0] - heights[1] > 80
    assert all(14 <= height <= 204 for height in heights)


def test_one_trial_is_no_trials_and_a_front_of_one_has_no_picture() -> None:
    found = report()
    one = [trial for trial in found["search"]["trials"] if trial["state"] == "complete"][:1]
    assert str(search_figure(found["search"] | {"trials": one})).startswith(
        '<p class="finding" aria-hidden="true">1 trial in'
    )
    front = found["search"]["front"] | {"members": found["search"]["front"]["members"][:1], "compared": 1}
    assert "less is better on both axes" not in render(found | {"search": found["search"] | {"front": front}})


def test_ticks_that_lie_close_together_have_more_digits() -> None:
    assert tick_texts([251.2, 251.4, 251.6]) == ["251.2", "251.4", "251.6"]
    assert tick_texts([0.0, 20_000.0, 40_000.0]) == ["0", "20 k", "40 k"]


def test_a_training_that_seconds_ended_within_an_epoch_stands_at_its_passes() -> None:
    epochs = [{"epoch": 1}, {"epoch": 2}, {"epoch": 2}]
    assert passes_of({"epochs": epochs, "seeds": [{"passes": 2.75}, {"passes": 1.5}]}) == [1.0, 2.0, 2.75]
    assert passes_of({"epochs": epochs, "seeds": []}) == [1.0, 2.0, 2.0]
    assert passes_of({"epochs": epochs[:2], "seeds": [{"passes": 2.75}]}) == [1.0, 2.0]


def test_names_of_columns_keep_their_letters() -> None:
    assert capital("capital_gain: the probability moves") == "capital_gain: the probability moves"
    assert capital("accuracy by sex") == "Accuracy by sex"
    assert [counted(n, "trial") for n in (0, 1, 1200)] == ["0 trials", "1 trial", "1,200 trials"]


def test_each_bound_has_a_row_with_both_amounts_and_a_verdict() -> None:
    found = report()
    assert [c["name"] for c in found["evaluate"]["constraints"]] == ["parameters", "calibration_error"]
    shown = [pointer for pointer, _ in Page(render(found)).numbers if pointer.startswith("/evaluate/constraints/")]
    assert shown == [f"/evaluate/constraints/{i}/{part}" for i in (0, 1) for part in ("bound", "search", "test")]
    assert "bound           parameters 123, at most 2,000: holds" in summary_lines(found)


def test_a_model_that_breaks_a_bound_is_the_first_warning_and_so_is_a_bound_that_fails_on_test() -> None:
    whole = records()
    closest = replace(whole.search.trials[0], amounts={"parameters": (123.0, 100.0)})
    note = "no feasible model: the closest, trial 0, has parameters 123 above its bound 100"
    search = replace(whole.search, trials=(closest, *whole.search.trials[1:]), constraints={"parameters": 100.0},
                     notes=(note,))  # fmt: skip
    checks = constraint_checks(search, {"parameters": Number(value=123, n=1)})
    found = document(SETTINGS, replace(whole, search=search, scores=replace(whole.scores, constraints=checks)), BEHIND)
    texts = [w["text"] for w in found["warnings"]]
    assert texts[:2] == [note, "weights: the bound 100 does not hold on test rows"]
    assert texts.count(note) == 1
    assert f"warning         {note}" in summary_lines(found)
    page = render(json.loads(json.dumps(plain(found))))
    assert "complete, above a bound" in page
    assert "above a bound" not in render(report())


def front_of(objectives: tuple[str, ...]) -> dict[str, Any]:
    """Return a report whose search minimised these: two trials on the front, one behind it, the default one of them."""
    found = report()
    first = found["search"]["trials"][0]
    amounts = [(0.5, 2000.0, 0.2), (0.9, 100.0, 0.25), (0.7, 3000.0, 0.3)]
    trials = [
        first | {"number": n, "score": s, "objectives": {"parameters": p, "calibration_error": c}}
        for n, (s, p, c) in enumerate(amounts)
    ]
    members = [
        {"number": t["number"], "score": t["score"], "standard_error": 0.01,
         "objectives": {name: t["objectives"][name] for name in objectives[1:]}}
        for t in trials[:2]
    ]  # fmt: skip
    front = found["search"]["front"] | {
        "objectives": list(objectives), "declared": True, "compared": 3, "members": members, "best": 1, "default": 0,
        "reference": [1.0] * len(objectives), "ideal": [0.0] * len(objectives),
    }  # fmt: skip
    found["search"] |= {"trials": trials, "front": front}
    return found


def test_the_front_is_drawn_with_what_was_handed_on_and_the_default() -> None:
    found = front_of(("score", "parameters"))
    drawn = front_figure(found["search"], 1)
    assert 'aria-label="3 finished trials, 2 of them on the front: from 100 weights with log loss 0.9000' in drawn
    assert ' to 2,000 with 0.5000; handed on: 100 with 0.9000"' in drawn
    counts = {mark: drawn.count(f'<circle class="{mark}"') for mark in ("faint", "dot", "chosen", "start")}
    assert counts == {"faint": 3, "dot": 2, "chosen": 1, "start": 1}
    at = re.findall(r'<circle class="(?:chosen|start)" cx="([\d.]+)"', drawn)
    left, right = min(map(float, at)), max(map(float, at))
    path = re.search(r'<path class="line a" d="M([\d.]+) ([\d.]+) L([\d.]+) ([\d.]+) L([\d.]+) ([\d.]+)"', drawn)
    assert path is not None
    x = [float(v) for v in path.groups()]
    assert (x[0], x[2], x[4]) == (left, right, right)  # a step: between two trials nothing was shown to be possible
    assert x[1] == x[3] < x[5]
    page = render(found)
    text = re.sub(r"<[^>]+>", "", page)
    assert "3 trials came to their end within all bounds; 2 of them are on the front" in text
    assert "no other trial is better in log loss and weights at once" in text
    assert "1 (handed on)cnn0.90000.0100100" in text
    numbers = Page(page).numbers
    assert ("/search/front/members/0/objectives/parameters", "2,000") in numbers
    assert ("/search/front/members/1/score", "0.9000") in numbers


def test_three_objectives_have_two_pictures_and_no_line() -> None:
    found = front_of(("score", "parameters", "calibration_error"))
    text = render(found)
    assert "from 100 weights" in text
    assert "from 0.2 calibration error (ECE)" in text
    assert '<path class="line a"' not in front_figure(found["search"], 2)


def test_a_search_of_the_score_alone_says_so_and_without_complete_trials_there_is_no_front() -> None:
    found = report()
    assert "The search minimised the log loss alone" in re.sub(r"<[^>]+>", "", render(found))
    found["search"]["front"]["members"] = []
    assert "on the front" not in render(found)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0001, "0.0001"), (0.5, "0.5"), (123.4, "123"), (2500, "2500"), (200_000, "200 k"), (3_400_000, "3.4 M"),
     (-20_000, "-20 k"), (2e9, "2 G"), (0, "0")],
)  # fmt: skip
def test_numbers_beside_an_axis_are_short(value: float, words: str) -> None:
    assert tick_words(value) == words


def test_settings_that_mattered_and_choices_turned_back_are_shown_or_why_not() -> None:
    found = report()
    settings = [{"name": "optimizer.lr", "share": 0.625, "trials": 30, "of_trials": 1.0},
                {"name": HOSTILE, "share": None, "trials": 3, "of_trials": 0.1}]  # fmt: skip
    found["search"]["importances"] = {"trials": 30, "budget": 0.25, "settings": settings, "reason": ""}
    gone = {"value": None, "n": 0, "reason": "cannot be trained alone"}
    found["model"]["ablation"] = [
        {"name": "architecture.width", "chosen": "8", "default": "4", "standard_error": 0.0125,
         "difference": {"value": 0.0375, "ci_low": 0.0125, "ci_high": 0.0625, "ci_level": 0.95, "ci_method": "m",
                        "n": 90}},
        {"name": "optimizer.lr", "chosen": "1", "default": "2", "standard_error": None, "difference": gone},
    ]  # fmt: skip
    page = render(found)
    text = re.sub(r"<[^>]+>", "", page)
    assert "30 trials with a score at 0.25 of a trial's budget" in text
    assert "optimizer.lr0.625301.00" in text
    assert "insufficient evidence30.10" in text
    assert "architecture.width840.0375 [0.0125, 0.0625]0.0125" in text
    assert "undefined (cannot be trained alone)–" in text
    few = found["search"]["importances"] | {"settings": [], "reason": "insufficient evidence: 4 trials have a score"}
    few_page = render(found | {"search": found["search"] | {"importances": few}})
    assert "insufficient evidence: 4 trials have a score." in few_page
    assert "Which settings mattered" not in render(report())


def test_robustness_has_its_charts_its_tables_and_its_bounds() -> None:
    found = report()
    text = render(found)
    assert "accuracy against severity under 2 corruptions: from 0.889 unchanged to 0.333 (noise) and 0.333" in text
    assert "8/255</th>" in text
    assert "These are upper bounds" in text
    assert "undefined (undefined)" in text
    assert sum("attacks" in gone for gone in found["not_assessed"]) == 1
    quiet = replace(records(), robustness=RobustnessRecord(metric="accuracy", rows=0, of=90))
    text = render(json.loads(json.dumps(plain(document(SETTINGS, quiet, BEHIND)))))
    assert "Not assessed: nothing was asked for" in text
    assert "upper bounds" not in text


def test_panels_share_one_scale() -> None:
    text = str(panels_figure([Panel("a", [(0.0, -0.1, 0.1), None]), Panel("b", [(1.0, None, None)])], "x", "words"))
    across = re.findall(r'<line class="middle"[^>]*y1="([\d.]+)"', text)
    assert len(across) == 2
    assert float(across[0]) > float(across[1])
    assert text.count('class="span"') == 1
    assert str(panels_figure([Panel("a", [None])], "x", "words")) == "<p>no points</p>"


def test_what_corruptions_cost_groups_and_how_errors_are_spread_have_tables() -> None:
    text = re.sub(r"<[^>]+>", " ", render(report()))
    assert "Corruptions at severity  3  of 5, each row beside itself unchanged" in text
    assert "accuracy lost to noise" in text
    assert "each group against the rest; distances in units of the target" in text
    page = render(report())
    assert 'data-json-pointer="/fairness/drops/0/gaps/1/gap"' in page
    assert 'data-json-pointer="/fairness/distributions/0/by_chance"' in page
    alike = replace(records(), fairness=replace(records().fairness, drops=(), distributions=()))
    quiet = render(json.loads(json.dumps(plain(document(SETTINGS, alike, BEHIND)))))
    assert "What worse inputs cost each group" not in quiet
    assert "How predictions and errors are spread" not in quiet


def test_shares_of_groups_stand_beside_their_reference() -> None:
    page = render(report())
    assert 'data-json-pointer="/fairness/representation/1/shares/0/share"' in page
    assert 'data-json-pointer="/fairness/representation/0/shares/1/reference" ' in page
    text = re.sub(r"<[^>]+>", "", page)
    assert "train: disparity found: " in text
    assert "a share of 0.333 instead of 0.750 (chi-square, corrected p 0.0100)" in text
    assert any("rows is not as declared" in one["text"] for one in report()["warnings"])
