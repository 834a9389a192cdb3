"""What kind of file system a path is on, as far as Linux tells."""

from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs", "fuse.sshfs", "fuse.s3fs"}
)
VOLATILE = frozenset({"tmpfs", "ramfs"})


def file_system(path: Path) -> str | None:
    """Give the kind of file system, or None where nobody says."""
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return None
    resolved = path.resolve()
    # Each line: … the mount point as the fifth field … " - ", then the kind. The longest that contains the path holds.
    mounts = [(Path(_plain(before.split()[4])), after.split()[0]) for before, _, after in map(_halves, lines) if after]
    holding = [(len(place.parts), kind) for place, kind in mounts if resolved.is_relative_to(place)]
    return max(holding, key=lambda each: each[0])[1] if holding else None


def _halves(line: str) -> tuple[str, str, str]:
    return line.partition(" - ")


def _plain(escaped: str) -> str:
    return escaped.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
