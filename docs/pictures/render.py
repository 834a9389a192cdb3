"""Draw what Slack shows of a message: blocks in, SVG out. `make pictures` draws those of the docs, of golden files.

Not Slack's pixels, but its layout: a header, paragraphs, fields in two columns, small print, buttons.
"""

import html
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GOLDEN = HERE.parents[1] / "tests" / "handlers" / "golden"

PICTURES: Mapping[str, tuple[str, str]] = {
    "dispute_opened": ("pictured/dispute_opened.json", "finance"),
    "dispute_acknowledged": ("pictured/dispute_acknowledged.json", "finance"),
    "dispute_reopened": ("cases/case_dispute_reopened.json", "finance"),
    "dispute_won": ("pictured/dispute_won.json", "finance"),
    "dispute_thread": ("pictured/dispute_thread.json", "finance"),
    "subscription_failing": ("pictured/subscription_failing.json", "finance"),
    "subscription_paid": ("pictured/subscription_paid.json", "finance"),
    "suspicious_payment": ("pictured/suspicious_payment.json", "finance"),
    "storm": ("pictured/storm.json", "finance"),
    "storm_list": ("pictured/storm_list.json", "finance"),
    "inquiry": ("inquiry_usd.json", "finance"),
    "failed_payout": ("failed_payout_usd.json", "finance"),
    "failed_payment": ("failed_payment_usd.json", "finance"),
    "failed_refund": ("failed_refund_usd.json", "finance"),
    "refund": ("refund_usd.json", "finance"),
    "test_mode": ("failed_payment_test_connect.json", "finance"),
    "digest": ("hookline/digest.json", "finance"),
    "digest_late": ("hookline/digest_late_and_not_complete.json", "finance"),
    "failing_build": ("failing_build.json", "engineering"),
    "leaked_secret": ("leaked_secret.json", "engineering"),
    "vulnerable_dependency": ("vulnerable_dependency.json", "engineering"),
    "old_deliveries": ("hookline/old_deliveries.json", "engineering"),
    "old_deliveries_healed": ("hookline/old_deliveries_healed.json", "engineering"),
    "dead_deliveries": ("hookline/dead_deliveries.json", "engineering"),
    "silence": ("hookline/silence.json", "engineering"),
    "signatures": ("hookline/signatures.json", "engineering"),
}
# By the picture's name: its golden file, and the channel that it is shown in.

WIDTH = 720
LEFT = 66
INNER = WIDTH - LEFT - 24
GAP = 10

INK, GREY, BLUE, RED, GREEN, LINE = "#1d1c1d", "#616061", "#1264a3", "#c01343", "#007a5a", "#dddddd"
FONT = "Lato, Helvetica, Arial, sans-serif"
MONO = "Menlo, Consolas, DejaVu Sans Mono, monospace"

SPAN = re.compile(r"<(?P<url>https://[^|>]+)\|(?P<label>[^>]+)>|\*(?P<bold>[^*\n]+)\*|`(?P<code>[^`\n]+)`")

WIDE = 0.6
BOLD = 1.17
# Times the width of the same text in the regular face.

WIDTHS: Mapping[str, float] = {
    **dict.fromkeys("ijl'", 0.222),
    **dict.fromkeys(" !,./:;[]ftI\\|·", 0.278),
    **dict.fromkeys("()-r`{}", 0.333),
    **dict.fromkeys('"*^', 0.39),
    **dict.fromkeys("cksvxyzJ", 0.5),
    **dict.fromkeys("abdeghnopqu0123456789?#$_L€¥£", 0.556),
    **dict.fromkeys("+<=>~FTZ±\N{MINUS SIGN}", 0.6),
    **dict.fromkeys("ABEKPSVXY&", 0.667),
    **dict.fromkeys("wCDHNRU", 0.722),
    **dict.fromkeys("GOQ", 0.778),
    **dict.fromkeys("mM%", 0.86),
    **dict.fromkeys("W@…", 0.97),
}
# Of Helvetica's regular face, by its size (Adobe Font Metrics), rounded into classes.

