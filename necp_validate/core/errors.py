"""Errors that reach a person: what happened, to what, and what to do about it."""

from __future__ import annotations


def reason_in(told: str) -> str:
    """The reason in the text of an error, in one line: the last one that is no hint."""
    return next((line for line in reversed(told.splitlines()) if not line.startswith("hint: ")), told)


def in_one_line(error: BaseException) -> str:
    """An exception in one line: its type, and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


class SuiteError(Exception):
    """The suite itself could not do its work (exit code 4).

    Args:
        message: what happened, to what.
        hint: what the reader can do about it, one sentence.
        detail: last log lines or the like, printed below the message.
    """

    exit_code = 4

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        parts = [self.message]
        if self.detail:
            parts.append(self.detail.rstrip())
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)


class UsageError(SuiteError):
    """The input (an argument, a file, a key) is wrong (exit code 2); the message names the place."""

    exit_code = 2


class StackError(SuiteError):
    """The stack could not be brought up, or a part of it died (exit code 4)."""
