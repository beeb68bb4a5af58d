"""One training, from candidate to network: `fit`, for trials and for the winner alike."""

from pipeline.training.batches import Arrays, model_input
from pipeline.training.fit import Data, Fit, Watch, fit, predict_probabilities
from pipeline.training.weights import load_model, save_weights

__all__ = [
    "Arrays",
    "Data",
    "Fit",
    "Watch",
    "fit",
    "load_model",
    "model_input",
    "predict_probabilities",
    "save_weights",
]
