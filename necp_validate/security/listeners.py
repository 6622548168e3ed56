"""Getting in at a listener in every way that must be refused, and in the one that must not."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from necp_validate.clients.connection import Connection
from necp_validate.record import ACCEPTED, REFUSED, UNTRIED, ListenerProbe

_TIMEOUT_S: Final = 3.0
_API_VERSIONS, _METADATA = 18, 3
_STRANGE_NAME: Final = "somebody-else.invalid"
_WEAK_CIPHERS: Final = "eNULL:aNULL:3DES:RC4:DES:EXPORT:MD5:@SECLEVEL=0"
"""No encryption, no authentication, or broken; of these, what this machine's OpenSSL still has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """A client's certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One listener of one broker, and what there is to try it with.

    Args:
        name: ``internal``, ``external`` ...
        broker: node id.
        address: host and port.
        ca: file of the authority that the broker's certificate is from.
        mutual: whether it wants a client's certificate; if not, it wants a login by SCRAM.
        certificates: of clients, by variant: ``valid``, ``expired``, ``not-yet-valid``, ``wrong-ca``.
        login: user and password that are right; for a listener without certificates.
        mechanism: by which users log in.
    """

    name: str
    broker: int
    address: str
    ca: Path
    mutual: bool
    certificates: dict[str, KeyFiles] = field(default_factory=dict)
    login: tuple[str, str] = ("", "")
    mechanism: str = "SCRAM-SHA-512"


Make = Callable[[Connection, Listener], None]
"""Gets in on a new connection and sends a request; raises if it is refused."""


class CannotTry(Exception):
    """The attempt cannot be made from here; the message begins with "needs"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A way to try to get in.

    Args:
        name: which, e.g. ``no-certificate``.
        make: tries it.
        expected: ``refused``, but for the one right way.
    """

    name: str
    make: Make
    expected: str = REFUSED


def attempts_at(*, mutual: bool) -> tuple[Attempt, ...]:
    """Every way in that is tried at listeners with mutual TLS, or at those with a login."""
    return MUTUAL_ATTEMPTS if mutual else LOGIN_ATTEMPTS


def try_listener(listener: Listener) -> Iterator[tuple[ListenerProbe, int]]:
    """Try one listener in every way, in the right way first; if nobody is there, that is all.

    Returns:
        Each probe with the local port that it was made from, 0 if there was no connection.
    """
    for attempt in attempts_at(mutual=listener.mutual):
        outcome, answer, port = _outcome(attempt, listener)
        yield (
            ListenerProbe(
                listener=listener.name,
                broker=listener.broker,
                attempt=attempt.name,
                expected=attempt.expected,
                outcome=outcome,
                answer=answer,
                log_line="",
            ),
            port,
        )
        if attempt.expected == ACCEPTED and outcome == UNTRIED:
            return


def _outcome(attempt: Attempt, listener: Listener) -> tuple[str, str, int]:
    """How an attempt ended, what answered, and the local port it came from."""
    try:
        connection = Connection(listener.address, timeout_s=_TIMEOUT_S)
    except OSError as error:
        return UNTRIED, f"no connection to {listener.address}: {error.strerror or error}", 0
    with connection:
        return *_answer(attempt, listener, connection), connection.local_port


def _answer(attempt: Attempt, listener: Listener, connection: Connection) -> tuple[str, str]:
    try:
        attempt.make(connection, listener)
    except CannotTry as error:
        return UNTRIED, str(error)
    except TimeoutError:
        # Whoever is not answered has not got in; but nobody has said no either.
        return UNTRIED, f"no answer in {_TIMEOUT_S:g} s"
    except ssl.SSLCertVerificationError as error:
        return REFUSED, f"by the client: {error.verify_message}"
    except ssl.SSLError as error:
        return REFUSED, f"TLS: {_words(error)}"
    except OSError as error:
        return REFUSED, str(error) or type(error).__name__
    return ACCEPTED, "answered a request"


def _words(error: ssl.SSLError) -> str:
    return str(getattr(error, "reason", "") or error).replace("_", " ").lower()


def _context(listener: Listener, variant: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(listener.ca))
    if variant is not None:
        files = listener.certificates.get(variant)
        if files is None:
            raise CannotTry(f"needs a client's certificate that is {variant}")
        context.load_cert_chain(files.certificate, files.key)
    return context


def _right(listener: Listener) -> str | None:
    """The certificate with which one would get in, where one is wanted."""
    return "valid" if listener.mutual else None


def _get_in(connection: Connection, listener: Listener) -> None:
    """Be answered, at a listener with logins after one."""
    connection.ask(_API_VERSIONS, 0, b"")
    if not listener.mutual:
        connection.log_in(*listener.login, listener.mechanism)
        _use(connection)


def _use(connection: Connection) -> None:
    """Ask for something that only who is logged in gets."""
    connection.ask(_METADATA, 1, b"\0\0\0\0")


def _in_clear(connection: Connection, listener: Listener) -> None:
    _get_in(connection, listener)


def _with(variant: str | None) -> Make:
    """With a client's certificate, or without any."""

    def make(connection: Connection, listener: Listener) -> None:
        connection.secure(_context(listener, variant))
        _get_in(connection, listener)

    return make


