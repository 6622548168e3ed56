"""Turns whatever goes wrong into one clean message and an exit code between 0 and 4."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from necp_validate.core.errors import SuiteError, in_one_line

P = ParamSpec("P")
R = TypeVar("R")


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Make a command end with a message, its hint and an exit code instead of a traceback."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort):
            raise
        except SuiteError as error:
            tell(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            tell(SuiteError("interrupted"))
            raise typer.Exit(SuiteError.exit_code) from error
        except BrokenPipeError as error:
            # Whoever read the output has gone (`| head`): nothing is left to be told, not even at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(SuiteError.exit_code) from error
        except Exception as error:  # a defect of the suite: keep the traceback, show what a person can use
            tell(_unexpected(error))
            raise typer.Exit(SuiteError.exit_code) from error

    return wrapper


def tell(error: SuiteError) -> None:
    """Print what happened, to what, and what to do, to standard error."""
    console = Console(stderr=True, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), error.message))
    if error.detail:
        console.print(Text(error.detail.rstrip(), style="dim"))
    if error.hint:
        console.print(Text.assemble(("hint: ", "bold"), error.hint))


def _unexpected(error: Exception) -> SuiteError:
    with tempfile.NamedTemporaryFile(
        "w", prefix="necp-validate-", suffix=".traceback.txt", delete=False, encoding="utf-8"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    return SuiteError(
        f"necp-validate itself failed: {in_one_line(error)}",
        hint=f"this is a defect; the traceback is in {file.name}",
    )
