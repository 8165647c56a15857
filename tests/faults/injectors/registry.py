"""Every fault that can be injected, by family; a family that is not here yet is not tried and not spoken of."""

import importlib
import importlib.util

from tests.faults.fault import Fault

FAMILIES = ("processes", "pressure", "brokers", "databases", "network")


def every() -> tuple[Fault, ...]:
    """All faults of all families."""
    modules = (f"{__package__}.{family}" for family in FAMILIES)
    found = (importlib.import_module(name) for name in modules if importlib.util.find_spec(name))
    return tuple(fault for module in found for fault in module.FAULTS)
