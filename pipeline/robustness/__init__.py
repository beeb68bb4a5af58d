"""How a network does on inputs that are worse than its training rows, made to fool it, or of another kind.

Knows Captum for its attacks. All draws come from the seed; the same seed gives the same bytes.
"""

from pipeline.robustness.assess import Examined, assess
from pipeline.robustness.choice import Choice, chosen, chosen_in
from pipeline.robustness.corruptions import SEVERITIES, Corruption
from pipeline.robustness.outside import Outside
from pipeline.robustness.words import told

__all__ = ["SEVERITIES", "Choice", "Corruption", "Examined", "Outside", "assess", "chosen", "chosen_in", "told"]
