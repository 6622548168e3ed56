"""Attempts to get in with a certificate that must be refused, next to one that must not."""

from __future__ import annotations

from necp_validate.players.plan import PlayersPlan, TlsFiles
from necp_validate.players.sockets import Broken, Line, Refusal, tls_context
from necp_validate.realtime.messages import BadMessage, Leave, Login, Welcome, encode
from necp_validate.record import CertificateProbe

VALID = "valid"
_TIMEOUT_S = 5.0


def probe_certificates(plan: PlayersPlan, when: str) -> list[CertificateProbe]:
    """Try to log in with every certificate of the plan.

    The valid one comes first: if the gateway cannot be reached at all, nothing is known of the others. That a
    refusal is one, and not a gateway that is gone, is asked by trying the valid one again after each.

    Args:
        plan: says which certificates there are.
        when: ``start`` or ``end``.
    """
    found = [_probe(plan, when, VALID, plan.tls)]
    for name, tls in plan.refused_tls.items():
        one = _probe(plan, when, name, tls)
        reachable = found[0].refused is False and _probe(plan, when, VALID, plan.tls).refused is False
        if one.refused and not reachable:
            one = CertificateProbe(when=when, certificate=name, refused=None, how=f"the gateway is gone: {one.how}")
        found.append(one)
    return found


def _probe(plan: PlayersPlan, when: str, name: str, tls: TlsFiles) -> CertificateProbe:
    def said(refused: bool | None, how: str) -> CertificateProbe:
        return CertificateProbe(when=when, certificate=name, refused=refused, how=how)

    try:
        context = tls_context(tls)
    except OSError as error:
        return said(None, f"the certificate cannot be used: {error}")
    try:
        line = Line(plan.websocket_url, context, timeout_s=_TIMEOUT_S)
    except Refusal as refusal:
        return said(True, f"TLS: {refusal}")
    except Broken as broken:
        # The gateway has spoken TLS or not: only its own refusal is one, unless nothing at all may get in.
        return said(None if name == VALID else True, f"no connection: {broken}")
    try:
        # With TLS 1.3 a client is connected before the server has looked at its certificate.
        login = Login(player=f"probe-{name}-{plan.run_id[-16:]}", match="probe", region="probe", build="probe")
        line.send(encode(login))
        answer = line.receive(_TIMEOUT_S)
        if isinstance(answer, Welcome):
            line.send(encode(Leave()))
            return said(False, "logged in")
        return said(True, f"answered {type(answer).__name__}")
    except Refusal as refusal:
        return said(True, f"TLS: {refusal}")
    except Broken as broken:
        return said(None if name == VALID else True, f"ended: {broken}")
    except BadMessage as bad:
        return said(None, f"not understood: {bad}")
    finally:
        line.close()
