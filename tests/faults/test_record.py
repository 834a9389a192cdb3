"""What a sender has written is in its file before the sender goes on, however many write at once."""

import asyncio
import json
from contextlib import closing
from pathlib import Path

from tests.faults.record import Record


def test_a_line_is_in_the_file_when_its_writer_goes_on_and_what_was_noted_before_it_too(tmp_path: Path) -> None:
    path = tmp_path / "senders.jsonl"

    async def write(record: Record, number: int) -> None:
        record.note({"what": "story", "number": number})
        for what in ("attempt", "answer"):
            await record.write({"what": what, "number": number})
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            own = [line["what"] for line in lines if line["number"] == number]
            assert own == ["story", "attempt", "answer"][: len(own)]
            assert own[-1] == what

    async def write_all() -> None:
        with closing(Record(path)) as record:
            await asyncio.gather(*(write(record, number) for number in range(100)))

    asyncio.run(write_all())

    assert len(path.read_text().splitlines()) == 300
