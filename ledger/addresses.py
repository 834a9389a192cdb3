"""How people name events and deliveries: by our ids, by the provider's, or by how those begin."""

from collections.abc import Sequence

from sqlalchemy import Connection

from ledger import views

NAMED = 5
# So many are named in a message; of more, the number.


class Unknown(LookupError):
    """Some of what was named does not exist."""

    def __init__(self, noun: str, missing: Sequence[object]) -> None:
        """Take what they were said to be, `event` or `delivery`, and how they were named."""
        super().__init__(f"there is no {noun} {_names(missing)}")


def find_events(db: Connection, addresses: Sequence[str]) -> list[int]:
    """Give our ids of events, in the order in which they were named.

    Raises:
        Unknown: some of them do not exist.
        ledger.views.SeveralEvents: several begin like that.

    """
    found = views.find_events(db, addresses)
    missing = [address for address, event_id in found.items() if event_id is None]
    if missing:
        raise Unknown("event", missing)
    return [event_id for event_id in found.values() if event_id is not None]


def split(db: Connection, addresses: Sequence[str]) -> tuple[set[int], list[int]]:
    """Tell deliveries, named by our ids, from events, named by the provider's. Give the ids of both.

    Raises:
        Unknown: some of them do not exist.

    """
    ids = {number for address in addresses if (number := views.read_id(address)) is not None}
    missing = views.missing_deliveries(db, ids)
    if missing:
        raise Unknown("delivery", missing)
    return ids, find_events(db, [address for address in addresses if views.read_id(address) is None])


def _names(missing: Sequence[object]) -> str:
    names = ", ".join(str(each) or "''" for each in missing[:NAMED])
    return names if len(missing) <= NAMED else f"{names} and {len(missing) - NAMED} more"
