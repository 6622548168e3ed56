"""The process of players: ``python -m necp_validate.players PLAN.json``.

It tries the certificates that must be refused, prints ``ready`` and waits for a line ``start <epoch us>`` on standard
input, unless the plan has the time. With ``--worker`` it is one of ``plan.processes`` and takes every n-th player;
what each does follows from the plan alone, so the processes need no word between them.
"""

from __future__ import annotations

# Locust first: it has gevent replace the blocking calls of the standard library.
from locust.env import Environment  # isort: skip

import argparse
import gc
import logging
import signal
import sys
import time
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

from necp_validate.core import SuiteError
from necp_validate.core.first_failure import FirstFailure
from necp_validate.players.game import Game
from necp_validate.players.plan import PlayersPlan, read_plan
from necp_validate.players.probes import probe_certificates
from necp_validate.players.users import Player
from necp_validate.record import Appender, PlayersRow, parts

_SPAWN_PER_S = 2000.0


def main(argv: list[str] | None = None) -> int:
    """Run one process of players; returns its exit code (0 done, 1 interrupted, 4 could not work)."""
    parser = argparse.ArgumentParser(prog="python -m necp_validate.players", description=__doc__)
    parser.add_argument("plan", type=Path, help="plan file, written by the runner")
    parser.add_argument("--worker", type=int, default=0, metavar="INDEX", help="which of plan.processes this is")
    arguments = parser.parse_args(argv)
    plan = read_plan(arguments.plan)
    gc.collect()
    gc.freeze()
    # No full collection: through the sessions and views of 2,000 players it takes seconds, in which nobody plays.
    gc.set_threshold(50_000, 20, 1_000_000)
    try:
        return _play(plan, arguments.worker)
    except SuiteError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"the players could not work: {error}", file=sys.stderr)
        return SuiteError.exit_code


def _play(plan: PlayersPlan, worker: int) -> int:
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stopped.set)
    probes = probe_certificates(plan, "start")
    print("ready", flush=True)
    start_us = plan.start_us or _started()
    failure = FirstFailure(stopped.set)
    game = Game(plan, worker, start_us, failure)
    game.account.certificates += probes
    environment = Environment(user_classes=[Player], stop_timeout=1)
    environment.necp_game = game  # type: ignore[attr-defined]  # how users find it
    failed: Any = environment.events.user_error  # which Locust leaves untyped
    failed.add_listener(lambda exception, **_: failure.note(exception))
    # It warns of so many at once, but a user only waits for its stay to begin.
    logging.getLogger("locust.runners").setLevel(logging.ERROR)
    runner = environment.create_local_runner()
    runner.start(game.players, spawn_rate=_SPAWN_PER_S)
    clock = failure.watch(gevent.spawn(game.play, lambda: not stopped.is_set()))
    run_dir = Path(plan.run_dir)
    with parts.PLAYERS_TIMELINE.open(run_dir, game.account.worker) as timeline:
        _watch(game, timeline, stopped)
        failure.check("the players")
        interrupted = stopped.is_set()
        stopped.set()
        clock.join()
        runner.quit()
        for playing in list(game.playing.values()):  # users that were stopped in the middle of a session
            game.leave(playing)
        game.close()  # nothing more comes: the last row and the record are of the same
        timeline.write(game.account.row(_now_us(), 0))
    failure.check("the players")
    game.account.interest.settle(_now_us() + 10**9)
    game.account.certificates += [] if interrupted else probe_certificates(plan, "end")
    parts.PLAYERS_LATENCY.write(run_dir, game.account.worker, game.account.histograms)
    parts.PLAYERS.write(run_dir, game.account.record())
    return 1 if interrupted else 0


def _watch(game: Game, timeline: Appender[PlayersRow], stopped: Event) -> None:
    """Write a row every second until all players are done, or it is no use to wait any longer."""
    limit_us = game.end_us + round((game.plan.drain_timeout_s + 15) * 1e6)
    while not stopped.wait(1.0 - time.time() % 1.0) and game.done < game.players and _now_us() < limit_us:
        now_us = _now_us()
        game.account.interest.settle(now_us)
        timeline.write(game.account.row(now_us, game.online))


def _started() -> int:
    """The time from the line ``start <epoch us>``.

    Raises:
        SuiteError: there was another line, or none.
    """
    line = sys.stdin.readline().split()
    if len(line) != 2 or line[0] != "start" or not line[1].isdigit():
        raise SuiteError(
            f"expected a line 'start <epoch us>' on standard input, found {' '.join(line)!r}",
            hint="give the plan a start_us to run the players by hand",
        )
    return int(line[1])


def _now_us() -> int:
    return time.time_ns() // 1000


if __name__ == "__main__":
    sys.exit(main())
