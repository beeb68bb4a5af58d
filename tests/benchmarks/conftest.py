"""The benchmarks are scripts that import each other as neighbours, as Python does when it runs one."""

import sys

from tests.conftest import ROOT

sys.path += [str(ROOT / "benchmarks"), str(ROOT / "benchmarks" / "inside")]
