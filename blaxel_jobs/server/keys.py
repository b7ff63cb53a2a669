"""Server keys: who may call, in which workspace, and what. Kept as SHA-256, compared in constant time."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from ..errors import ConfigError

DEFAULT_WORKSPACE: Final = "default"
SCOPES: Final = frozenset({"read", "submit", "worker", "admin"})

_KEY: Final = re.compile(r"[!-~]{1,512}")
_DIGEST: Final = re.compile(r"sha256:(?P<hex>[0-9a-fA-F]{64})")
_WORKSPACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Principal(Struct, frozen=True):
    """Who calls: a workspace and what may be done in it."""

    workspace: str = DEFAULT_WORKSPACE
    scopes: frozenset[str] = SCOPES


ANYBODY: Final = Principal()
"""The caller of a server that has no keys."""


class Key(Struct, frozen=True):
    """A server key. The key itself is not kept."""

    digest: bytes
    principal: Principal = ANYBODY
    signing: bytes | None = None
    """What signs its access tokens; None where only the digest was given."""

    def __repr__(self) -> str:
        return f"Key({self.principal!r})"  # nothing by which somebody could call, or sign


class Keyring:
    """All keys of a server. Empty, it lets anybody in."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def find(self, secret: bytes) -> Principal | None:
        """Who holds this key. It takes as long for a wrong one as for any other."""
        key = self.find_key(secret)
        return None if key is None else key.principal

    def find_key(self, secret: bytes) -> Key | None:
        """The key that this is, as `find` does."""
        digest = hashlib.sha256(secret).digest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def signing_key(secret: bytes) -> bytes:
    """What signs the access tokens of a key: it follows from the key, and nothing follows from it."""
    return hmac.digest(secret, b"access tokens of blaxel-jobs", "sha256")


def read_key(text: str, origin: str) -> Key:
    """A key from `KEY` or `sha256:HEX`, for all of the default workspace. Raises ConfigError naming `origin`, not the key."""
    return Key(_digest(text, origin), signing=_signing(text))


def read_key_file(path: str | Path) -> list[Key]:
    """The keys of a file: `KEY|sha256:HEX [workspace=NAME] [scopes=NAME,NAME]` one a line, `#` starts a comment.

    Without `workspace` it is `default`, without `scopes` `admin`. Raises ConfigError naming the file and the line, never the key.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"the key file {path} is not UTF-8 text") from None
    keys: dict[bytes, Key] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        origin = f"{path}, line {number}"
        key = _read_line(words, origin)
        if key.digest in keys:
            raise ConfigError(f"{origin}: this key stands in the file twice")
        keys[key.digest] = key
    if not keys:
        raise ConfigError(f"the key file {path} has no key in it")
    return list(keys.values())


def _read_line(words: list[str], origin: str) -> Key:
    digest = _digest(words[0], origin)
    fields: dict[str, str] = {}
    for number, word in enumerate(words[1:], 2):
        if word.startswith("#"):
            break
        name, equals, value = word.partition("=")
        if not equals or name not in ("workspace", "scopes"):
            raise ConfigError(f"{origin}: word {number} is neither workspace=NAME nor scopes=NAME,NAME")
        if name in fields:
            raise ConfigError(f"{origin}: {name} is given twice")
        fields[name] = value
    workspace = fields.get("workspace", DEFAULT_WORKSPACE)
    if not _WORKSPACE.fullmatch(workspace):
        raise ConfigError(f"{origin}: a workspace is made of letters, digits, '.', '_' and '-', at most 128")
    return Key(digest, Principal(workspace, _scopes(fields.get("scopes", "admin"), origin)), _signing(words[0]))


def _signing(text: str) -> bytes | None:
    return None if text.startswith("sha256:") else signing_key(text.encode())


def _scopes(text: str, origin: str) -> frozenset[str]:
    scopes = frozenset(text.split(","))
    if not scopes <= SCOPES:
        raise ConfigError(f"{origin}: scopes are a list like read,submit of read, submit, worker and admin (which has them all)")
    return SCOPES if "admin" in scopes else scopes


def _digest(text: str, origin: str) -> bytes:
    if text.startswith("sha256:"):
        found = _DIGEST.fullmatch(text)
        if not found:
            raise ConfigError(f"{origin}: after sha256: come the 64 hex digits of the key's SHA-256")
        return bytes.fromhex(found["hex"])
    if not _KEY.fullmatch(text):
        raise ConfigError(f"{origin}: a key is 1 to 512 printable ASCII characters without spaces")
    return hashlib.sha256(text.encode()).digest()
