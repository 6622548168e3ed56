"""Locust users: each is a game server that flushes its events on its own tick, and the shape that starts them."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import gevent
import gevent.event
import gevent.pool
from locust import LoadTestShape, User, task
from locust.env import Environment

from necp_validate.core.first_failure import FirstFailure
from necp_validate.events.topics import Domain
from necp_validate.load.shares import spare_users
from necp_validate.load.world import Server, World

#: Locust's shape ticks once a second and users take a moment to start: ask for them ahead of their first flush.
_AHEAD_S = 2.5


class Stage:
    """Where the game servers of a process play; users that come before it is open wait for that.

    Args:
        failure: takes what ends a server or a user early.
    """

    def __init__(self, failure: FirstFailure) -> None:
        self.failure = failure
        self._world: gevent.event.AsyncResult = gevent.event.AsyncResult()
        self._servers = gevent.pool.Group()
        self._closed = False

    def serve(self, environment: Environment) -> None:
        """Let the users of an environment find it. Locust logs what they raise, and goes on without them."""
        environment.necp_stage = self  # type: ignore[attr-defined]  # how users find it
        failed: Any = environment.events.user_error  # which Locust leaves untyped
        failed.add_listener(lambda exception, **_: self.failure.note(exception))

    def open(self, world: World) -> None:
        """Let users bring up the servers of a world that is open."""
        self._world.set(world)

    def bring_up_server(self, domain: Domain) -> None:
        """Bring up the next server, if one is left, and leave it to itself."""
        world: World = self._world.get()
        server = None if self._closed else world.claim(domain)
        if server is not None:
            self.failure.watch(self._servers.spawn(_play, world, server))

    def close(self) -> None:
        """End every server, whatever it has still to send; none is brought up any more."""
        self._closed = True
        self._servers.kill()


def _play(world: World, server: Server) -> None:
    """Flush on schedule until the schedule ends."""
    for intended_us in server.due_us:
        if (wait_s := intended_us / 1e6 - time.time()) > 0:
            gevent.sleep(wait_s)
        world.flush(server, intended_us)
    world.finished += 1


class GameServer(User):
    """A game server of one domain, open loop: late flushes are sent at once and counted from when they were due."""

    abstract = True
    domain: ClassVar[Domain]

    @task
    def serve(self) -> None:
        """Bring a game server up, which plays to the end of its schedule, and idle beside it.

        The server is not ended with its user: when a worker is lost, Locust deals out all users anew and stops some
        of the others', but servers must stay where they are.
        """
        stage: Stage = self.environment.necp_stage  # set by the process's main
        stage.bring_up_server(self.domain)
        while True:
            gevent.sleep(3600)


class CombatServer(GameServer):
    """Hosts a match: damage, moves, abilities and kills of one tick at a time."""

    domain = Domain.COMBAT


class EconomyServer(GameServer):
    """Hosts a market: transfers, trades and listings."""

    domain = Domain.ECONOMY


class SocialServer(GameServer):
    """Hosts channels and guilds: messages and memberships."""

    domain = Domain.SOCIAL


class SystemServer(GameServer):
    """A node that reports health, sessions and audit events."""

    domain = Domain.SYSTEM


USERS: dict[Domain, type[GameServer]] = {
    Domain.COMBAT: CombatServer,
    Domain.ECONOMY: EconomyServer,
    Domain.SOCIAL: SocialServer,
    Domain.SYSTEM: SystemServer,
}


class ScheduleShape(LoadTestShape):
    """As many users as the schedule wants soon: ramp, steady, surge and recovery as the phases say.

    Users are only ever added: a server whose time is over idles, so Locust never stops one that is due again.

    Args:
        world: the process's world; its schedules say how many servers play when.
    """

    def __init__(self, world: World) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # locust leaves it untyped
        self._world = world
        self._users = 0
        self._spare = spare_users(len(world.schedules), world.plan.processes)

    def tick(self) -> tuple[int, float]:
        """Number of users for the next moments, and the spawn rate; the process's main ends the run."""
        at = max(time.time() - self._world.start_us / 1e6, 0.0)
        wanted = sum(
            max(schedule.servers(at), schedule.servers(at + _AHEAD_S)) for schedule in self._world.schedules.values()
        )
        self._users = max(self._users, wanted + self._spare)
        return self._users, 100.0
