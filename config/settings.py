"""What the environment says: every variable Hookline reads, checked, in one value."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from config.errors import InvalidSettings

CHECKOUT = Path(__file__).resolve().parent.parent

MIN_SECRET_CHARS = 16
# Shorter keys can be guessed offline from one captured, signed request.

MIN_IDENTITY_DAYS = 4
# Stripe goes on trying for three days: what was forgotten by then would be handled again.

SLACK_USER = re.compile(r"[UW][A-Z0-9]{2,20}")

STRIPE_KEY = re.compile(r"(?:sk|rk)_(live|test)_")

UNIX_SOCKET_PATH_MAX = 100
# The kernel keeps a socket's path in 108 bytes (104 on macOS).


class Settings(BaseModel):
    """The settings of one process. Build it with :func:`load_settings`, which reads all that it reads.

    A plain model, and not one that looks into the process's environment by itself: a test's environment is the whole
    environment, and what else could be looked into takes a tenth of a second to import.
    """

    # Defaults, too: what one variable says may not go with what another one is without being said.
    model_config = ConfigDict(extra="ignore", frozen=True, validate_default=True)

    database_url: str | None = None
    database_lock_timeout_s: float = Field(default=2, gt=0)
    database_statement_timeout_s: float = Field(default=30, gt=0)
    database_pool_size: int = Field(default=10, ge=1)
    redis_url: str | None = None
    rabbitmq_url: str | None = None
    otel_exporter_otlp_endpoint: str | None = None
    otel_exporter_otlp_traces_endpoint: str | None = None
    prometheus_multiproc_dir: Path | None = None
    hookline_metrics_port: int | None = Field(default=None, ge=1, le=65535)
    hookline_drain_s: float = Field(default=0, ge=0, le=60)
    hookline_keep_payload_days: int = Field(default=30, ge=1)
    hookline_keep_identity_days: int = Field(default=90, ge=MIN_IDENTITY_DAYS)
    stripe_api_key: SecretStr | None = None
    stripe_api_url: str = "https://api.stripe.com"
    slack_bot_token: SecretStr | None = None
    slack_api_url: str = "https://slack.com/api/"
    slack_finance_channel: str = "#finance"
    slack_engineering_channel: str = "#engineering"
    slack_allowed_users: str | None = None
    hookline_alerts: Path = CHECKOUT / "config" / "alerts.toml"
    hookline_data_dir: Path = CHECKOUT / "var"
    hookline_dev: bool = False
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)

    @field_validator("slack_api_url")
    @classmethod
    def _is_a_folder(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            message = "must start with https:// (or http:// for a stand-in)"
            raise ValueError(message)
        return value if value.endswith("/") else value + "/"

    @field_validator("stripe_api_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            message = "must start with https:// (or http:// for a stand-in)"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("hookline_keep_identity_days")
    @classmethod
    def _outlives_the_payload(cls, value: int, info: ValidationInfo) -> int:
        payload_days = info.data.get("hookline_keep_payload_days", 0)
        if value < payload_days:
            message = f"an event cannot go before its payload: must be {payload_days} or more"
            raise ValueError(message)
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis(cls, value: str | None) -> str | None:
        if value is not None:
            from config.brokers.url import parse_redis_url  # noqa: PLC0415  # what few commands have to import

            parse_redis_url(value)
        return value

    @field_validator("rabbitmq_url")
    @classmethod
    def _is_a_rabbitmq(cls, value: str | None) -> str | None:
        if value is not None:
            from config.brokers.url import parse_rabbitmq_url  # noqa: PLC0415  # ditto

            parse_rabbitmq_url(value)
        return value

    @field_validator("slack_allowed_users")
    @classmethod
    def _are_users(cls, value: str | None) -> str | None:
        for user in filter(None, (each.strip() for each in (value or "").split(","))):
            if user != "*" and not SLACK_USER.fullmatch(user):
                message = f"{user!r} is not a user's id: they begin with U or W (copy it from the person's profile)"
                raise ValueError(message)
        return value

    @field_validator("hookline_data_dir", "hookline_alerts")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def allowed_users(self) -> frozenset[str]:
        """The Slack users who may press buttons and ask `/hookline`; `*` is everybody."""
        return frozenset(user.strip() for user in (self.slack_allowed_users or "").split(",") if user.strip())

    @property
    def stripe_modes(self) -> frozenset[bool]:
        """The modes (`livemode`) that Stripe can be asked about: a key is of one, and says which by how it begins."""
        if self.stripe_api_key is None:
            return frozenset()
        mode = STRIPE_KEY.match(self.stripe_api_key.get_secret_value())
        return frozenset({True, False}) if mode is None else frozenset({mode[1] == "live"})

    @property
    def production(self) -> bool:
        """Whether this process was started by anything but `hookline dev`."""
        return not self.hookline_dev

    @property
    def ledger_path(self) -> Path:
        """The SQLite file that holds the ledger when DATABASE_URL is unset."""
        return self.hookline_data_dir / "ledger.db"

    @property
    def valkey_socket(self) -> Path:
        """The Unix socket of the embedded Valkey: in the data directory, or in a short one where that is too deep."""
        path = self.hookline_data_dir / "valkey.sock"
        return path if len(os.fsencode(path)) <= UNIX_SOCKET_PATH_MAX else _short_directory(path.parent) / path.name

    @property
    def embeds_valkey(self) -> bool:
        """Whether the broker is the embedded Valkey, because the environment names no other."""
        return self.redis_url is None and self.rabbitmq_url is None

    @property
    def resolved_redis_url(self) -> str:
        """REDIS_URL, or the embedded Valkey's socket."""
        return self.redis_url or f"unix://{quote(os.fspath(self.valkey_socket))}"

    @property
    def dev_secrets_path(self) -> Path:
        """Where `hookline dev` keeps the secrets it made."""
        return self.hookline_data_dir / "dev-secrets.env"


