"""How the load ends: nothing new begins, and what is still to arrive is seen when it arrives.

Locust patches the process that imports it, so each is tried in one of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys

ALONE = """
told = []
world = SimpleNamespace(
    open=lambda start_us: None, save_phases=lambda: None, start_us=0, close=lambda sleep: told.append("read out")
)
stop = lambda: told.append("stop")
runner = SimpleNamespace(start_shape=lambda: None, shape_greenlet=None, stop=stop, quit=stop)
events = SimpleNamespace(user_error=SimpleNamespace(add_listener=lambda listener: None))
environment = SimpleNamespace(stats=None, events=events, create_local_runner=lambda: runner)
process.World = lambda plan, worker: world
process._environment = lambda world: environment
process._play = lambda world, stage, stopped: told.append("played")
assert process._be_alone(SimpleNamespace(web_port=None)) == 0
"""
CLOSED = """
told = []
server = SimpleNamespace(due_us=[1, 2])
world = SimpleNamespace(claim=lambda domain: server, flush=lambda _, at: told.append(at), finished=0)
stage = Stage(FirstFailure(lambda: None))
stage.open(world)
stage.bring_up_server("combat")
gevent.sleep(0)
stage.close()
stage.bring_up_server("combat")
gevent.sleep(0)
"""
_BEFORE = """
import json
from types import SimpleNamespace
from necp_validate.core.first_failure import FirstFailure
from necp_validate.load import __main__ as process
from necp_validate.load.users import Stage
import gevent
"""


def told(script: str) -> list[object]:
    """What a script has in ``told`` at its end."""
    command = [sys.executable, "-c", f"{_BEFORE}{script}print()\nprint(json.dumps(told))"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    found: list[object] = json.loads(ran.stdout.splitlines()[-1])
    return found


def test_the_last_receipts_are_taken_in_before_locust_takes_its_second_to_stop() -> None:
    assert told(ALONE) == ["played", "read out", "stop"]


def test_no_server_is_brought_up_once_the_stage_is_closed() -> None:
    assert told(CLOSED) == [1, 2]
