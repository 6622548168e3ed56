"""What a worker on another host is given along with the plan: files that the plan names, and places for its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from necp_validate.core import SuiteError
from necp_validate.load.plan import LoadPlan
from necp_validate.stack.private import write_private

_PLACES = ".location"


def pack(plan: LoadPlan) -> dict[str, bytes]:
    """Return the files that a plan's clients need, by path: certificates, keys, stores.

    Raises:
        SuiteError: one cannot be read.
    """
    clients = [plan.verifier, *(traffic.client for traffic in plan.traffic.values())]
    paths = {value for client in clients for name, value in client.items() if name.endswith(_PLACES)}
    try:
        return {path: Path(path).read_bytes() for path in sorted(paths)}
    except OSError as error:
        raise SuiteError(f"{error.filename}, which load workers need, cannot be read: {error.strerror}") from error


def unpack(plan: LoadPlan, files: Mapping[str, bytes], folder: Path) -> LoadPlan:
    """Write the files of ``pack`` below a folder, and return the plan with that folder in the place of the master's.

    Args:
        plan: as the master has it.
        files: by the path that the plan has them under.
        folder: private to this worker; its part of the history goes there too.
    """
    moved = {}
    for number, (path, content) in enumerate(files.items()):
        here = folder / f"file-{number}-{Path(path).name}"
        write_private(here, content)
        moved[path] = str(here)

    def here_too(client: Mapping[str, str]) -> dict[str, str]:
        return {name: moved.get(value, value) if name.endswith(_PLACES) else value for name, value in client.items()}

    traffic = {
        domain: msgspec.structs.replace(
            one,
            client=here_too(one.client),
            password_file=str(password_file(folder, domain)) if one.password_file else "",
        )
        for domain, one in plan.traffic.items()
    }
    return msgspec.structs.replace(
        plan, run_dir=str(folder), traffic=traffic, verifier=here_too(plan.verifier), web_port=None, join_key=""
    )


def password_file(folder: Path, domain: str) -> Path:
    """Return where a worker keeps the password of a domain's service once it has been changed."""
    return folder / f"password-{domain}"
