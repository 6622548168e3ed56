"""What brings a target up: brokers, topics, users, ACLs, and the services that run against them."""

from necp_validate.stack.local import LocalStack
from necp_validate.stack.protocol import (
    ADMIN,
    CLIENTS,
    FAULT_KINDS,
    BrokerInfo,
    BrokerMetrics,
    BrokerSample,
    FaultUnavailable,
    GatewayHandle,
    NodeName,
    PlayerTls,
    Progress,
    ServiceHandle,
    Stack,
    StackDescription,
)
from necp_validate.stack.select import BACKENDS, open_stack
from necp_validate.stack.state import attach, default_state_file, down, up
from necp_validate.stack.waiting import wait_until

__all__ = [
    "ADMIN",
    "BACKENDS",
    "CLIENTS",
    "FAULT_KINDS",
    "BrokerInfo",
    "BrokerMetrics",
    "BrokerSample",
    "FaultUnavailable",
    "GatewayHandle",
    "LocalStack",
    "NodeName",
    "PlayerTls",
    "Progress",
    "ServiceHandle",
    "Stack",
    "StackDescription",
    "attach",
    "default_state_file",
    "down",
    "open_stack",
    "up",
    "wait_until",
]
