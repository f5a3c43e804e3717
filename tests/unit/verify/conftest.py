"""The suite is no package of labctl's: its helpers are found as pytest finds them."""

from __future__ import annotations

import sys
from pathlib import Path

SUITE = Path(__file__).parents[2] / "verify"
sys.path.insert(0, str(SUITE))
