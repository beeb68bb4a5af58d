"""Terms that a reader may not know, each linked where a page uses it and told at its end."""

import re

from markupsafe import Markup

from pipeline.reporting.words import clean, metric_words

TERMS = {
    "accuracy": "Share of rows whose predicted class is the true one.",
    "balanced_accuracy": "Mean over classes of the share of their rows predicted right; rare classes count alike.",
    "log_loss": "Minus the mean logarithm of the probability given to the true class; 0 is best.",
    "brier": "Mean squared distance between probabilities and what came; 0 is best.",
    "ece": "Mean distance, over bins of rows, between stated confidence and measured accuracy; 0 is best.",
    "ece_null": "The calibration error of a model with right probabilities on so few rows, by chance alone.",
    "auroc": "Chance that a row of the class gets a higher probability than another row; 0.5 is guessing.",
    "auprc": "Precision averaged over recall; guessing gets the share of the class.",
    "f1": "Harmonic mean of precision and recall.",
    "f1_macro": "Harmonic mean of precision and recall, averaged over classes or labels.",
    "f1_micro": "Harmonic mean of precision and recall over all labels of all rows together.",
    "precision": "Of rows predicted to be of a class, the share that are.",
    "recall": "Of rows of a class, the share predicted to be.",
    "r2": "Share of the variance that is explained; 0 is always predicting the mean.",
    "mae": "Mean distance between predicted and true number.",
    "rmse": "Root of the mean squared distance between predicted and true number; large errors weigh more.",
    "mse": "Mean squared distance between predicted and true number; large errors weigh more.",
    "mase": "Mean absolute error divided by that of repeating the season before; below 1 is better than repeating.",
    "smape": "Absolute error as a share of the mean of both numbers, in percent.",
    "skill": "Share of the error of repeating the last value that is saved; 0 is no better.",
    "pinball": "Error of a predicted quantile: misses above and below it weigh differently.",
    "multiply_adds": "Multiplications with an addition of one prediction: work, whatever the machine.",
    "interval": "Holds the value for 95 of 100 samples of rows, or as named. It knows nothing of luck in training.",
    "baseline": "A simple model fitted on the same training rows, to see whether a network is worth having.",
    "validation": "Rows kept from training, on which the search chooses; the choice flatters scores on them.",
    "hypervolume": "How much of the box between the worst and the best of all objectives is bettered by some trial.",
    "conformal": "Sets or intervals that hold the truth in a promised share of rows like those of calibration.",
    "temperature": "The one number that logits are divided by, so that probabilities mean what they say.",
    "completeness": "Whether contributions sum to the change of the output that they explain.",
    "delta": "The largest gap between groups that was declared, before the run, to be of no importance.",
    "corrected_p": "Chance of such a gap if there were none, corrected for the number of comparisons.",
    "logit": "What the network gives for a class before it becomes a probability; 1 more is 2.7 times the odds.",
    "tpe": "Tree-structured Parzen estimator: draws settings that are commoner among good trials than among bad ones.",
    "fanova": "How much of the differences between trials one setting explains, whatever the others are.",
    "selection_rate": "Share of rows predicted to be of the class that is counted as positive.",
    "true_positive_rate": "Of rows truly of the positive class, the share predicted to be; also called recall.",
    "false_positive_rate": "Of rows truly not of the positive class, the share predicted to be.",
    "coverage": "Share of rows whose set or interval holds the truth.",
    "equalized_odds_gap": "The larger of the gaps between groups in the true and in the false positive rate.",
    "demographic_parity_gap": "The gap between groups in the share of rows predicted positive.",
    "pooled": "The rate of a group drawn towards that of all rows, the more the fewer rows it has.",
    "ale": "How predictions change with one number while all others stay as they are in rows near it.",
    "tcav": "Share of rows whose output rises as activations move towards a concept; random directions come to 0.5.",
    "attribution": "What each input contributed to one output, counted from an input that stands for absence.",
}  # fmt: skip
"""By the name of a metric or a word of our own."""
NAMES = {
    "interval": "95 % interval",
    "baseline": "simple model, baseline",
    "validation": "validation rows",
    "conformal": "conformal prediction",
    "corrected_p": "corrected p",
    "tpe": "TPE",
    "fanova": "fANOVA",
    "pooled": "drawn to all",
    "ale": "accumulated local effect",
    "equalized_odds_gap": "equalised odds gap",
    "demographic_parity_gap": "demographic parity gap",
    "auroc": "area under the ROC curve, AUROC",
    "tcav": "TCAV score",
}


class Glossary:
    """The terms that one page uses, noted while it is made."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def term(self, name: str, words: str | None = None) -> Markup:
        """Return the words for a term as a link to what is told of it; words alone where nothing is."""
        shown = clean(words or metric_words(name))
        if name not in TERMS:
            return Markup("{}").format(shown)
        self.used.add(name)
        return Markup('<a class="term" href="#{}">{}</a>').format(identity(name), shown)

    def entries(self) -> list[tuple[str, str, str]]:
        """Return (identity, name, what it is) of the terms used so far, by name."""
        found = [(identity(name), NAMES.get(name, metric_words(name)), TERMS[name]) for name in self.used]
        return sorted(found, key=lambda entry: entry[1].casefold())


def identity(name: str) -> str:
    """Return the place of a term on the page."""
    return f"term-{re.sub('[^a-z0-9]+', '-', name.lower())}"
