"""What was killed, and how fast it returned: from the API server's own account of pods."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubernetes import client, watch
from urllib3.exceptions import HTTPError

from necp_validate.core import SuiteError
from necp_validate.kubernetes.nodes import is_ready
from necp_validate.record.self_watch import WatchedThread

_WATCH_S = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSeen:
    """A pod as the API server told of it.

    Args:
        at_s: when, by a clock that only goes forward.
        name: the pod's name, which its replacement has too.
        uid: tells the two apart.
        node: where it is to run; empty before the scheduler has chosen.
        ready: whether it was ready.
        deleting: whether its deletion was asked for.
        gone: whether it is there no more.
    """

    at_s: float
    name: str
    uid: str
    node: str = ""
    ready: bool = False
    deleting: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A pod that was killed and the one that took its place; times count from the kill, None for what never came.

    Args:
        pod: their name.
        node: where the killed one ran.
        killed_at_s: when its deletion was seen.
        gone_s: until it was gone.
        made_s: until there was another.
        placed_s: until the scheduler had found a node for it.
        ready_s: until it was ready.
        new_node: where it runs.
    """

    pod: str
    node: str
    killed_at_s: float
    gone_s: float | None = None
    made_s: float | None = None
    placed_s: float | None = None
    ready_s: float | None = None
    new_node: str = ""


def replacements(seen: Iterable[PodSeen]) -> list[Replacement]:
    """Pair every pod that was deleted with the next one of its name.

    Args:
        seen: in the order of their times.
    """
    rows = list(seen)
    order = list(dict.fromkeys((row.name, row.uid) for row in rows))
    found = []
    for name, uid in order:
        own = [row for row in rows if row.uid == uid]
        killed = next((row for row in own if row.deleting or row.gone), None)
        if killed is None:
            continue
        later = [other for pod, other in order if pod == name]
        after = later[later.index(uid) + 1 :]
        new = [row for row in rows if after and row.uid == after[0]]
        gone = next((row.at_s for row in own if row.gone), None)
        placed = next((row for row in new if row.node), None)
        ready = next((row.at_s for row in new if row.ready and not row.deleting), None)
        found.append(
            Replacement(
                pod=name,
                node=next((row.node for row in reversed(own) if row.node), ""),
                killed_at_s=killed.at_s,
                gone_s=_since(killed.at_s, gone),
                made_s=_since(killed.at_s, new[0].at_s if new else None),
                placed_s=_since(killed.at_s, placed.at_s if placed else None),
                ready_s=_since(killed.at_s, ready),
                new_node=placed.node if placed else "",
            )
        )
    return found


def fewest_ready(seen: Iterable[PodSeen], *, since_s: float) -> int | None:
    """Return the fewest pods that were ready at one time; None if no pod was ever seen.

    Args:
        seen: in the order of their times.
        since_s: count from here on; what was seen before tells how it began.
    """
    rows = list(seen)
    ready = {row.uid: row.ready and not row.gone for row in rows if row.at_s < since_s}
    counts = [sum(ready.values())]
    for row in rows:
        if row.at_s >= since_s:
            ready[row.uid] = row.ready and not row.gone
            counts.append(sum(ready.values()))
    return min(counts) if rows else None


def _since(start_s: float, end_s: float | None) -> float | None:
    return None if end_s is None else round(end_s - start_s, 3)


class PodWatch:
    """Follows pods in a thread of its own.

    Args:
        api: a client that may watch pods.
        namespace: where they are.
        selector: their labels.
    """

    def __init__(self, api: client.ApiClient, namespace: str, selector: str) -> None:
        self._core = client.CoreV1Api(api)
        self._where = {"namespace": namespace, "label_selector": selector}
        self._seen: list[PodSeen] = []
        self._ended = threading.Event()
        self._thread = WatchedThread(self._follow, name="necp-pods", asked=self._ended)

    def __enter__(self) -> PodWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.stop(2.0 * _WATCH_S)

    def seen(self, since_s: float = 0.0) -> list[PodSeen]:
        """Return what was seen, from a time on.

        Raises:
            SuiteError: the watch ended early: what was not seen may have happened all the same.
        """
        if self._thread.problem:
            raise SuiteError(f"the watch over pods ended early: {self._thread.problem}")
        return [row for row in list(self._seen) if row.at_s >= since_s]

    def _follow(self) -> None:
        version = ""
        while not self._ended.is_set():
            try:
                if not version:
                    # From a list on: a watch tells what is there already in no order, and its versions are old.
                    listed = self._core.list_namespaced_pod(**self._where)
                    self._seen += [_row("ADDED", pod) for pod in listed.items]
                    version = listed.metadata.resource_version
                for event in watch.Watch().stream(
                    self._core.list_namespaced_pod, **self._where, resource_version=version, timeout_seconds=_WATCH_S
                ):
                    version = event["object"].metadata.resource_version
                    self._seen.append(_row(event["type"], event["object"]))
            except client.ApiException as error:
                version = "" if error.status == 410 else version  # too old: begin anew
            except (HTTPError, OSError):
                self._ended.wait(0.2)


def _row(kind: str, pod: Any) -> PodSeen:
    return PodSeen(
        at_s=time.monotonic(),
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        node=pod.spec.node_name or "",
        ready=is_ready(pod),
        deleting=pod.metadata.deletion_timestamp is not None,
        gone=kind == "DELETED",
    )
