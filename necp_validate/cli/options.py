"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help='a run directory, a run\'s id, or "last"')]
StackOption = Annotated[
    str | None, typer.Option(metavar="KIND", help="auto, local, docker or external; the scenario's own by default")
]
TargetOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="TOML file of an external target; implies --stack external")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="overrides one key; may be repeated")
]
AttachOption = Annotated[bool, typer.Option("--attach", help="use the stack that `up` left running")]
ClaimsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="TOML file of your own claims, judged beside the suite's")
]
RepeatsOption = Annotated[
    list[str] | None,
    typer.Option("--repeat-of", metavar="RUN", help="an earlier run of the same, for claims that hold in N of M"),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(metavar="WORD", help="on an external target: write, create-topics, faults; may be repeated"),
]
