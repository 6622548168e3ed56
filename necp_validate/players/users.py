"""Locust users: each is a player who logs in when its stay begins, plays, comes back if cut off, and leaves."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import Final

import gevent
from locust import User, task

from necp_validate.players.agenda import Stay
from necp_validate.players.game import Game, Playing
from necp_validate.players.persona import Persona
from necp_validate.players.player import Session
from necp_validate.players.sockets import LOGIN_TIMEOUT_S, Broken, Line, Refusal
from necp_validate.realtime.messages import BadMessage, Leave, Login, Welcome, encode
from necp_validate.record import Interruption

_BACKOFF_S: Final = 0.25
_BACKOFF_AT_MOST_S: Final = 5.0
_HELLO_S: Final = 0.25
_SILENT_S: Final = 2.0
_SILENT_TICKS: Final = 8
"""Fewer in a row may be lost on a player's own bad line: one datagram in ten is, and thousands of players have many."""

_GIVE_UP_US: Final = 10_000_000
_LOOK_S: Final = 0.25
_GOODBYE_S: Final = 5.0


def backoff_s(attempt: int, rng: random.Random) -> float:
    """How long to wait before login number ``attempt`` (from 1) after a failed one.

    Exponential with full jitter: a herd that was cut off at one moment must not come back at one.
    """
    return rng.random() * min(_BACKOFF_S * 2.0**attempt, _BACKOFF_AT_MOST_S)


class Player(User):
    """A player, through all its stays."""

    @task
    def live(self) -> None:
        """Play from the first stay to the last, then idle until Locust stops it."""
        game: Game = self.environment.necp_game  # set by the process's main
        claimed = game.claim()
        if claimed is not None:
            persona, stays, greedy = claimed
            for stay in stays:
                _Visit(game, persona, stay, greedy=greedy).go()
            game.done += 1
        while True:
            gevent.sleep(3600)


