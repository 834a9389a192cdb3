"""A question that may hang."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

from ledger.glance import Glance
from tests.cli.dev.waiting import wait_until

AGES_S = 60.0


def test_however_many_ask_it_is_asked_once_and_remembered() -> None:
    asked: list[float] = []
    release = threading.Event()

    def ask() -> int:
        asked.append(time.monotonic())
        release.wait(AGES_S)
        return 42

    glance = Glance("test", ask, fresh_s=AGES_S)
    with ThreadPoolExecutor(8) as many:
        answers = [many.submit(glance.answer, wait_s=AGES_S) for _ in range(8)]
        release.set()
        assert [answer.result() for answer in answers] == [42] * 8
    assert glance.answer(wait_s=0) == 42
    assert len(asked) == 1


def test_nobody_waits_for_a_question_that_hangs_and_the_answer_is_there_when_it_comes() -> None:
    release = threading.Event()
    glance = Glance("test", lambda: release.wait(AGES_S), fresh_s=AGES_S)

    assert glance.answer(wait_s=0.01) is None
    assert glance.answer(wait_s=0) is None

    release.set()
    assert glance.answer(wait_s=AGES_S) is True


def test_an_old_answer_is_kept_while_the_next_one_is_on_its_way_if_it_will_do() -> None:
    release = threading.Event()
    release.set()

    def ask() -> str:
        release.wait(AGES_S)
        return "old"

    glance = Glance("test", ask, fresh_s=0.0, keep_s=AGES_S)
    brief = Glance("brief", ask, fresh_s=0.0)
    brief.answer(wait_s=AGES_S)
    assert glance.answer(wait_s=AGES_S) == "old"
    release.clear()

    assert glance.answer(wait_s=0.01) == "old"
    assert brief.answer(wait_s=0.01) is None
    release.set()


def test_a_question_that_fails_has_no_answer_and_is_asked_again() -> None:
    answers = chain([ZeroDivisionError()], repeat("better"))

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    glance = Glance("test", ask, fresh_s=0.0)
    assert glance.answer(wait_s=AGES_S) is None
    wait_until(lambda: glance.answer(wait_s=AGES_S) == "better")
