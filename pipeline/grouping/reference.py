"""fairness.reference: the shares that groups should have, held against the groups that there are."""

import math
from collections.abc import Mapping

from pipeline.core.contracts import DatasetCard
from pipeline.core.errors import ConfigError
from pipeline.core.settings import FairnessSettings
from pipeline.core.strict import nearest

_WHERE = "fairness.reference"
_ADD_UP = 1e-6


def check_reference(card: DatasetCard, settings: FairnessSettings) -> None:
    """Make sure that the declared shares are shares of groups of sensitive features.

    Raises:
        ConfigError: a feature or group that there is not, a share that is none, shares that do not add up to 1.
    """
    groups = {feature.name: feature.groups for feature in card.audit if feature.role == "sensitive"}
    for name, shares in (settings.reference or {}).items():
        if name not in groups:
            near = nearest(name, list(groups))
            known = f"one of: {', '.join(groups)}" if groups else "declare it in data.sensitive"
            fix = f"did you mean '{near}'?" if near else known
            raise ConfigError(f"{_WHERE}: '{name}' is no sensitive feature of these data", fix=fix)
        _check_shares(name, shares, groups[name])


def _check_shares(name: str, shares: Mapping[str, float], groups: tuple[str, ...]) -> None:
    for group, share in shares.items():
        if group not in groups:
            near = nearest(group, groups)
            fix = f"did you mean '{near}'?" if near else f"some of: {', '.join(groups)}"
            raise ConfigError(f"{_WHERE}.{name}: '{group}' is no group of {name}", fix=fix)
        if not 0 < share <= 1:
            raise ConfigError(f"{_WHERE}.{name}.{group}: {share:g} is no share", fix="give a number above 0, up to 1")
    if len(shares) < 2:
        raise ConfigError(f"{_WHERE}.{name}: one group alone has no share", fix="name two groups at least")
    total = math.fsum(shares.values())
    if abs(total - 1) > _ADD_UP:
        fix = "leave out groups without a reference, and let the shares of the others add up to 1"
        raise ConfigError(f"{_WHERE}.{name}: the shares add up to {total:.6g}, not to 1", fix=fix)
