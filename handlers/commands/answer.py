"""Answer `/hookline …` at once, to the person who typed it and nobody else."""

from sqlalchemy import Connection

from ledger import views

COMMAND = "/hookline"
HELP = "Try `/hookline status`: how many deliveries and alerts are waiting, done or dead."


def answer_command(db: Connection, command: str, text: str) -> str | None:
    """Say what a slash command asks for (mrkdwn), or None for a command that is not ours."""
    if command != COMMAND:
        return None
    return _status(db) if text.strip().lower() == "status" else HELP


def _status(db: Connection) -> str:
    deliveries, effects = views.count_deliveries(db), views.count_effects(db)
    return "\n".join([f"*Deliveries*: {_list(deliveries)}", f"*Alerts*: {_list(effects)}"])


def _list(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in counts.items()) or "none yet"
