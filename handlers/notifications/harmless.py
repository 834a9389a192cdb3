"""Makes what strangers wrote safe to show in Slack: no mentions, no links, no formatting, no tricks with direction.

A customer may be called `<!channel>` or `<https://evil.example|Stripe>`. Slack would notify everyone, or show a link.
"""

import re
import unicodedata
from collections.abc import Mapping

INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs"})
# Control characters; format characters, with them those that turn the reading direction; private use; halves of pairs.

JOINERS = "\u200c\u200d"
# Format characters that Persian, Hindi and families of emoji are written with.

FORMATTING = {"*": "\u2217", "`": "\u02cb", "~": "\u223c"}
# Slack has no way to escape these, so look-alikes stand for them.

EDGE_UNDERSCORE = re.compile(r"_(?:(?<![^\W_]_)|(?![^\W_]))")
# `_so_` is italic; the ones inside `pi_3Pq_x` are not, and ids have to stay what they are. The underscore stands first,
# because Python finds a fixed beginning six times as fast.

BRACKETS = {"<": "\u2039", ">": "\u203a"}
# For plain text, in which `&lt;` may be shown as it is.


LOOKED_AT = 10
# How many times too long a text may be before the rest is not even looked at: bodies may have a megabyte.


def clean(text: str, max_chars: int) -> str:
    """Put the text on one line, without what cannot be seen, and cut it to `max_chars`."""
    head = text[: max_chars * LOOKED_AT]
    seen = head if head.isprintable() else "".join(_visible(char) for char in head)
    line = " ".join(seen.split())
    return line if len(line) <= max_chars else line[: max_chars - 1].rstrip() + "…"


def mrkdwn(text: str, max_chars: int = 300) -> str:
    """Make text harmless in Slack's mrkdwn and in the fallback text of a message.

    The result may be five times as long: `&` becomes `&amp;`.
    """
    plainly = _replaced(clean(text, max_chars), FORMATTING)
    return escape(EDGE_UNDERSCORE.sub("\uff3f", plainly) if "_" in plainly else plainly)


def plain(text: str, max_chars: int = 300) -> str:
    """Make text harmless in a plain_text object."""
    return _replaced(clean(text, max_chars), BRACKETS)


def escape(text: str) -> str:
    """Escape the three characters that mean something to Slack everywhere."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _replaced(text: str, looks: Mapping[str, str]) -> str:
    for char, look in looks.items():  # str.translate takes ten times as long
        text = text.replace(char, look)
    return text


def _visible(char: str) -> str:
    if char.isspace():
        return " "
    return "" if unicodedata.category(char) in INVISIBLE and char not in JOINERS else char
