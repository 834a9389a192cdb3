"""Why `hookline dev` cannot start, or cannot go on. Each text is one sentence for a person, without passwords."""

from pathlib import Path

from config.errors import ConfigError


class DataDirectoryUnusable(ConfigError):
    """The data directory cannot be made or written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"the data directory {path} cannot be written ({reason}): set HOOKLINE_DATA_DIR to one that can"
        )
        self.path = path


class AlreadyRunning(ConfigError):
    """Another `hookline dev` has this data directory."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(
            f"hookline dev is already running on {path} (process {pid}): stop it, "
            "or set HOOKLINE_DATA_DIR to another directory"
        )
        self.path = path
        self.pid = pid


class PortUnusable(ConfigError):
    """Nothing can listen on HOST:PORT."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"cannot listen on {host} port {port} ({reason}): stop what uses it, "
            "or set PORT (or HOST) to another, such as PORT=8001"
        )
        self.host = host
        self.port = port


class ProcfileUnusable(ConfigError):
    """The Procfile is missing, or a line of it is not `name: command`."""


class MigrationFailed(ConfigError):
    """The ledger's tables could not be brought up to date."""


class SocketPathUnusable(ConfigError):
    """The embedded Valkey's Unix socket has no safe place that is short enough."""


class ProcessFailed(ConfigError):
    """A process that nothing works without does not stay up."""
