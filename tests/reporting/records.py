"""A small but complete set of records, hostile where users can put text."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import (
    Agreement,
    Alternative,
    AttackScores,
    AuditFeature,
    BaselineScores,
    Candidate,
    CategoricalColumn,
    ClassWords,
    Concepts,
    Conformal,
    Coverage,
    DatasetCard,
    Degradation,
    DistributionGap,
    Effect,
    EffectPoint,
    EnsembleRecord,
    EpochRecord,
    ExplainedRow,
    Explanations,
    FairnessRecord,
    FoundSlice,
    FoundSlices,
    FrontMember,
    FrontRecord,
    ImageInputs,
    Importance,
    Latency,
    Layer,
    Member,
    MethodCheck,
    MixedEnsemble,
    ModelCard,
    Number,
    NumericColumn,
    Optimizer,
    OutsideSet,
    PermutedPart,
    Policy,
    Proxy,
    RaisedDefault,
    Representation,
    RobustnessRecord,
    Scores,
    SearchRecord,
    SeriesInputs,
    SimpleMember,
    TableInputs,
    Tempering,
    TextInputs,
    TrialRecord,
    TriedDefault,
    WordScore,
)
from pipeline.core.seeds import stream
from pipeline.core.settings import FairnessSettings
from pipeline.evaluation import constraint_checks
from pipeline.metrics.calibration import reliability
from pipeline.metrics.disparity import audit
from pipeline.metrics.distributions import Spread, distributions
from pipeline.metrics.drops import drops
from pipeline.metrics.group_scores import group_scores
from pipeline.metrics.intervals import mean, proportion, rate_gap
from pipeline.metrics.representation import representation
from pipeline.metrics.scores import class_scores, confusion, paired_gain, score_table
from pipeline.metrics.trade_off import Way, trade_off
from pipeline.metrics.verdicts import Also
from pipeline.reporting import Records
from pipeline.scorecard import concept_direction, concept_record, concept_score

HOSTILE = "<script>alert(1)</script>"
CLASSES = (HOSTILE, 'b" onload="x', "c\u202e{{ 7*7 }}")
IMAGE = ImageInputs(channels=1, height=4, width=4, mean=(0.2,), std=(0.3,))
TABLE = TableInputs(
    columns=(
        NumericColumn(name=f"<b>{HOSTILE}", edges=(0.0, 1.0), median=0.5, missing=False),
        CategoricalColumn(name="'; DROP", categories=("x",), mode=1),
    )
)
TEXT = TextInputs(length=4, vocabulary=(HOSTILE, 'w" onload="x', "plain"))
SERIES = SeriesInputs(channels=(HOSTILE, "b"), length=5, mean=(0.0, 0.0), std=(1.0, 1.0))
AnyInputs = ImageInputs | TableInputs | TextInputs | SeriesInputs
_MAPS = {
    "image": np.linspace(-2, 3, 32).reshape(2, 1, 4, 4),
    "table": np.array([[0.5, -1.0], [0.0, 0.0]]),
    "text": np.array([[0.5, -1.0, 0.1, 0.0], [0.0] * 4]),
    "series": np.linspace(-1, 1, 20).reshape(2, 2, 5),
}
_SHOWN = {
    "image": np.arange(32, dtype=np.uint8).reshape(2, 1, 4, 4),
    "table": np.ones((2, 2), np.float32),
    "text": np.array([[2, 3, 4, 0], [1, 0, 0, 0]], np.int32),
    "series": np.where(np.arange(20).reshape(2, 2, 5) % 7 == 6, np.nan, 0.5).astype(np.float32),
}
_RNG = np.random.default_rng(0)
_Y = _RNG.integers(3, size=90)
_P = _RNG.dirichlet(np.ones(3), size=90) * 0.7 + 0.3 * np.eye(3)[_Y]
_CANDIDATE = Candidate(architecture={"kind": "cnn", "width": 8}, optimizer=Optimizer())


def _card(inputs: AnyInputs, role: str) -> DatasetCard:
    feature = AuditFeature(name=HOSTILE, role=role, source=HOSTILE, groups=(HOSTILE, "b"))  # type: ignore[arg-type]
    rows = tuple(int(n) for n in np.bincount(_Y))
    return DatasetCard(
        name=HOSTILE,
        task="multiclass",
        classes=CLASSES,
        inputs=inputs,
        rows={"train": 90, "val": 90, "test": 90},
        class_rows={"train": rows, "val": rows, "test": rows},
        audit=(feature,),
        source_digest="0" * 64,
        notes=(f"note {HOSTILE}",),
    )


def _search() -> SearchRecord:
    done = TrialRecord(
        number=0,
        state="complete",
        score=0.5,
        quality=0.8,
        origin="default",
        candidate=_CANDIDATE,
        parameters=123,
        multiply_adds=456,
        epochs=4.0,
        seconds=2.0,
        curve=((0.5, 0.7), (1.0, 0.5)),
        amounts={"parameters": (123.0, 2000.0), "calibration_error": (0.0625, 0.125)},
    )
    failed = replace(
        done,
        number=1,
        state="failed",
        score=None,
        quality=None,
        parameters=None,
        multiply_adds=None,
        error=HOSTILE,
        traceback="secret",
    )
    return SearchRecord(
        study="search-1",
        storage="sqlite:///state/optuna.db",
        metric="log_loss",
        trials=(done, failed),
        best=0,
        seconds=4.0,
        phases=(("default", 1.5), ("search", 3.25)),
        raised=(_raised(),),
        constraints={"parameters": 2000.0, "calibration_error": 0.125},
    )


def _raised() -> RaisedDefault:
    found = [TriedDefault(value=value, pass_seconds=each, passes=30 / each) for value, each in ((4, 1.25), (8, 2.5))]
    tried = (*found, TriedDefault(value=16, pass_seconds=None, passes=None, reason=HOSTILE))
    policy = Policy(device="cpu", precision="fp32", memory_format=None, compile=False)
    return RaisedDefault(name="architecture.cnn.width", declared=4, value=8, least_passes=9.0, seconds=30.0,
                         policy=policy, tried=tried)  # fmt: skip


def _front() -> FrontRecord:
    member = FrontMember(number=0, score=0.5, standard_error=0.01, objectives={"multiply_adds": 456.0},
                         candidate=_CANDIDATE)  # fmt: skip
    return FrontRecord(
        objectives=("score", "multiply_adds"),
        metric="log_loss",
        declared=False,
        compared=1,
        members=(member,),
        best=0,
        default=0,
        reference=(0.55, 501.6),
        ideal=(0.5, 456.0),
        hypervolume=2.28,
        hypervolume_share=1.0,
    )


def _ensemble() -> EnsembleRecord:
    first = Member(
        number=0,
        share=0.75,
        score=0.5,
        candidate=_CANDIDATE,
        temperature=1.5,
        parameters=123,
        multiply_adds=456,
        weights_sha256="2" * 64,
    )
    trees = SimpleMember(
        kind="gradient_boosting",
        name="gradient_boosting",
        share=0.625,
        score=0.48,
        rows=50_000,
        seed=7,
        fitted_on="90 of 90 training rows",
        predictions_sha256="3" * 64,
    )
    return EnsembleRecord(
        mixed=MixedEnsemble(members=(replace(first, share=0.375),), simple=(trees,), score=0.44),
        metric="log_loss",
        members=(first, replace(first, number=3, share=0.25, score=0.6)),
        score=0.45,
        single=0,
        single_score=0.5,
        split="val",
        rows=90,
        considered=(0, 2, 3),
        notes=(f"note {HOSTILE}",),
    )


def _model(inputs: AnyInputs) -> ModelCard:
    epochs = tuple(
        EpochRecord(
            epoch=i + 1, train_loss=1 / (i + 1), val_score=1 / (i + 1), val_quality=1 - 0.5 ** (i + 1), seconds=i
        )
        for i in range(130)
    )
    return ModelCard(
        candidate=_CANDIDATE,
        inputs=inputs,
        outputs=len(CLASSES),
        parameters=123,
        multiply_adds=456,
        activation_mb=7.5,
        latency=Latency(batch=4, device="cpu", threads=1, milliseconds=1.25, spread=0.5),
        seed=7,
        device="cpu",
        precision="fp32",
        epochs=epochs,
        seconds=3.0,
        search_score=0.5,
        val_score=0.4,
        val_quality=0.8,
        weights_sha256="1" * 64,
        layers=_layers(),
    )


def _layers() -> tuple[Layer, ...]:
    first = Layer(name="input", kind="input", words="image", output=(1, 4, 4))
    one = Layer(name="trunk.0", kind="Conv2d", words="3 × 3 convolution, 1 → 8", output=(8, 4, 4), parameters=72,
                fixed=9, after=("input",))  # fmt: skip
    norm = Layer(name="trunk.1", kind="BatchNorm2d", words="batch norm", output=(8, 4, 4), parameters=16,
                 after=("trunk.0",), light=True)  # fmt: skip
    head = Layer(name="head", kind="Odd", words=f"odd {HOSTILE}", inside=("linear, 8 → 3",), output=(3,), parameters=27,
                 after=("trunk.1", "input"))  # fmt: skip
    last = Layer(name="output", kind="output", words="output", output=(3,), after=("head",))
    return first, one, norm, head, last, Layer(name="trunk.p", kind="weights", words=f"p {HOSTILE}", parameters=8)


def _scores() -> Scores:
    right = _P.argmax(1) == _Y
    baseline = BaselineScores(
        name="majority",
        fitted_on="90 of 90 training rows",
        metrics=score_table(_Y, np.tile([0.4, 0.3, 0.3], (90, 1)), stream(1), 0.95),
        gain=paired_gain(right, _Y == 0, 0.95),
    )
    metrics = score_table(_Y, _P, stream(1), 0.95)
    single = Alternative(
        name="single network",
        networks=1,
        parameters=123,
        multiply_adds=None,
        metrics=metrics,
        gain=None,
        verdict="handed on",
    )
    gain = paired_gain(_Y == _Y, right, 0.95)
    ensemble = replace(
        single, name="ensemble", networks=2, parameters=246, multiply_adds=912, gain=gain, verdict=f"good {HOSTILE}"
    )
    mixed = replace(ensemble, name="mixed ensemble", networks=1, simple=(("gradient_boosting", 0.625),))
    search, amounts = _search(), {"parameters": Number(value=123, n=1), "calibration_error": metrics["ece"]}
    return Scores(
        constraints=constraint_checks(search, amounts),
        headline="accuracy",
        metrics=metrics,
        front=(single, ensemble, mixed),
        classes=class_scores(_Y, _P.argmax(1), CLASSES, 0.95),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion(_Y, _P.argmax(1), 3)),
        reliability=reliability(_Y, _P, 15, 0.95),
        tempering=Tempering(
            temperature=1.75,
            rows=90,
            metrics={name: metrics[name] for name in ("log_loss", "ece", "ece_null")},
            reliability=reliability(_Y, _P, 15, 0.95),
        ),
        conformal=Conformal(
            kind="sets",
            promised=0.9,
            split="val",
            rows=90,
            verdict="kept",
            coverage=proportion(80, 90),
            expected=Number(value=0.9, ci_low=0.8, ci_high=0.97, ci_level=0.95, ci_method="beta-binomial", n=90),
            size=mean(_P.argmax(1) + 1.0),
            parts=tuple(Coverage(name=n, coverage=proportion(27, 30), size=mean(np.arange(3.0))) for n in CLASSES),
            notes=(f"note {HOSTILE}",),
        ),
        baselines=(baseline,),
        latency_ms=proportion(1, 2),
    )


def _robustness() -> RobustnessRecord:
    falling = tuple(proportion(k, 90) for k in (70, 60, 50, 40, 30))
    noise = Degradation(corruption="noise", words=f"x + a {HOSTILE}", amounts=(0.1, 0.2, 0.3, 0.4, 0.5),
                        quality=falling, change=paired_gain(_Y == 0, _Y == _Y, 0.95))  # fmt: skip
    lost = replace(noise, corruption="b" * 40, quality=(*falling[:4], Number(value=None, n=90, reason="undefined")))
    attack = AttackScores(attack="pgd", words="steps", epsilons=(1 / 255, 8 / 255), accuracy=falling[:2])
    outside = OutsideSet(name=HOSTILE, synthetic=False, rows=90, auroc={"free_energy": proportion(60, 90)},
                         fpr95={"free_energy": proportion(30, 90)}, flagged=proportion(20, 90))  # fmt: skip
    return RobustnessRecord(
        metric="accuracy",
        rows=90,
        of=120,
        clean=proportion(80, 90),
        degradations=(noise, lost),
        attack_clean=proportion(80, 90),
        attacks=(attack,),
        outside=(outside,),
        flagged=proportion(5, 90),
        flagged_share=0.05,
        notes=(f"note {HOSTILE}",),
        not_assessed=(f"attacks {HOSTILE}",),
    )


def _explanations(inputs: AnyInputs) -> Explanations:
    names = [c.name for c in inputs.columns] if isinstance(inputs, TableInputs) else ["row 1", "row 2"]
    check = MethodCheck(
        method="occlusion",
        baseline=HOSTILE,
        promises_completeness=False,
        completeness=proportion(1, 20),
        deletion_gain=proportion(1, 20),
        deletion_curve=(0.9, 0.4, 0.1),
        random_curve=(0.9, 0.6, 0.1),
        insertion_gain=proportion(1, 20),
        insertion_curve=(0.1, 0.7, 0.9),
        verdict="warn",
        reason="not shown to be better than random order",
    )
    row = ExplainedRow(
        index=3, row_id=HOSTILE, true=CLASSES[0], predicted=CLASSES[1], probability=0.7, why_chosen="random"
    )
    value = mean(np.arange(9.0))
    return Explanations(
        target="logit",
        sampling=HOSTILE,
        rows=(row, row),
        methods=(check,),
        importance={"occlusion": tuple(Importance(name=n, value=value) for n in names)},
        prechecks=("the network is in evaluation mode",),
        agreement=(Agreement(methods=("occlusion", "grad_cam"), rank_correlation=value, overlap=value),),
        permuted=(
            PermutedPart(name=HOSTILE, members=(HOSTILE,), increase=value),
            PermutedPart(name=f"{HOSTILE} with b", members=(HOSTILE, "b"), increase=proportion(1, 20)),
        ),
        overview="90 test rows",
        effects=(
            Effect(
                name=HOSTILE,
                points=tuple(EffectPoint(at=a, value=a, low=a - 1, high=a + 1, rows=9) for a in (0.0, 1.0, 2.0)),
            ),
        ),
        effects_of=f"probability of {HOSTILE}",
        words=(ClassWords(name=HOSTILE, texts=30, words=(WordScore(word=HOSTILE, texts=12, value=value),)),),
        border={"occlusion": proportion(1, 20)} if isinstance(inputs, ImageInputs) else {},
        concepts=_concepts(),
        notes=("note",),
    )


def _spread(people: list[AuditFeature], group: NDArray[np.object_]) -> tuple[DistributionGap, ...]:
    spread = Spread(name=f"errors of {HOSTILE}", values=_P[:, 0], unit="target")
    found = distributions(people, {HOSTILE: group}, [spread], FairnessSettings(permutations=50), 1)
    return tuple(item.judged(lambda: 0.5) for item in found)


def _shares(people: list[AuditFeature], group: NDArray[np.object_]) -> tuple[Representation, ...]:
    splits = {split: {HOSTILE: (group, None)} for split in ("train", "test")}
    settings = FairnessSettings(reference={HOSTILE: {HOSTILE: 0.75, "b": 0.25}})
    return tuple(item.judged(lambda: 0.01) for item in representation(people, splits, settings, 1))


def _concepts() -> Concepts:
    rng = np.random.default_rng(0)
    told, guessed = (concept_direction(f"{HOSTILE} {i}", HOSTILE, 12, np.full(20, share))
                     for i, share in enumerate((0.9, 0.5)))  # fmt: skip
    runs, examples, pool = rng.normal(0.5, 0.1, 20), rng.normal(0, 1, 12), rng.normal(0, 1, 50)
    scores = [
        concept_score(told, CLASSES[0], np.ones(20), runs, examples + 5, pool),
        concept_score(told, CLASSES[1], runs[::-1], runs, examples, pool),
        concept_score(guessed, CLASSES[0], runs, runs, examples, pool),
    ]
    return concept_record(HOSTILE, 20, (told, guessed), scores, (HOSTILE,))


def _fairness(card: DatasetCard, group: NDArray[np.object_]) -> FairnessRecord:
    settings, binary = FairnessSettings(), (_Y > 0).astype(int)
    p1 = np.linspace(0.05, 0.95, len(_Y))
    ways = {HOSTILE: Way(p1 > 0.5), "nobody": Way(p1 > 2, {HOSTILE: 0.5, "b": 0.25})}
    trade = trade_off("equalized_odds_gap", HOSTILE, group, binary, ways, np.random.default_rng(0))
    people = [replace(feature, role="sensitive") for feature in card.audit]
    p_N2 = np.stack([1 - p1, p1], axis=1)
    found = FoundSlice(rule=f"{HOSTILE} > 3", error=proportion(3, 9), rest=proportion(4, 40), gap=rate_gap(3, 9, 4, 40),
                       p_adjusted=0.00001, verdict="more errors")  # fmt: skip
    wrong = (_P.argmax(1) != _Y).astype(float)
    cost = drops(people, {HOSTILE: group}, ("wrong", wrong, {"noise": np.maximum(wrong, group == "b")}), settings, 1)
    return replace(
        audit(card.audit, {HOSTILE: group}, _Y, _P.argmax(1), CLASSES, settings, 1, also=Also(drops=cost)),
        severity=3,
        representation=_shares(people, group),
        distributions=_spread(people, group),
        scores=group_scores(people, {HOSTILE: group}, binary, p_N2, p_N2 > 0.3, settings, 1),
        trade_offs=() if trade is None else (replace(trade, notes=(HOSTILE,)),),
        slices=FoundSlices(searched=45, measured=45, properties=(HOSTILE,), slices=(found,)),
        proxies=(Proxy(feature=HOSTILE, source="inputs", auroc=mean(np.arange(9.0)), columns=((HOSTILE, 0.7),)),),
    )


def records(inputs: AnyInputs = IMAGE, role: str = "slice") -> Records:
    """Return records that fit together."""
    card = _card(inputs, role)
    group = np.where(np.arange(90) % 3 == 0, HOSTILE, "b").astype(object)
    return Records(
        card=card,
        search=_search(),
        front=_front(),
        ensemble=_ensemble(),
        model=_model(inputs),
        scores=_scores(),
        robustness=_robustness(),
        explanations=_explanations(inputs),
        attributions={"occlusion": _MAPS[inputs.kind], "inputs": _SHOWN[inputs.kind]},
        fairness=_fairness(card, group),
    )
