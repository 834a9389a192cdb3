"""The exact bytes of an event, in one piece or put together from several (`ledger.pieces`)."""

from collections.abc import Collection

from ledger.question import Asked, among, column, each, value


def get_body(db: Asked, event_id: int) -> bytes | None:
    """Give the exact bytes that were signed."""
    body: bytes | None = value(db, "SELECT body FROM events WHERE id = :id", {"id": event_id})
    return read_body(db, event_id) if body == b"" else body


def sizes_of(db: Asked, event_ids: Collection[int]) -> dict[int, int]:
    """Say how large the bodies of those of these events are that have one in pieces, in bytes, by event."""
    its = among(db, "event_id", event_ids)
    return {row[0]: row[1] for row in each(db, f"SELECT event_id, size FROM large_bodies WHERE {its.text}", its.values)}


def read_body(db: Asked, event_id: int) -> bytes:
    """Put the body of an event together; empty when it has none in pieces."""
    return b"".join(column(db, _PIECES, {"event_id": event_id}))


_PIECES = """
    SELECT content FROM body_pieces JOIN large_bodies ON large_bodies.id = body_pieces.body_id
    WHERE large_bodies.event_id = :event_id ORDER BY number
"""
