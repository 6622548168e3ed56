"""What brings a target up: brokers, topics, users, ACLs, and the services that run against them."""

from necp_validate.stack.local import LocalStack
from necp_validate.stack.protocol import (
    ADMIN,
    BrokerInfo,
    BrokerSample,
    Progress,
    ServiceHandle,
    Stack,
    StackDescription,
)
from necp_validate.stack.waiting import wait_until

__all__ = [
    "ADMIN",
    "BrokerInfo",
    "BrokerSample",
    "LocalStack",
    "Progress",
    "ServiceHandle",
    "Stack",
    "StackDescription",
    "wait_until",
]
