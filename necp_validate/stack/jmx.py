"""The brokers' own metrics: Prometheus' JMX exporter, as a Java agent in each of them.

Java does not use its AOT cache beside an agent that could change classes (JEP 483): a stack with this starts without.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from necp_validate.stack.private import write_private
from necp_validate.stack.runtime import load_jmx_agent

USER = "prometheus"
CONFIG_FILE = "jmx.yml"
"""In the folder of each broker; only its owner can read it."""
_HTTP = """
httpServer:
  authentication:
    basic:
      username: {user}
      password: {password}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JmxAgent:
    """The agent of every broker of a stack.

    Args:
        jar: the exporter.
        rules: which of the brokers' beans become which metrics, in the exporter's own format (YAML).
        password: who asks for the metrics must know it.
    """

    jar: Path
    rules: str
    password: str = field(repr=False)

    @classmethod
    def prepare(cls, rules: str) -> JmxAgent:
        """Have the exporter at hand, downloaded the first time only, with a new password.

        Args:
            rules: which beans become which metrics.

        Raises:
            StackError: it cannot be had.
        """
        return cls(jar=load_jmx_agent(), rules=rules, password=secrets.token_hex(16))

    def write(self, home: Path) -> Path:
        """Write the configuration of one broker's agent into its folder; only its owner can read it."""
        path = home / CONFIG_FILE
        write_private(path, (self.rules + _HTTP.format(user=USER, password=self.password)).encode())
        return path

    @staticmethod
    def option(jar: str, address: str, config: str) -> str:
        """Return the Java option that loads the agent.

        Args:
            jar: the exporter, as the broker sees it.
            address: host and port that it listens at.
            config: what ``write`` has written, as the broker sees it.
        """
        return f"-javaagent:{jar}={address}:{config}"
