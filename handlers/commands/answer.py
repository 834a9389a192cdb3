"""Answer `/hookline …` at once, to the person who typed it and nobody else."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from handlers.commands.asker import Asker
from handlers.commands.disputes import list_disputes
from handlers.commands.event import show_event
from handlers.commands.today import sum_up_today
from ledger import views

COMMAND = "/hookline"

HELP = """\
`/hookline payments today`: what was taken, failed, refunded and disputed, by currency
`/hookline disputes`: those that are open, the most urgent first
`/hookline event <id>`: what became of an event, by our id or the provider's
`/hookline status`: how many deliveries and alerts are waiting, done or dead
`/hookline help`: this"""

NOT_ALLOWED = "You may not ask for this. SLACK_ALLOWED_USERS names those who may."


def answer_command(db: Connection, command: str, text: str, asker: Asker) -> str | None:
    """Say what a slash command asks for (mrkdwn), or None for a command that is not ours."""
    if command != COMMAND:
        return None
    words = text.split()
    asked = " ".join(words).lower()
    if asked == "status":
        return _status(db)
    about_money = QUESTIONS.get(asked)
    if about_money is not None:
        return about_money(db, asker) if asker.is_allowed else NOT_ALLOWED
    if len(words) == EVENT_WORDS and words[0].lower() == "event":
        return show_event(db, words[1]) if asker.is_allowed else NOT_ALLOWED
    return HELP


QUESTIONS: Mapping[str, Callable[[Connection, Asker], str]] = {
    "payments today": sum_up_today,
    "payments": sum_up_today,
    "disputes": list_disputes,
}
EVENT_WORDS = 2


def _status(db: Connection) -> str:
    deliveries, effects = views.count_deliveries(db), views.count_effects(db)
    return "\n".join([f"*Deliveries*: {_list(deliveries)}", f"*Alerts*: {_list(effects)}"])


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in counts.items()) or "none yet"