SPARE = 1.13
# Where Helvetica is missing, what is there instead is wider.


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a line that is not broken."""

    text: str
    style: str = ""  # bold, code, link


@dataclass(slots=True)
class Page:
    """What was drawn so far, from the top."""

    drawn: list[str]
    y: float

    def line(self, x: float, size: float, words: list[Word], *, ink: str = INK, bold: bool = False) -> None:
        """Draw one line of text, and go below it."""
        self.y += size * 1.4
        spans = "".join(_span(word, size, ink, bold=bold) for word in _joined(words))
        self.drawn.append(f'<text x="{x:g}" y="{self.y:g}" font-size="{size:g}" xml:space="preserve">{spans}</text>')

    def paragraph(
        self, x: float, size: float, width: float, text: str, *, plain: bool = False, ink: str = INK, bold: bool = False
    ) -> None:
        """Draw text, broken into lines."""
        for each in text.split("\n"):
            words = [Word(each)] if plain else list(_spans(each))
            for line in _broken(words, size * (BOLD if bold else 1), width):
                self.line(x, size, line, ink=ink, bold=bold)


def render(message: Mapping[str, Any], channel: str) -> str:
    """Draw a message in a channel. Give the SVG."""
    page = Page([], 14)
    page.line(20, 13, [Word(f"# {channel}")], ink=GREY, bold=True)
    top = page.y + 12
    page.y = top - 2
    page.line(LEFT, 15, [Word("Hookline", "bold")])
    page.drawn.append(_avatar(top))
    for block in message["blocks"]:
        page.y += GAP / 2
        _BLOCKS[block["type"]](page, block)
    height = page.y + 22
    body = "\n".join(page.drawn)
    label = html.escape(str(message["text"]), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}" '
        f'viewBox="0 0 {WIDTH} {height:g}" font-family="{FONT}" role="img" aria-label="{label}">\n'
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:g}" rx="8" fill="#ffffff" stroke="{LINE}"/>\n'
        f"{body}\n</svg>\n"
    )


def _avatar(top: float) -> str:
    badge_x = LEFT + 80
    return (
        f'<rect x="20" y="{top:g}" width="36" height="36" rx="5" fill="#4a154b"/>'
        f'<text x="38" y="{top + 25:g}" font-size="20" font-weight="700" fill="#ffffff" text-anchor="middle">H</text>'
        f'<rect x="{badge_x}" y="{top + 5:g}" width="30" height="14" rx="2" fill="#e8e8e8"/>'
        f'<text x="{badge_x + 15}" y="{top + 16:g}" font-size="10" font-weight="700" fill="{GREY}" '
        'text-anchor="middle">APP</text>'
    )


def _header(page: Page, block: Mapping[str, Any]) -> None:
    page.paragraph(LEFT, 18, INNER, block["text"]["text"], plain=True, bold=True)


def _section(page: Page, block: Mapping[str, Any]) -> None:
    if "text" in block:
        page.paragraph(LEFT, 15, INNER, block["text"]["text"], plain=block["text"]["type"] == "plain_text")
    fields = block.get("fields", [])
    column = INNER / 2
    for start in range(0, len(fields), 2):
        top, bottoms = page.y + 4, []
        for number, field in enumerate(fields[start : start + 2]):
            page.y = top
            page.paragraph(LEFT + number * column, 15, column - 16, field["text"])
            bottoms.append(page.y)
        page.y = max(bottoms)


def _context(page: Page, block: Mapping[str, Any]) -> None:
    texts = [element["text"] for element in block["elements"]]
    page.paragraph(LEFT, 12.5, INNER, "    ".join(texts), plain=True, ink=GREY)


def _actions(page: Page, block: Mapping[str, Any]) -> None:
    x: float = LEFT
    page.y += 6
    for element in block["elements"]:
        label = element["text"]["text"]
        width = _width(label, 14) * BOLD + 26
        if x + width > LEFT + INNER:
            x, page.y = LEFT, page.y + 38
        primary = element.get("style") == "primary"
        fill, ink, edge = (GREEN, "#ffffff", GREEN) if primary else ("#ffffff", INK, "#bbbbbb")
        page.drawn.append(
            f'<rect x="{x:g}" y="{page.y:g}" width="{width:g}" height="32" rx="5" fill="{fill}" stroke="{edge}"/>'
            f'<text x="{x + width / 2:g}" y="{page.y + 21:g}" font-size="14" font-weight="700" fill="{ink}" '
            f'text-anchor="middle">{html.escape(label)}</text>'
        )
        x += width + 8
    page.y += 32


_BLOCKS = {"header": _header, "section": _section, "context": _context, "actions": _actions}


def _spans(mrkdwn: str) -> Iterator[Word]:
    """Take mrkdwn apart, as far as our messages use it."""
    end = 0
    for found in SPAN.finditer(mrkdwn):
        if found.start() > end:
            yield Word(html.unescape(mrkdwn[end : found.start()]))
        for style, name in (("link", "label"), ("bold", "bold"), ("code", "code")):
            if found[name] is not None:
                yield Word(html.unescape(found[name]), style)
        end = found.end()
    if end < len(mrkdwn):
        yield Word(html.unescape(mrkdwn[end:]))


def _broken(words: list[Word], size: float, width: float) -> Iterator[list[Word]]:
    line: list[Word] = []
    used = 0.0
    for each in (Word(piece, word.style) for word in words for piece in re.findall(r"\s*\S+|\s+$", word.text)):
        wide = _width(each.text, size) * (BOLD if each.style == "bold" else 1)
        if line and used + wide > width:
            yield line
            line, used = [], 0.0
            each = Word(each.text.lstrip(), each.style)  # noqa: PLW2901  # the same word, at the beginning of a line
        line.append(each)
        used += wide
    yield line


def _joined(words: list[Word]) -> Iterator[Word]:
    """Put neighbours of one style together."""
    text, style = "", ""
    for word in words:
        if word.style != style and text:
            yield Word(text, style)
            text = ""
        text, style = text + word.text, word.style
    if text:
        yield Word(text, style)


def _span(word: Word, size: float, ink: str, *, bold: bool) -> str:
    marks = {"link": f'fill="{BLUE}"', "code": f'fill="{RED}" font-family="{MONO}" font-size="{size * 0.85:g}"'}
    weight = ' font-weight="700"' if bold or word.style == "bold" else ""
    mark = marks.get(word.style, f'fill="{ink}"')
    return f"<tspan {mark}{weight}>{html.escape(word.text, quote=False)}</tspan>"


def _width(text: str, size: float) -> float:
    return size * SPARE * sum(WIDTHS.get(char, WIDE) for char in text)


def draw(name: str) -> str:
    """Draw one of PICTURES from its golden file."""
    golden, channel = PICTURES[name]
    return render(json.loads((GOLDEN / golden).read_text(encoding="utf-8")), channel)


def main() -> None:
    """Draw all pictures anew."""
    for name in PICTURES:
        (HERE / f"{name}.svg").write_text(draw(name), encoding="utf-8")
    sys.stdout.write(f"drew {len(PICTURES)} pictures in {HERE}\n")


if __name__ == "__main__":
    main()
