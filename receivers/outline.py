"""Of a JSON object only what stands at a few places: to make Python objects of all the rest takes most of the time."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import CoreConfig, SchemaValidator
from pydantic_core import core_schema as schemas

from ledger.event import JSON, read_payload

ANYTHING = "anything"

FEW = 8
# To look at so many letters by themselves is faster than to look for a word at once.

Tree = dict[str, "Tree"]


class Outline:
    """Reads what stands at some dotted paths; of an object that stands there, only that it is one.

    It takes what `read_payload` takes, and what it gives has the same values at the ends of the paths, but for objects,
    which are empty.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        """Take the paths; nothing is read at others."""
        tree: Tree = {}
        for path in paths:
            node = tree
            for key in path.split("."):
                node = node.setdefault(key, {})
        schema = schemas.definitions_schema(_object(tree), [_anything()])
        self._validate = SchemaValidator(schema, CoreConfig(strict=True)).validate_json

    def read(self, body: bytes) -> dict[str, Any]:
        """Read a body. Raises Unreadable: it is not a JSON object."""
        if not has_words_unknown_to_json(body):
            try:
                outline: dict[str, Any] = self._validate(body)
            except ValidationError:
                pass
            else:
                return outline
        return read_payload(JSON, body)  # which says what is wrong


def has_words_unknown_to_json(body: bytes) -> bool:
    """Say whether NaN or Infinity may be in it, which Pydantic takes for numbers when it only validates."""
    return _holds(body, b"N", b"NaN") or _holds(body, b"I", b"Infinity")


def _holds(body: bytes, letter: bytes, word: bytes) -> bool:
    """Say whether a word that begins with this letter is in a body. A letter is found in a tenth of the time."""
    at = -1
    for _ in range(FEW):
        at = body.find(letter, at + 1)
        if at < 0:
            return False
        if body.startswith(word, at):
            return True
    return word in body


def _object(tree: Tree) -> schemas.CoreSchema:
    fields = {name: schemas.typed_dict_field(_value(below), required=False) for name, below in tree.items()}
    return schemas.typed_dict_schema(fields)


def _value(below: Tree) -> schemas.CoreSchema:
    anything = schemas.definition_reference_schema(ANYTHING)
    return schemas.union_schema([_object(below), anything], mode="left_to_right") if below else anything


def _anything() -> schemas.CoreSchema:
    return schemas.union_schema(
        [
            schemas.typed_dict_schema({}),
            schemas.list_schema(
                schemas.definition_reference_schema(ANYTHING)
            ),  # early: each in vain is slow with a list
            schemas.str_schema(),
            schemas.none_schema(),
            schemas.bool_schema(),
            schemas.int_schema(),
            schemas.float_schema(),
        ],
        mode="left_to_right",
        ref=ANYTHING,
    )