class _Visit:
    """One stay of one player: a session, and further ones where it was cut off."""

    def __init__(self, game: Game, persona: Persona, stay: Stay, *, greedy: bool) -> None:
        self._game = game
        self._persona = persona
        self._stay = stay
        self._greedy = greedy
        self._rng = random.Random(f"{game.plan.seed}/{persona.number}/{stay.from_s}")
        self._until_us = game.start_us + round(stay.until_s * 1e6)
        self._silent_us = round(max(_SILENT_S, _SILENT_TICKS / game.plan.tick_min_hz) * 1e6)

    def go(self) -> None:
        """Log in when it is time, and stay until it is over."""
        begin_us = self._game.start_us + round(self._stay.from_s * 1e6)
        gevent.sleep(max(begin_us - time.time_ns() // 1000, 0) / 1e6)
        cut: Interruption | None = None
        while (now_us := _now_us()) < self._until_us:
            playing, attempts = self._log_in(max(now_us, begin_us) if cut is None else now_us)
            if playing is None:
                break
            if cut is not None:
                cut = replace(cut, login_us=_now_us(), attempts=attempts)
            cut = self._play(playing, cut)
            if cut is None:
                return
        if cut is not None:
            self._game.account.interruptions.append(cut)  # it never came back

    def _log_in(self, intended_us: int) -> tuple[Playing | None, int]:
        """Try until it succeeds or the stay is over; returns the session and the attempts made."""
        account, attempt = self._game.account, 0
        while _now_us() < self._until_us:
            attempt += 1
            try:
                playing = self._log_in_once()
            except Refusal as refusal:
                account.sessions["refused_logins"] += 1
                account.error(f"{self._persona.name}: login refused: {refusal}")
            except (Broken, BadMessage) as error:
                account.sessions["failed_logins"] += 1
                account.error(f"{self._persona.name}: login failed: {error}")
            else:
                account.sessions["logins"] += 1
                account.latency("login", "login", intended_us, _now_us() - intended_us)
                return playing, attempt
            gevent.sleep(backoff_s(attempt, self._rng))
        return None, attempt

    def _log_in_once(self) -> Playing:
        game, persona = self._game, self._persona
        line = Line(game.plan.websocket_url, game.context)
        try:
            login = Login(player=persona.name, match=self._stay.match, region=persona.region, build="necp-validate")
            line.send(encode(login))
            welcome = line.receive(LOGIN_TIMEOUT_S)
            if not isinstance(welcome, Welcome):
                raise Refusal(f"answered {welcome}")
        except BaseException:
            line.close()
            raise
        game.account.websocket["received"] += 1
        game.account.grid = game.account.interest.grid = welcome.grid
        session = Session(
            persona,
            self._stay.match,
            welcome,
            game.account,
            game.workshop,
            _now_us(),
            greedy=self._greedy,
            loses=game.line_of(persona.number),
        )
        playing = Playing(session, line, game.udp(persona.number, welcome.udp_port))
        playing.udp.sessions[session.id] = session
        game.enter(playing, greedy=self._greedy)
        return playing

    def _play(self, playing: Playing, cut: Interruption | None) -> Interruption | None:
        """Play until the stay is over; returns the interruption if the session broke before."""
        session, account = playing.session, self._game.account
        reader = self._game.failure.watch(gevent.spawn(self._read, playing))
        quiet_since_us = 0
        try:
            playing.send(session.hello())
            while session.over is None and (now_us := _now_us()) < self._until_us:
                gevent.sleep(min(_LOOK_S, max(self._until_us - now_us, 0) / 1e6 + 0.001))
                now_us = _now_us()
                if not session.state_us and now_us - session.begun_us < _GIVE_UP_US:
                    playing.send(session.hello())
                if cut is not None and session.converged_us:
                    account.interruptions.append(replace(cut, converged_us=session.converged_us))
                    cut = None
                quiet_since_us = self._look_for_silence(session, quiet_since_us, now_us)
                if now_us - (session.state_us or session.begun_us) > _GIVE_UP_US:
                    session.over = "no state"
            if session.over is None:
                self._leave(playing)
        finally:
            reader.kill()
            if cut is not None and session.converged_us:
                cut = replace(cut, converged_us=session.converged_us)
            self._game.leave(playing)
        if cut is not None:
            account.interruptions.append(cut)
        if session.summary is not None and session.over != "shutdown":
            return None
        account.sessions["broken"] += session.summary is None
        account.error(f"{self._persona.name}: session ended: {session.over}")
        account.interest.forget()
        lost_us = session.state_us if session.over == "no state" else _now_us()
        return Interruption(how="broken", lost_us=lost_us or session.begun_us, leaving=session.leaving)

    def _look_for_silence(self, session: Session, quiet_since_us: int, now_us: int) -> int:
        """Note a silence when it is over; returns since when there is one, or 0."""
        if session.state_us and now_us - session.state_us > self._silent_us:
            return quiet_since_us or session.state_us
        if quiet_since_us and session.state_us > quiet_since_us:
            back_us = session.state_us
            silence = Interruption(
                how="silent",
                lost_us=quiet_since_us,
                login_us=back_us,
                converged_us=back_us,
                leaving=session.leaving,
            )
            self._game.account.interruptions.append(silence)
            return 0
        return quiet_since_us

    def _leave(self, playing: Playing) -> None:
        """Stop acting, wait for what is still due to come, and say good-bye."""
        session, account = playing.session, self._game.account
        playing.acting = False
        session.leaving = True
        deadline = time.monotonic() + self._game.plan.drain_timeout_s
        while session.actions.waiting and session.over is None and time.monotonic() < deadline:
            gevent.sleep(_LOOK_S)
        if session.over is None:
            try:
                playing.line.send(encode(Leave()))
            except Broken as error:
                account.error(f"{self._persona.name}: could not say good-bye: {error}")
            deadline = time.monotonic() + _GOODBYE_S
            while session.over is None and time.monotonic() < deadline:
                gevent.sleep(0.05)

    def _read(self, playing: Playing) -> None:
        session, counts = playing.session, self._game.account.websocket
        while session.over is None:
            try:
                message = playing.line.receive()
            except (Broken, Refusal, BadMessage) as error:
                session.over = session.over or f"connection: {error}"
                return
            counts["received"] += 1
            session.message(message, _now_us())


def _now_us() -> int:
    return time.time_ns() // 1000
