"""Which runs are repeats of the same: other runs, of the same load on the same kind of target and machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from necp_validate.core import UsageError
from necp_validate.record import RunInfo, parts, read_info

_MAY_DIFFER = frozenset({"seed", "judge", "claims", "description"})
"""What two runs of the same load may have different in their configuration."""

_SAME_CONTENT = ("history/load-", "history/readback", "history/fuzz")
"""Of these, no two runs have the same file."""


def differences(run: RunInfo, other: RunInfo) -> list[str]:
    """In what two runs differ that are to be compared, in words; nothing if they are alike.

    Args:
        run: the one.
        other: the other.
    """
    found = [
        f"{name} {was} and not {of}"
        for name, of, was in (
            ("scenario", run.scenario, other.scenario),
            ("scale", f"{run.scale:g}", f"{other.scale:g}"),
            ("stack", run.target.backend, other.target.backend),
            ("Kafka", run.target.kafka_version, other.target.kafka_version),
            ("CPUs", run.machine.cpus, other.machine.cpus),
            ("memory", _gib(run), _gib(other)),
            *((f"version of {name}", run.versions.get(name), other.versions.get(name)) for name in ("necp-validate",)),
        )
        if was != of
    ]
    keys = sorted((run.config.keys() | other.config.keys()) - _MAY_DIFFER)
    changed = [key for key in keys if run.config.get(key) != other.config.get(key)]
    return found + ([f"another configuration ({', '.join(changed)})"] if changed else [])


def _gib(run: RunInfo) -> str:
    known = run.machine.memory_bytes
    return "unknown" if known is None else f"{known / 2**30:.0f} GiB"


def same_run(run_dir: Path, other_dir: Path) -> bool:
    """Whether two directories hold the same run, be one a copy under another name."""
    run, other = read_info(run_dir), read_info(other_dir)
    if run.id == other.id or run.started_us == other.started_us:
        return True
    digests = [_digests(one) for one in (run_dir, other_dir)]
    return bool(digests[0] & digests[1])


def _digests(run_dir: Path) -> set[str]:
    manifest = parts.MANIFEST.read(run_dir)
    files = {} if manifest is None else manifest.files
    return {digest for path, digest in files.items() if path.startswith(_SAME_CONTENT)}


def require_repeats(run_dir: Path, repeats: Sequence[Path]) -> None:
    """Do nothing if other runs are repeats of a run.

    Args:
        run_dir: of the run.
        repeats: of the others.

    Raises:
        UsageError: one is of something else, or the same run twice.
    """
    run = read_info(run_dir) if repeats else None
    for at, one in enumerate(repeats):
        other = read_info(one)
        for before in (run_dir, *repeats[:at]):
            if same_run(before, one):
                named = read_info(before).id
                words = f"{one} is no repeat: it holds the same run as {before}" if named != other.id else ""
                raise UsageError(
                    words or f"{other.id} is no repeat of itself", hint="name other runs of the same scenario"
                )
        assert run is not None
        if found := differences(run, other):
            raise UsageError(f"{other.id} is no repeat of {run.id}: it has {'; '.join(found)}")
