"""Stands in for the Slack API on loopback: as strict as the real one where we use it, and as troublesome if told so.

Sources: docs.slack.dev, "chat.postMessage", "chat.update", "chat.postEphemeral", "conversations.history",
"conversations.replies", "Block Kit", "Rate limits"; slack_sdk 3.47.0, which posts messages as JSON and asks for
history with a form.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from tests.servers.ports import unused_port
from tests.system.slack_rules import problem_with

TOKEN = "xoxb-of-the-system-tests"

FINANCE, ENGINEERING = "#finance", "#engineering"
CHANNELS = {FINANCE: "C0QKFINAN1", ENGINEERING: "C0QKENGIN1"}

HOLD_S = 60.0

BETWEEN_POSTS_S = 0.9
# "Generally 1 message per second per channel": who posts faster is told to wait.

TELLING = {"chat.postMessage", "chat.update", "chat.postEphemeral"}
LOOKING = {"conversations.history", "conversations.replies"}

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A message that is in a channel."""

    channel: str  # its name
    ts: str
    arguments: Arguments  # as it reads now
    visible: bool = True  # in the channel's history
    thread_ts: str | None = None  # of the message that it is a reply to
    changes: int = 0  # how often it was changed

    @property
    def text(self) -> str:
        return str(self.arguments["text"])

    @property
    def key(self) -> str:
        return str(self.arguments["metadata"]["event_payload"]["key"])

    @property
    def says(self) -> str:
        """All of it, as JSON."""
        return json.dumps(dict(self.arguments), ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the API."""

    method: str
    arguments: Arguments
    at: float  # monotonic seconds
    status: int  # 0: no answer


@dataclass(slots=True, kw_only=True)
class Trouble:
    """What goes wrong with one call that posts or changes a message.

    Attributes:
        status: answer with this instead of posting.
        retry_after_s: with a status of 429.
        takes: the message gets into the channel; without it Slack never had it.
        visible: it can be seen in the channel's history.
        answers: an answer is sent at the end; without it the connection is dropped.
        hold: do nothing more until `release` is set.

    """

    status: int = 200
    retry_after_s: int = 0
    takes: bool = False
    visible: bool = True
    answers: bool = True
    hold: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


class SlackStandIn:
    """A workspace with a few channels, and all that was ever posted there."""

    def __init__(self, *, token: str = TOKEN, channels: Mapping[str, str] = CHANNELS) -> None:
        self.token = token
        self.channels = channels  # their ids, by name
        self.port = unused_port()
        self.posts: list[Post] = []
        self.calls: list[Call] = []
        self.refused: list[tuple[str, Arguments]] = []
        self.page_size = 200
        self.scopes = "chat:write,channels:history"
        self.trouble: deque[Trouble] = deque()
        self._lock = threading.Lock()
        self._held: list[Trouble] = []
        self._busy: dict[str, _Busy] = {}
        self._posted_at: dict[str, float] = {}
        self.whispers: list[Arguments] = []
        self.too_fast = 0
        self.between_posts_s = BETWEEN_POSTS_S
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._last_ts = 0.0

    @property
    def environ(self) -> dict[str, str]:
        """What makes a service use it."""
        return {"SLACK_BOT_TOKEN": self.token, "SLACK_API_URL": f"http://127.0.0.1:{self.port}/api/"}

    def start(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), self.answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="slack")
        self._thread.start()

    def stop(self) -> None:
        """Be down: nobody listens."""
        if self._server is None or self._thread is None:
            return
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = None

    def release(self) -> None:
        """Go on with all calls that are held."""
        for held in self._held:
            held.release.set()

    def expect(self, trouble: Trouble) -> Trouble:
        """Have trouble with the next message (one each)."""
        self.trouble.append(trouble)
        return trouble

    def be_busy(self, channel: str, *, after_s: int) -> None:
        """Answer 429 to the next message to a channel, and to all that come within its Retry-After."""
        self._busy[channel] = _Busy(after_s)

    def posts_of(self, key: str) -> list[Post]:
        """Give the messages of one effect, by its business key."""
        return [post for post in self.posts if post.key == key]

    def posts_about(self, text: str) -> list[Post]:
        return [post for post in self.posts if text in post.says]

    def replies_to(self, post: Post) -> list[Post]:
        """Give what is in a message's thread."""
        return [each for each in self.posts if each.thread_ts == post.ts]

    def delete(self, post: Post) -> None:
        """Delete a message, as a person may."""
        with self._lock:
            self.posts = [each for each in self.posts if each.ts != post.ts]

    def calls_of(self, method: str, *, status: int | None = None) -> list[Call]:
        return [call for call in self.calls if call.method == method and status in (None, call.status)]

    def answer(self, request: "_Request") -> None:
        """Answer one request."""
        method = request.path.removeprefix("/api/")
        arguments, problem = self._read(request, method)
        if problem is not None:
            self.refused.append((problem, arguments))
            self._reply(request, method, arguments, {"ok": False, "error": problem})
        elif method in TELLING:
            self._tell(request, method, arguments)
        elif method == "auth.test":
            answer = {"ok": True, "team": "Acme", "user": "hookline"}
            self._note(method, arguments, 200)
            request.reply(200, {"X-OAuth-Scopes": self.scopes}, answer)
        else:
            self._reply(request, method, arguments, self._history(arguments))

    def _read(self, request: "_Request", method: str) -> tuple[Arguments, str | None]:
        body = request.rfile.read(int(request.headers["content-length"] or 0))
        content_type = str(request.headers["content-type"]).partition(";")[0]
        if request.headers["authorization"] != f"Bearer {self.token}":
            return {}, "invalid_auth"
        if method == "auth.test":
            return {}, None
        if method in TELLING and content_type == JSON_TYPE:
            arguments = json.loads(body)
            return arguments, self._problem_with(method, arguments)
        if method in LOOKING and content_type == FORM_TYPE:
            question = dict(parse_qsl(body.decode(), strict_parsing=True))
            if "channels:history" not in self.scopes:
                return question, "missing_scope"
            return question, None if question.get("channel") in self.channels.values() else "channel_not_found"
        return {}, "invalid_arguments" if method in TELLING | LOOKING else "unknown_method"

    def _problem_with(self, method: str, arguments: Arguments) -> str | None:
        # chat.update takes nothing but a channel's id.
        ids = self.channels.values()
        channels = ids if method == "chat.update" else [*self.channels, *ids]
        if problem := problem_with(method, arguments, channels):
            return problem
        known = {(post.channel, post.ts) for post in self.posts}
        where = self.name_of(arguments["channel"])
        if method == "chat.update" and (where, arguments.get("ts")) not in known:
            return "message_not_found"
        if "thread_ts" in arguments and (where, arguments["thread_ts"]) not in known:
            return "thread_not_found"
        return None

    def _tell(self, request: "_Request", method: str, arguments: Arguments) -> None:
        trouble = self._trouble_with(self.name_of(arguments["channel"]))
        post = self._take(method, arguments, visible=trouble.visible) if trouble.takes else None
        trouble.reached.set()
        if trouble.hold:
            trouble.release.wait(HOLD_S)
        if not trouble.answers:
            self._note(method, arguments, 0)
        elif post is None:
            headers = {"Retry-After": str(trouble.retry_after_s)} if trouble.retry_after_s else {}
            content = {"ok": False, "error": "ratelimited" if trouble.retry_after_s else "internal_error"}
            self._note(method, arguments, trouble.status)
            request.reply(trouble.status, headers, content)
        else:
            self._reply(request, method, arguments, _receipt(post, self.channels[post.channel]))

    def _trouble_with(self, channel: str) -> Trouble:
        with self._lock:
            now = time.monotonic()
            busy = self._busy.get(channel)
            if busy is not None and busy.is_at(now):
                return Trouble(status=429, retry_after_s=busy.after_s)
            if now < self._posted_at.get(channel, 0.0) + self.between_posts_s:
                self.too_fast += 1
                return Trouble(status=429, retry_after_s=1)
            self._posted_at[channel] = now
            trouble = self.trouble.popleft() if self.trouble else Trouble(takes=True)
            self._held.append(trouble)
            return trouble

    def _take(self, method: str, arguments: Arguments, *, visible: bool) -> Post:
        with self._lock:
            channel = self.name_of(arguments["channel"])
            if method == "chat.update":
                return self._change(channel, arguments)
            self._last_ts = max(time.time(), self._last_ts + 0.000001)
            thread_ts = arguments.get("thread_ts")
            ts = f"{self._last_ts:.6f}"
            post = Post(channel=channel, ts=ts, arguments=arguments, visible=visible, thread_ts=thread_ts)
            if method == "chat.postEphemeral":
                self.whispers.append(arguments)
            else:
                self.posts.append(post)
            return post

    def _change(self, channel: str, arguments: Arguments) -> Post:
        (place,) = (
            number for number, post in enumerate(self.posts) if (post.channel, post.ts) == (channel, arguments["ts"])
        )
        old = self.posts[place]
        self.posts[place] = replace(old, arguments={**old.arguments, **arguments}, changes=old.changes + 1)
        return self.posts[place]

    def _history(self, question: Arguments) -> dict[str, Any]:
        if question.get("include_all_metadata") not in ("1", "true"):
            return {"ok": False, "error": "these tests look for metadata"}
        oldest = float(question.get("oldest", 0))
        found = [
            {"type": "message", "ts": post.ts, "text": post.text, "metadata": post.arguments["metadata"]}
            for post in reversed(self.posts)
            if self.channels[post.channel] == question["channel"]
            and post.visible
            and float(post.ts) > oldest
            # What is in a thread is not in the channel's history, but where it was broadcast.
            and (question.get("ts") in (post.ts, post.thread_ts) if "ts" in question else _in_channel(post))
        ]
        start = int(question.get("cursor", 0))
        end = start + min(self.page_size, int(question.get("limit", 100)))
        more = {"response_metadata": {"next_cursor": str(end)}} if end < len(found) else {}
        return {"ok": True, "messages": found[start:end], "has_more": end < len(found), **more}

    def _reply(self, request: "_Request", method: str, arguments: Arguments, content: Mapping[str, Any]) -> None:
        self._note(method, arguments, 200)
        request.reply(200, {}, content)

    def _note(self, method: str, arguments: Arguments, status: int) -> None:
        self.calls.append(Call(method=method, arguments=arguments, at=time.monotonic(), status=status))

    def name_of(self, channel: str) -> str:
        """Give the name of a channel that may be named by its id."""
        return next((name for name, its_id in self.channels.items() if its_id == channel), channel)


@dataclass(slots=True)
class _Busy:
    """A channel that is busy from its next message on."""

    after_s: int
    until: float | None = None  # monotonic

    def is_at(self, now: float) -> bool:
        if self.until is None:
            self.until = now + self.after_s
        return now < self.until


def _in_channel(post: Post) -> bool:
    return post.thread_ts is None or bool(post.arguments.get("reply_broadcast"))


def _receipt(post: Post, channel_id: str) -> dict[str, Any]:
    message = {"type": "message", "ts": post.ts, "text": post.text, "bot_id": "B0QKHOOKL1"}
    return {"ok": True, "channel": channel_id, "ts": post.ts, "message": message}


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them

    def __init__(self, address: tuple[str, int], answer: Callable[["_Request"], None]) -> None:
        super().__init__(address, _Request)
        self.answer = answer


class _Request(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        try:
            self.server.answer(self)
        except ConnectionError:  # who asked has been killed, or has stopped waiting
            self.close_connection = True

    def reply(self, status: int, headers: Mapping[str, str], content: Mapping[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        always = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))}
        for name, value in {**headers, **always}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name for it
        """Say nothing."""
