"""`hookline listen`: sends new events to a server on this machine as they come in, after those that it missed."""

import os
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer

from cli.ending import Ending
from cli.errors import Disconnected, Gone, NotDone
from cli.forward.command import AllowRemote, Sending, send
from cli.forward.target import Target, resolve
from cli.hands import Hands, View, open_hands
from cli.listen.place import Place
from cli.listen.stream import Position, position_at, unseen
from cli.moment import parse_moment
from cli.options import Json, Source
from cli.posting import SECRET_VARIABLES
from cli.show import note, write

if TYPE_CHECKING:
    from config.settings import Settings

# ruff: noqa: PLC0415  # the settings are imported when they are needed: `--help` starts without

INTERVAL_S = 0.5

WAIT_S = 1.0
# Before somebody who does not answer is asked again.


def listen(
    forward_to: Annotated[
        str | None, typer.Option(metavar="URL", help="Where to: http://localhost:3000/webhooks/stripe.")
    ] = None,
    events: Annotated[
        str | None, typer.Option(metavar="TYPES", help="Only these types, with commas between; * stands for anything.")
    ] = None,
    source: Source = None,
    since: Annotated[
        float | None,
        typer.Option(
            parser=parse_moment, metavar="WHEN", help="Begin with what came in since then, not where it was left."
        ),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET", help="What the server there verifies with. [this directory's development secret]"
        ),
    ] = None,
    print_secret: Annotated[
        bool, typer.Option("--print-secret", help="Only print the development secret, of --source or of stripe.")
    ] = False,
    allow_remote: AllowRemote = False,
    as_json: Json = False,
) -> None:
    """Send new events to a server on this machine as they come in, until Ctrl-C.

    First it catches up with what came in since the last time that it ran for this
    URL; the first time, it begins now. The original bytes are sent, with the
    provider's headers and a new signature, so that they verify there. While the
    server does not listen, or the ledger does not answer, it says so, waits, and
    misses nothing. What is answered without a 2xx is shown, and not sent again.

    Examples:
      hookline listen --forward-to http://localhost:3000/webhooks/stripe --source stripe
      hookline listen --forward-to http://localhost:3000/hooks --events 'invoice.*,charge.refunded' --since 2h
      hookline listen --print-secret
    """
    from config.settings import load_settings

    if source is not None and source not in SECRET_VARIABLES:
        raise typer.BadParameter(f"{source!r} is not a source: there are {', '.join(SECRET_VARIABLES)}")
    settings = load_settings(os.environ)
    if print_secret:
        write(f"{_development_secret(settings, source or 'stripe')}\n")
        return
    if forward_to is None:
        raise typer.BadParameter("say where to: --forward-to http://localhost:3000/webhooks/stripe")
    patterns = [each.strip() for each in (events or "*").split(",") if each.strip()]

    def wants(view: View) -> bool:
        known = view["source"] in SECRET_VARIABLES  # what Hookline says of itself is signed by nobody
        return known and source in (None, view["source"]) and any(fnmatchcase(view["type"], each) for each in patterns)

    def secret_of(its_source: str) -> str:
        return _development_secret(settings, its_source) if secret is None else secret

    if secret is not None and not secret.strip():
        raise NotDone("the secret to sign with is empty")
    target = resolve(forward_to, allow_remote=allow_remote)
    ending = Ending()
    ending.listen()
    with open_hands(os.environ) as hands:
        place = Place(settings.hookline_data_dir, ledger=hands.name, url=forward_to)
        listener = Listener(hands, place, target, wants=wants, secret_of=secret_of, as_json=as_json)
        try:
            listener.run(ending, since=since)
        except KeyboardInterrupt:
            return


class Listener:
    """Goes through the events that were not sent yet, one by one."""

    def __init__(
        self,
        hands: Hands,
        place: Place,
        target: Target,
        *,
        wants: Callable[[View], bool],
        secret_of: Callable[[str], str],
        as_json: bool,
    ) -> None:
        """Take where events come from and go to, which are wanted, and what those of a source are signed with."""
        self._hands = hands
        self._place = place
        self._target = target
        self._wants = wants
        self._secret_of = secret_of
        self._as_json = as_json
        self._silent = False

    def run(self, ending: Ending, *, since: float | None) -> None:
        """Send what there is and what comes, until somebody ends it."""
        position = self._begin(since)
        note(f"sending to {self._target.url}: {self._from_where(position, since)}")
        while not ending.is_asked_for():
            try:
                new = unseen(self._hands, position)
            except Disconnected as error:
                self._say_silent(str(error))
                time.sleep(WAIT_S)
                continue
            self._say_back("the ledger answers again")
            for view in new:
                if self._wants(view):
                    self._send(view["id"], ending)
                if ending.is_asked_for():
                    return
                position.mark(view["id"])
                self._place.write(position)  # after it was sent: what is interrupted is sent again
            if not new:
                time.sleep(INTERVAL_S)

    def _begin(self, since: float | None) -> Position:
        kept = self._place.read() if since is None else None
        if kept is not None and kept.newest <= self._hands.newest():
            return kept
        position = position_at(self._hands, since=since)
        self._place.write(position)
        return position

    def _from_where(self, position: Position, since: float | None) -> str:
        behind = self._hands.newest() - position.newest
        if since is None and not behind:
            return "what comes in from now on"
        return f"what came in after event {position.newest}, and then what comes in"

    def _send(self, event_id: int, ending: Ending) -> None:
        """Send one event, as often as it takes until something listens there.

        Raises:
            NotDone: it cannot be read, and neither could the next one. It counts as not sent.

        """
        while not ending.is_asked_for():
            try:
                event = self._hands.load(event_id)
            except Disconnected as error:
                self._say_silent(str(error))
            except Gone as error:
                note(str(error))
                return
            else:
                sending = Sending(to=self._target.url, secret=self._secret_of(event.source), trigger="listen")
                answer = send(event, self._target, sending, as_json=self._as_json, quiet_if_nobody=True)
                if answer.connected:
                    self._say_back(f"{self._target.url} answers again")
                    return
                self._say_silent(f"nothing listens at {self._target.url} ({answer.error})")
            time.sleep(WAIT_S)

    def _say_silent(self, reason: str) -> None:
        if not self._silent:
            note(f"{' '.join(reason.split())}: waiting")
        self._silent = True

    def _say_back(self, sentence: str) -> None:
        if self._silent:
            note(sentence)
        self._silent = False


def _development_secret(settings: "Settings", source: str) -> str:
    """Give the secret that `hookline dev` and `hookline trigger` use in this directory; make it, if there is none."""
    from cli.dev.secrets import ensure_dev_secrets

    path = settings.dev_secrets_path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        variable = SECRET_VARIABLES[source]
        return ensure_dev_secrets(path, [variable], {})[variable]
    except (OSError, UnicodeDecodeError) as error:
        raise NotDone(f"{path} cannot be used ({error}): say --secret") from None
