"""The parser of the commands' tests and the fabricated runs of the report's tests serve the pages' examples as well."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("cli", "report"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
