"""A trained network and its test rows → what attributions of some rows and a look at many say of it."""

from pipeline.examination.asking import Asked, Picked
from pipeline.examination.examples import Concept, read_concepts
from pipeline.examination.looking import Looked, look

__all__ = ["Asked", "Concept", "Looked", "Picked", "look", "read_concepts"]
