"""One Prometheus server for one run: its configuration, its process, and questions to it."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt

from necp_validate.core import StackError
from necp_validate.stack.ports import free_ports
from necp_validate.stack.private import write_private
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.waiting import wait_until

HOST = "127.0.0.1"
_USER = "necp"
_READY_S = 30.0
_ANSWER_S = 5.0
_STOP_S = 5.0
_FAILURES = (urllib.error.URLError, http.client.HTTPException, OSError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How one logs in where metrics are asked for."""

    user: str
    password: str = field(repr=False)

    @classmethod
    def new(cls) -> Login:
        """A login that nobody has had before."""
        return cls(user=_USER, password=secrets.token_hex(16))

    @property
    def header(self) -> str:
        """As HTTP's basic authentication has it."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is scraped under one name.

    Args:
        name: of the job, which is a label of all that it yields.
        targets: labels by ``host:port``; for a job whose targets change, those of the beginning.
        login: where it takes one.
    """

    name: str
    targets: Mapping[str, Mapping[str, str]]
    login: Login | None = None


class Prometheus:
    """A server that listens on the loopback interface, and wants a login.

    Args:
        binary: the program.
        folder: where its files go; nobody else may read it.
        log: file for its output.
        jobs: what it scrapes.
        rules: files of its rules.
        interval_s: between two scrapes, and between two evaluations of the rules.
    """

    def __init__(
        self,
        binary: Path,
        folder: Path,
        log: Path,
        *,
        jobs: Sequence[Job],
        rules: Sequence[Path],
        interval_s: float,
    ) -> None:
        self._binary = binary
        self._folder = folder
        self._log = log
        self._jobs = tuple(jobs)
        self._rules = tuple(rules)
        self._interval_s = interval_s
        self._login = Login.new()
        self._port = 0
        self._process: ManagedProcess | None = None

    def start(self) -> None:
        """Start it; come back when it answers.

        Raises:
            StackError: it does not; with its last log lines.
        """
        (self._port,) = free_ports(1, HOST)
        for job in self._jobs:
            self.set_targets(job.name, job.targets)
        config, web = self._folder / "prometheus.yml", self._folder / "web.yml"
        write_private(config, json.dumps(self.config(), indent=1).encode())  # JSON is YAML, too
        # The password is as long as its hash: a cheap one is as safe, and Prometheus computes it for every question.
        hashed = bcrypt.hashpw(self._login.password.encode(), bcrypt.gensalt(4)).decode("ascii")
        write_private(web, json.dumps({"basic_auth_users": {self._login.user: hashed}}).encode())
        command = [
            str(self._binary),
            f"--config.file={config}",
            f"--web.config.file={web}",
            f"--web.listen-address={HOST}:{self._port}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            "--storage.tsdb.retention.time=1d",
            "--log.level=warn",
        ]
        self._process = ManagedProcess.spawn(command, log=self._log)
        try:
            wait_until(self._ready, timeout_s=_READY_S, backoff_s=0.1, message="Prometheus did not answer")
        except StackError as error:
            error.detail = error.detail or self._process.log_tail()
            raise

    def _ready(self) -> bool:
        assert self._process is not None
        if not self._process.alive():
            raise StackError("Prometheus ended while it was starting", detail=self._process.log_tail())
        try:
            self.get("/-/ready")
        except StackError:
            return False
        return True

    def config(self) -> dict[str, Any]:
        """Its configuration, as its own documentation has it."""
        every = f"{round(self._interval_s * 1000)}ms"
        return {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": [str(path) for path in self._rules],
            "scrape_configs": [self._scrape(job) for job in self._jobs],
        }

    def _scrape(self, job: Job) -> dict[str, Any]:
        config: dict[str, Any] = {
            "job_name": job.name,
            "file_sd_configs": [{"files": [str(self._targets_file(job.name))], "refresh_interval": "5s"}],
        }
        if job.login is not None:
            secret = self._folder / f"{job.name}.password"
            write_private(secret, job.login.password.encode())
            config["basic_auth"] = {"username": job.login.user, "password_file": str(secret)}
        return config

    def _targets_file(self, job: str) -> Path:
        return self._folder / f"targets-{job}.json"

    def set_targets(self, job: str, targets: Mapping[str, Mapping[str, str]]) -> None:
        """Change what a job scrapes; Prometheus notices by itself.

        Args:
            job: its name.
            targets: labels by ``host:port``.
        """
        groups = [{"targets": [address], "labels": dict(labels)} for address, labels in targets.items()]
        write_private(self._targets_file(job), json.dumps(groups).encode())

    def get(self, path: str, **parameters: str) -> bytes:
        """Ask by HTTP.

        Raises:
            StackError: no answer, or an error.
        """
        url = f"http://{HOST}:{self._port}{path}"
        if parameters:
            url += "?" + urllib.parse.urlencode(parameters)
        request = urllib.request.Request(url, headers={"Authorization": self._login.header})
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
                return bytes(answer.read())
        except _FAILURES as error:
            raise StackError(f"Prometheus does not answer {path}: {error}") from error

    def api(self, path: str, **parameters: str) -> Any:
        """Ask its API (``/api/v1``) and return the data of the answer.

        Raises:
            StackError: no answer, or an error.
        """
        try:
            said = json.loads(self.get(f"/api/v1{path}", **parameters))
        except ValueError as error:
            raise StackError(f"Prometheus answers {path} with what is no JSON: {error}") from error
        if said.get("status") != "success":
            raise StackError(f"Prometheus answers {path} with {said.get('error', 'an error')}")
        return said["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of every series that an expression yields now.

        Raises:
            StackError: no answer, or a mistake in the expression.
        """
        found = self.api("/query", query=expression)["result"]
        return [(dict(one["metric"]), float(one["value"][1])) for one in found]

    def samples(self, selector: str) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """Labels and raw samples (time in epoch seconds, value) of every series of a selector with a range.

        Raises:
            StackError: no answer, or a mistake in the expression.
        """
        found = self.api("/query", query=selector)["result"]
        return [(dict(one["metric"]), [(float(t), float(v)) for t, v in one["values"]]) for one in found]

    def stop(self) -> None:
        """End it; may be called more than once."""
        if self._process is not None:
            self._process.terminate(_STOP_S)

    def early_end(self) -> str:
        """How its process ended, in one line; nothing while it runs."""
        return self._process.early_end() if self._process is not None else ""
