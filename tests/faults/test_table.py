"""What is published of a run: how many held of how many, and a repetition counts for nothing."""

from tests.faults import table
from tests.faults.engines import Engine
from tests.faults.run import Result
from tests.faults.verdict import Complaint


def _result(fault: str, *, fails: bool = False, alone: bool = False, skipped: str | None = None) -> Result:
    complaints = [Complaint("one event each", "evt_1 is there 2 times")] if fails else []
    return Result(engine=Engine.SQLITE, fault=fault, seed=7, complaints=complaints, alone=alone, skipped=skipped)


def test_a_failure_that_holds_when_it_is_repeated_alone_is_a_failure() -> None:
    results = [_result("web-killed", fails=True), _result("web-killed", alone=True), _result("poison")]

    assert table.total(results, took_s=90) == "1 of 2 held in 1.5 min"
    assert "web-killed (repeated alone)" in table.markdown(results)


def test_what_was_skipped_is_not_called_held() -> None:
    results = [_result("poison"), _result("disk-full", skipped="only root can mount a small file system")]

    assert table.total(results, took_s=60) == "1 of 1 held in 1.0 min, 1 were skipped"
