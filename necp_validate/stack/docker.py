"""Three real brokers and the event core in containers on this host."""

from __future__ import annotations

