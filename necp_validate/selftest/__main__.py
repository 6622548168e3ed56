"""``python -m necp_validate.selftest``: seed every defect, take every evidence away, exit 1 on a miss."""

from __future__ import annotations

import sys

from necp_validate.core import SuiteError
from necp_validate.selftest.runner import run_selftest


def main() -> int:
    """Run the self-test; returns the exit code."""
    try:
        results = run_selftest()
    except SuiteError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(results)
    return results.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
