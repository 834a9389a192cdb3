"""What REDIS_URL and RABBITMQ_URL say. Reads text and connects to nothing; no error holds a part of the URL."""

import os
import ssl
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Host = tuple[str, int]

REDIS_PORT = 6379
SENTINEL_PORT = 26379
AMQP_PORT = 5672
AMQPS_PORT = 5671

ESCAPES = "with %-escapes for what is special in a name or password"
REDIS_FORM = (
    "it should look like redis://user:password@host:6379/0, rediss://… with TLS, unix:///path, or "
    f"redis+sentinel://user:password@host:26379,host:26379/service/0, {ESCAPES}"
)
RABBITMQ_FORM = f"it should look like amqp://user:password@host:5672,host:5672/vhost, or amqps://… with TLS, {ESCAPES}"

TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_cert_reqs"})
SENTINEL_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})
REQUIREMENTS = {"required": True, "none": False}


class Malformed(ValueError):
    """A broker's URL that cannot be used. The text says how it should look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a server's certificate is checked.

    Attributes:
        ca_file: certificates of authorities to trust besides the system's.
        verify: False takes any certificate, as some hosting companies ask for.

    """

    ca_file: str | None = None
    verify: bool = True

    def make_context(self) -> ssl.SSLContext:
        """Read the certificates. Raises OSError if they cannot be used."""
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context.load_verify_locations(self.ca_file)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who we say we are."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUrl:
    """One Redis, or the one that is master of a service that Sentinels watch.

    Attributes:
        hosts: the server; or the Sentinels, when there is a `service`. Empty when there is a `path`.
        path: of a Unix socket.
        service: what the Sentinels call the master.
        sentinel: the account for the Sentinels themselves.
        tls: for the server, and for the Sentinels; None for neither.

    """

    hosts: tuple[Host, ...]
    path: str | None
    service: str | None
    database: int
    account: Account
    sentinel: Account
    tls: Tls | None

    @property
    def place(self) -> str:
        """Where it is, without passwords."""
        if self.path is not None:
            return self.path
        parts = [_joined(self.hosts), self.service, str(self.database)]
        return "/".join(part for part in parts if part is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitmqUrl:
    """One RabbitMQ, or the nodes of one cluster, to be tried in this order."""

    hosts: tuple[Host, ...]
    vhost: str
    account: Account
    tls: Tls | None

    @property
    def place(self) -> str:
        """Where it is, without passwords."""
        return f"{_joined(self.hosts)}/{self.vhost.removeprefix('/')}"


def parse_redis_url(url: str) -> RedisUrl:
    """Read REDIS_URL.

    Raises:
        Malformed: it cannot be used.

    """
    parts = _split(url, ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel"), REDIS_FORM)
    watched = parts.scheme.endswith("+sentinel")
    tls = parts.scheme.startswith("rediss")
    known = {"db"} | (TLS_OPTIONS if tls else set()) | (SENTINEL_OPTIONS if watched else set())
    options = _options(parts.query, known, REDIS_FORM)
    socket = unquote(parts.path) if parts.scheme == "unix" else None
    words = [] if socket else [unquote(word) for word in parts.path.split("/")[1:]]
    service = words.pop(0) if watched and words else None
    database = options.get("db") or "".join(words) or "0"
    hosts = _hosts(parts, SENTINEL_PORT if watched else REDIS_PORT, REDIS_FORM)
    right_place = not hosts and socket if parts.scheme == "unix" else hosts and (watched or len(hosts) == 1)
    if not right_place or bool(service) != watched or len(words) > 1 or not _is_number(database):
        raise Malformed(REDIS_FORM)
    return RedisUrl(
        hosts=hosts,
        path=socket,
        service=service,
        database=int(database),
        account=_account(parts),
        sentinel=Account(username=options.get("sentinel_username"), password=options.get("sentinel_password")),
        tls=_tls(options) if tls else None,
    )


def parse_rabbitmq_url(url: str) -> RabbitmqUrl:
    """Read RABBITMQ_URL.

    Raises:
        Malformed: it cannot be used.

    """
    parts = _split(url, ("amqp", "amqps"), RABBITMQ_FORM)
    tls = parts.scheme == "amqps"
    options = _options(parts.query, TLS_OPTIONS if tls else (), RABBITMQ_FORM)
    hosts = _hosts(parts, AMQPS_PORT if tls else AMQP_PORT, RABBITMQ_FORM)
    vhost = parts.path.removeprefix("/")
    if not hosts or "/" in vhost:
        raise Malformed(RABBITMQ_FORM)
    return RabbitmqUrl(
        hosts=hosts,
        vhost=unquote(vhost) or "/",
        account=_account(parts),
        tls=_tls(options) if tls else None,
    )


def _split(url: str, schemes: Sequence[str], form: str) -> SplitResult:
    # By hand, because some of Python's own versions refuse a list of hosts with an IPv6 address in it.
    scheme, separator, rest = url.partition("://")
    # What follows an unescaped # of a password would be passed over in silence.
    if scheme not in schemes or not separator or "#" in url:
        raise Malformed(form)
    place, _, query = rest.partition("?")
    netloc, slash, path = place.partition("/")
    return SplitResult(scheme=scheme, netloc=netloc, path=slash + path, query=query, fragment="")


def _hosts(parts: SplitResult, default_port: int, form: str) -> tuple[Host, ...]:
    places = parts.netloc.rpartition("@")[2]
    try:
        return tuple(_host(place, default_port) for place in places.split(",") if places)
    except ValueError:
        raise Malformed(form) from None


def _host(place: str, default_port: int) -> Host:
    found = urlsplit(f"//{place}")
    if not found.hostname or found.port == 0:
        raise ValueError
    return found.hostname, found.port or default_port


def _account(parts: SplitResult) -> Account:
    username, _, password = parts.netloc.rpartition("@")[0].partition(":")
    return Account(username=unquote(username) or None, password=unquote(password) or None)


def _options(query: str, known: Collection[str], form: str) -> Mapping[str, str]:
    """Read the part after the question mark. A name that is not known may be a piece of a password: it is not shown."""
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise Malformed(form) from None
    if not options.keys() <= set(known):
        listed = ", ".join(sorted(known)) or "none"
        raise Malformed(f"it has an option (after ?) that is not known for this kind of URL: known are {listed}")
    return options


def _tls(options: Mapping[str, str]) -> Tls:
    ca_file = options.get("ssl_ca_certs")
    verify = REQUIREMENTS.get(options.get("ssl_cert_reqs", "required"))
    if verify is None:
        raise Malformed("its option ssl_cert_reqs can be required (as without it) or none")
    if ca_file is not None and not os.access(ca_file, os.R_OK):
        raise Malformed("its option ssl_ca_certs does not name a file that can be read")
    tls = Tls(ca_file=ca_file, verify=verify)
    try:
        tls.make_context()
    except OSError:
        raise Malformed("the file that its option ssl_ca_certs names holds no certificates") from None
    return tls


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len("99999")


def _joined(hosts: Sequence[Host]) -> str:
    return ",".join(f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name, port in hosts)
