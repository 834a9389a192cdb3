"""How people name events and deliveries: by our ids, by the provider's, or by how those begin."""

from collections.abc import Sequence

from ledger import views
from ledger.errors import Unknown
from ledger.question import Asked
from ledger.views.event import MIN_PREFIX_CHARS

NAMED = 5
# So many are named in a message; of more, the number.


def find_event(db: Asked, address: str) -> int:
    """Give our id of an event. Raises as `find_events` does."""
    event_id = views.find_event(db, address)
    if event_id is None:
        raise Unknown(_no_event([address]))
    return event_id


def find_events(db: Asked, addresses: Sequence[str]) -> list[int]:
    """Give our ids of events, in the order in which they were named.

    Raises:
        Unknown: some of them do not exist.
        ledger.errors.SeveralEvents: several begin like that.

    """
    found = views.find_events(db, addresses)
    missing = [address for address, event_id in found.items() if event_id is None]
    if missing:
        raise Unknown(_no_event(missing))
    return [event_id for event_id in found.values() if event_id is not None]


def split(db: Asked, addresses: Sequence[str]) -> tuple[set[int], list[int]]:
    """Tell deliveries, named by our ids, from events, named by the provider's. Give the ids of both.

    Raises:
        Unknown: some of them do not exist.

    """
    ids = {number for address in addresses if (number := views.read_id(address)) is not None}
    missing = views.missing_deliveries(db, ids)
    if missing:
        raise Unknown(f"there is no delivery {_names(missing)}")
    return ids, find_events(db, [address for address in addresses if views.read_id(address) is None])


def _no_event(missing: Sequence[str]) -> str:
    too_short = any(0 < len(each) < MIN_PREFIX_CHARS and not each.isdigit() for each in missing)
    hint = f" (the beginning of an id is enough, but of {MIN_PREFIX_CHARS} characters or more)" if too_short else ""
    return f"there is no event {_names(missing)}{hint}"


def _names(missing: Sequence[object]) -> str:
    names = ", ".join(str(each) or "''" for each in missing[:NAMED])
    return names if len(missing) <= NAMED else f"{names} and {len(missing) - NAMED} more"
