"""State machines: long stories of a domain, each step compared with a simple model that is written from its rules."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from necp_validate.fuzz.machines.alone import Alone
from necp_validate.fuzz.machines.combat import CombatMachine
from necp_validate.fuzz.machines.driver import Crash, Driver, Sent, Written
from necp_validate.fuzz.machines.economy import EconomyMachine
from necp_validate.fuzz.machines.machine import DomainMachine
from necp_validate.fuzz.machines.social import SocialMachine
from necp_validate.fuzz.machines.system import SystemMachine

MACHINES: Final[Mapping[str, type[DomainMachine]]] = MappingProxyType(
    {machine.domain.value: machine for machine in (EconomyMachine, CombatMachine, SocialMachine, SystemMachine)}
)
"""By the name of their domain."""

__all__ = [
    "MACHINES",
    "Alone",
    "CombatMachine",
    "Crash",
    "DomainMachine",
    "Driver",
    "EconomyMachine",
    "Sent",
    "SocialMachine",
    "SystemMachine",
    "Written",
]