@dataclass(frozen=True, slots=True)
class SourceSecrets:
    """One source's signing secrets, newest first; all of them are valid."""

    variable: str
    keys: tuple[str, ...]


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read every variable but the secrets.

    Raises:
        InvalidSettings: names each variable that cannot be used, and why.

    """
    # Blank is unset: that is how shells, Compose files and process managers say it. (Not so for secrets.)
    given = {name: environ.get(name.upper(), "").strip() for name in Settings.model_fields}
    known = {name: value for name, value in given.items() if value}
    try:
        return Settings(**known)  # type: ignore[arg-type]  # the values are strings; pydantic converts them
    except ValidationError as error:
        raise InvalidSettings([_sentence(problem["loc"], problem["msg"]) for problem in error.errors()]) from None


def load_secrets(environ: Mapping[str, str], variables: Iterable[str]) -> dict[str, SourceSecrets]:
    """Read the signing secrets of each variable that is set, by variable.

    A variable may hold several secrets separated by commas, for the time in which one replaces another.

    Raises:
        InvalidSettings: a secret is blank or too short to protect anything.

    """
    found: dict[str, SourceSecrets] = {}
    problems: list[str] = []
    for variable in sorted(set(variables)):
        if variable not in environ:
            continue
        keys = tuple(key.strip() for key in environ[variable].split(","))
        problems += [
            _secret_problem(variable, position, key) for position, key in enumerate(keys) if not _long_enough(key)
        ]
        found[variable] = SourceSecrets(variable, keys)
    if problems:
        raise InvalidSettings(problems)
    return found


def _long_enough(key: str) -> bool:
    return len(key) >= MIN_SECRET_CHARS


def _secret_problem(variable: str, position: int, key: str) -> str:
    which = f"secret {position + 1} of {variable}"
    if not key:
        return f"{which} is blank: unset the variable to switch the source off, or set the secret the provider shows"
    return f"{which} has {len(key)} characters: {MIN_SECRET_CHARS} is the least that is safe"


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")  # pydantic's mark for our own sentences
    return f"{'.'.join(str(part) for part in location).upper()} cannot be used: {text}"


def _short_directory(data_directory: Path) -> Path:
    """Name a directory for this user and data directory alone, so that a second shell finds the same socket."""
    digest = hashlib.sha256(os.fsencode(data_directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"hookline-{os.getuid()}-{digest}"