def _as_somebody_else(connection: Connection, listener: Listener) -> None:
    connection.secure(_context(listener, _right(listener)), name=_STRANGE_NAME)
    _get_in(connection, listener)


def _by_old_tls(connection: Connection, listener: Listener) -> None:
    context = _context(listener, _right(listener))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        try:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        except (ssl.SSLError, ValueError) as error:
            raise CannotTry(f"needs an OpenSSL that still has TLS 1.1: {error}") from error
    connection.secure(context)
    _get_in(connection, listener)


def _by_weak_cipher(connection: Connection, listener: Listener) -> None:
    context = _context(listener, _right(listener))
    try:
        context.set_ciphers(_WEAK_CIPHERS)
    except ssl.SSLError as error:
        raise CannotTry(f"needs an OpenSSL that still has weak ciphers: {error}") from error
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    connection.secure(context)
    _get_in(connection, listener)


def _log_in(user: str = "", password: str = "", mechanism: str = "") -> Make:
    """Log in, with something else than what is right where it is given."""

    def make(connection: Connection, listener: Listener) -> None:
        connection.secure(_context(listener, None))
        right_user, right_password = listener.login
        connection.log_in(user or right_user, password or right_password, mechanism or listener.mechanism)
        _use(connection)

    return make


def _without_login(connection: Connection, listener: Listener) -> None:
    connection.secure(_context(listener, None))
    _use(connection)


def _by_plain(connection: Connection, listener: Listener) -> None:
    connection.secure(_context(listener, None))
    connection.choose_mechanism("PLAIN")


_ANY_LISTENER = (
    Attempt(name="plaintext", make=_in_clear),
    Attempt(name="wrong-host-name", make=_as_somebody_else),
    Attempt(name="tls-1.1", make=_by_old_tls),
    Attempt(name="weak-cipher", make=_by_weak_cipher),
)
MUTUAL_ATTEMPTS: Final = (
    Attempt(name="valid-certificate", make=_with("valid"), expected=ACCEPTED),
    Attempt(name="no-certificate", make=_with(None)),
    Attempt(name="expired-certificate", make=_with("expired")),
    Attempt(name="not-yet-valid-certificate", make=_with("not-yet-valid")),
    Attempt(name="wrong-ca", make=_with("wrong-ca")),
    *_ANY_LISTENER,
)
"""At a listener with mutual TLS."""

LOGIN_ATTEMPTS: Final = (
    Attempt(name="valid-login", make=_log_in(), expected=ACCEPTED),
    Attempt(name="no-login", make=_without_login),
    Attempt(name="wrong-password", make=_log_in(password="wrong")),
    Attempt(name="unknown-user", make=_log_in("nobody", "nothing")),
    Attempt(name="plain", make=_by_plain),
    Attempt(name="scram-sha-256", make=_log_in(mechanism="SCRAM-SHA-256")),
    *_ANY_LISTENER,
)
"""At a listener with TLS and a login."""
