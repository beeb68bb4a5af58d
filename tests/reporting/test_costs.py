"""What a run cost stands in the report, and where nobody counted it says so."""

from dataclasses import replace

from pipeline.core.contracts import Policy
from pipeline.core.settings import ReportSettings
from pipeline.reporting import Records, document, render
from tests.reporting.records import records

POLICY = Policy(device="cuda", precision="bf16", memory_format=None, compile=False)


def body(found: Records) -> dict:  # type: ignore[type-arg]
    return document(ReportSettings(title="t", purpose="p", include_raw=False), found, [])


def measured() -> Records:
    """Return records of a run whose energy was measured."""
    found = records()
    trials = tuple(replace(trial, policy=POLICY) for trial in found.search.trials)
    search = replace(found.search, trials=trials, processor_seconds=9.5, energy_wh=1.25, energy_of="CPU")
    model = replace(found.model, processor_seconds=2.5, energy_wh=0.5, energy_of="CPU", device="Some GPU")
    return replace(found, search=search, model=model, disk={"artifacts/train": 2_500_000})


def test_what_was_counted() -> None:
    made = body(measured())
    search, train, interpret = made["cost"]["stages"]
    assert search["wall"]["value"] == 1.5 + 3.25
    assert (search["processor"]["value"], train["processor"]["value"]) == (9.5, 2.5)
    assert search["accelerator"]["value"] == sum(t.seconds for t in records().search.trials)
    assert train["accelerator"]["value"] == train["wall"]["value"] == 3.0
    assert (search["energy"]["value"], train["energy"]["value"]) == (1.25, 0.5)
    assert interpret["energy"]["reason"] == "not measured"
    assert [line["folder"] for line in made["cost"]["disk"]] == ["artifacts/train"]
    assert made["cost"]["disk"][0]["size"]["value"] == 2.5
    assert "energy of evaluation and explanations" in made["not_assessed"]
    assert not any(gone.startswith(("energy:", "energy of the")) for gone in made["not_assessed"])
    page = render(made)
    assert 'data-json-pointer="/cost/stages/0/energy"' in page
    assert 'data-json-pointer="/cost/disk/0/size"' in page
    assert "with all else that ran there" in page


def test_what_was_not_counted_has_a_reason() -> None:
    made = body(records())
    search, train, _ = made["cost"]["stages"]
    assert search["processor"]["value"] is None
    assert search["processor"]["reason"].startswith("not counted: an earlier process was interrupted")
    assert train["accelerator"]["reason"] == "no accelerator was used"
    assert "energy: not measured" in made["not_assessed"]
    why = replace(records(), search=replace(records().search, energy_wh=None, energy_of="no counter"))
    assert "energy: not measured (no counter)" in body(why)["not_assessed"]


def test_half_of_the_energy_is_said_to_be_half() -> None:
    found = measured()
    made = body(replace(found, model=replace(found.model, energy_wh=None, energy_of="went on")))
    assert "energy of the training: not measured (went on)" in made["not_assessed"]
