"""Every event type by name and version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from necp_validate.events import combat, economy, social, system
from necp_validate.events.base import Event, EventData
from necp_validate.events.topics import Domain


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one type of event.

    Args:
        name: ``<domain>.<event>``.
        version: version of the payload, from 1.
        domain: whose topic carries it.
        data: class of the payload.
        newest: whether no newer version of the type exists.
    """

    name: str
    version: int
    domain: Domain
    data: type[EventData]
    newest: bool

    @property
    def prefix(self) -> bytes:
        """The bytes that a value of this type begins with, up to, without, ``,"key":"``."""
        return b'{"type":"%b","v":%d' % (self.name.encode(), self.version)

    def upcast(self, event: Event[EventData]) -> Event[EventData]:
        """Bring the payload of ``event`` to the newest version; everything else stays as it was sent."""
        data = event.data
        while (newer := data.upcast()) is not data:
            data = newer
        return event if data is event.data else msgspec.structs.replace(event, data=data)


_CLASSES: Final[Mapping[Domain, tuple[type[EventData], ...]]] = {
    Domain.COMBAT: combat.EVENTS,
    Domain.ECONOMY: economy.EVENTS,
    Domain.SOCIAL: social.EVENTS,
    Domain.SYSTEM: system.EVENTS,
}


def _event_types(classes: Mapping[Domain, Iterable[type[EventData]]]) -> dict[tuple[str, int], EventType]:
    newest: dict[str, int] = {}
    for members in classes.values():
        for data in members:
            newest[data.type_name] = max(data.version, newest.get(data.type_name, 0))
    return {
        (data.type_name, data.version): EventType(
            name=data.type_name,
            version=data.version,
            domain=domain,
            data=data,
            newest=data.version == newest[data.type_name],
        )
        for domain, members in classes.items()
        for data in members
    }


REGISTRY: Final[Mapping[tuple[str, int], EventType]] = MappingProxyType(_event_types(_CLASSES))
"""Event types by ``(name, version)``."""


def event_types(domain: Domain | None = None) -> tuple[EventType, ...]:
    """List the event types of a domain, or of all of them."""
    return tuple(kind for kind in REGISTRY.values() if domain is None or kind.domain is domain)
