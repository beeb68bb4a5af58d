"""Raw rows to predictions: read and encoded as prepare does, by what train wrote alone."""

from pipeline.prediction.model import Model, load_folder
from pipeline.prediction.output import output_file

__all__ = ["Model", "load_folder", "output_file"]
