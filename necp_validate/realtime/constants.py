"""Numbers that both ends must agree on."""

from __future__ import annotations

from typing import Final

from necp_validate.events.combat import MAX_SPEED_CM_S

WORLD_UNIT_CM: Final = 10
"""Centimetres in one unit of the world's coordinates."""

MODES: Final = tuple(MAX_SPEED_CM_S)
"""Names of the ways to move; a record holds the index."""

TOP_SPEED: Final = tuple(speed // WORLD_UNIT_CM for speed in MAX_SPEED_CM_S.values())
"""Top speed by mode, in world units a second."""

FULL_HP: Final = 1_000
KEPT_VERSIONS: Final = 64
"""So many versions of a cell can be the base of a delta."""

KEEP_ALIVE_S: Final = 1.0
"""A session that gets no state for this long gets an empty one."""

LOGIN_TIMEOUT_S: Final = 10.0
MAX_MESSAGE_BYTES: Final = 4_096
"""Longest WebSocket message in either direction, in bytes."""

INPUTS_PER_S: Final = 60
"""Datagrams other than actions that a session may send in a second; more are dropped."""
