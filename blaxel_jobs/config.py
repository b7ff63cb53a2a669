"""Settings: where each value comes from, and what it may be.

Sources, the first that says anything wins: argument, `configure()`, environment, settings file, `~/.blaxel/config.yaml`, built-in.
The settings file is TOML: the one that BLAXEL_JOBS_CONFIG names, else `blaxel-jobs.toml` in the working directory.
"""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypedDict, Unpack
from urllib.parse import urlsplit, urlunsplit

import attrs

from .errors import ConfigError
from .nearest import meant

PLATFORM: Final = "https://api.blaxel.ai/v0"
LOCAL: Final = "http://127.0.0.1:8080/v0"
FILE_NAME: Final = "blaxel-jobs.toml"


class Options(TypedDict, total=False):
    """The settings by name, as `configure` and `Settings` take them. None leaves a setting to the next source."""

    base_url: str | None
    api_key: str | None
    client_credentials: str | None
    workspace: str | None
    request_timeout: float | None
    max_connections: int | None
    connect_retries: int | None
    store: str | None
    lease: float | None
    recovery_timeout: float | None
    heartbeat: float | None
    max_recoveries: int | None
    table_prefix: str | None


class Row(NamedTuple):
    """One line of `Settings.explain()`. Secrets are hidden."""

    name: str
    value: str
    origin: str


@attrs.frozen(init=False, repr=False)
class Settings:
    """Every setting, resolved when it is made. `Settings(lease=30)` sets one and takes the others from their sources.

    Raises ConfigError for an unknown name and for a value that a setting cannot have, from whichever source.
    """

    base_url: str
    """Where the API is, with its prefix (`/v0` is added to a URL without a path). The platform's if there are credentials."""
    api_key: str | None
    """An API key or a token: sent as it is. Of this and `client_credentials` the one from the stronger source is set."""
    client_credentials: str | None
    """Base64 of `id:secret`, for which tokens are fetched at `{base_url}/oauth/token`."""
    workspace: str | None
    request_timeout: float
    """Seconds that the server may take for an answer. A long poll has its wait on top."""
    max_connections: int
    """How many connections one client holds at most."""
    connect_retries: int
    """How often a request is sent again when the server could not be reached, was busy or failed."""
    store: str
    """URL of the store: `memory:`, `sqlite:///jobs.db`."""
    lease: float
    """Seconds after which a silent worker has lost its task. Also called recovery_timeout."""
    heartbeat: float
    """Seconds between two signs of life of a worker: 0.3 x lease unless set."""
    max_recoveries: int
    """How often a task is taken back from lost workers before it fails."""
    table_prefix: str
    """Put before the name of every table."""
    _origins: Mapping[str, str] = attrs.field(eq=False)

    def __init__(self, **arguments: Unpack[Options]) -> None:
        found = _resolve(arguments)
        values = {name: value for name, (value, _) in found.items()}
        self.__attrs_init__(**values, origins={name: origin for name, (_, origin) in found.items()})

    def explain(self) -> list[Row]:
        """Each setting with its value and where that comes from. Keys and passwords are hidden."""
        return [Row(name, _shown(name, getattr(self, name)), origin) for name, origin in self._origins.items()]

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={_shown(name, getattr(self, name))}' for name in self._origins)})"


def configure(**settings: Unpack[Options]) -> None:
    """Set settings for the whole process; a call's own arguments win over them. None takes one back.

    What was made before keeps what it read. Raises ConfigError and changes nothing if one of the names or values is wrong.
    """
    global _revision
    checked = _checked(settings, "configure()")
    _configured.update(checked)
    for name in settings:
        if _canonical(name) not in checked:
            _configured.pop(_canonical(name), None)
    _revision += 1


def revision() -> tuple[object, ...]:
    """Equal as long as `configure()` and the environment have not changed what new settings would be."""
    return (_revision, *[os.environ.get(variable) for variable in _VARIABLES])


def check(**arguments: Unpack[Options]) -> None:
    """Raise ConfigError for an unknown name or a bad value, without reading any source."""
    _checked(arguments, "argument")


class _Bad(ValueError):
    """What a setting takes instead."""


def _seconds(value: object) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise _Bad("a finite number of seconds above 0")
    return number


def _count(least: int, most: int = 1_000_000) -> Callable[[object], int]:
    def read(value: object) -> int:
        text = value if isinstance(value, str) else str(value) if type(value) is int else ""
        if not (re.fullmatch(r"\s*[0-9]{1,9}\s*", text) and least <= int(text) <= most):
            raise _Bad(f"a whole number from {least} to {most}")
        return int(text)

    return read


def _matching(pattern: str, takes: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not (isinstance(value, str) and re.fullmatch(pattern, value)):
            raise _Bad(takes)
        return value

    return read


def _url(value: object) -> str:
    takes = "a URL such as http://127.0.0.1:8080"
    if not isinstance(value, str) or re.search(r"[^!-~]", value):
        raise _Bad(takes)
    try:
        parts = urlsplit(value)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        raise _Bad(takes) from None
    if not fits or parts.query or parts.fragment:
        raise _Bad(takes)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") or "/v0"))


class _Setting(NamedTuple):
    read: Callable[[object], Any]
    default: Any
    env: str | None = None


_HEADER_TEXT: Final = r"[!-~]+"
_SETTINGS: Final[dict[str, _Setting]] = {
    "base_url": _Setting(_url, None, "BL_API_URL"),
    "api_key": _Setting(_matching(_HEADER_TEXT, "printable ASCII text without spaces"), None, "BL_API_KEY"),
    "client_credentials": _Setting(_matching(r"[A-Za-z0-9+/_-]+={0,2}", "base64 of id:secret"), None, "BL_CLIENT_CREDENTIALS"),
    "workspace": _Setting(_matching(_HEADER_TEXT, "printable ASCII text without spaces"), None, "BL_WORKSPACE"),
    "request_timeout": _Setting(_seconds, 60.0),
    "max_connections": _Setting(_count(1, 10_000), 256),
    "connect_retries": _Setting(_count(0, 100), 2),
    "store": _Setting(_matching(r"[^\s].*", "a store's URL such as memory: or sqlite:///jobs.db"), "memory:"),
    "lease": _Setting(_seconds, 10.0),
    "heartbeat": _Setting(_seconds, None),
    "max_recoveries": _Setting(_count(0), 5),
    "table_prefix": _Setting(_matching(r"[A-Za-z0-9_]{0,32}", "at most 32 letters, digits and '_'"), ""),
}
_ALIASES: Final = {"recovery_timeout": "lease"}
_SECRETS: Final = frozenset({"api_key", "client_credentials"})
_CREDENTIALS: Final = ("api_key", "client_credentials")
"""Ways to say who calls. One is used: of the strongest source that has any, the first."""
_configured: dict[str, Any] = {}
_revision = 0


def _variable(name: str) -> str:
    return _SETTINGS[name].env or f"BLAXEL_JOBS_{name.upper()}"


_VARIABLES: Final = (*[_variable(name) for name in _SETTINGS], "BLAXEL_JOBS_CONFIG")


def _resolve(arguments: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Each setting's value and origin, in the order in which they are declared."""
    found: dict[str, tuple[Any, str]] = {}
    for origin, values in _sources(arguments):
        credential = None if _credential(found) else _credential(values)
        for name, value in values.items():
            if name == credential or name not in _CREDENTIALS:
                found.setdefault(name, (value, origin(name)))
    if "base_url" not in found or is_platform(found["base_url"][0]):
        _add_platform_credentials(found)
    if "base_url" not in found:
        found["base_url"] = (PLATFORM, "built-in, as there are credentials") if _credential(found) else (LOCAL, "built-in")
    for name, setting in _SETTINGS.items():
        found.setdefault(name, (setting.default, "built-in"))
    lease, (heartbeat, origin_of_heartbeat) = found["lease"][0], found["heartbeat"]
    if heartbeat is None:
        found["heartbeat"] = (0.3 * lease, "built-in, 0.3 x lease")
    elif heartbeat >= lease:
        raise ConfigError(f"heartbeat ({origin_of_heartbeat}) takes less than lease, which is {lease:g} s, not {heartbeat:g}")
    return {name: found[name] for name in _SETTINGS}


def _credential(values: Mapping[str, object]) -> str | None:
    return next((name for name in _CREDENTIALS if name in values), None)


def _sources(arguments: Mapping[str, Any]) -> Iterator[tuple[Callable[[str], str], dict[str, Any]]]:
    """How to name the origin of a setting, and the settings from there; the strongest first."""
    yield lambda _: "argument", _checked(arguments, "argument")
    yield lambda _: "configure()", dict(_configured)
    environment = {name: os.environ.get(_variable(name)) or None for name in _SETTINGS}
    yield (
        lambda name: f"environment {_variable(name)}",
        {name: _read(name, text, _variable(name)) for name, text in environment.items() if text is not None},
    )
    path = _settings_file()
    if path is not None:
        yield lambda _: f"file {path}", _checked(_toml(path), str(path))


def _checked(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The values that are set, under the settings' own names. Raises ConfigError."""
    return {_canonical(name): _read(_canonical(name), value, origin) for name, value in values.items() if value is not None}


def _canonical(name: str) -> str:
    name = _ALIASES.get(name, name)
    if name not in _SETTINGS:
        raise ConfigError(f"{name!r} is no setting: {meant(name, _SETTINGS)}")
    return name


def _read(name: str, value: object, origin: str) -> Any:
    try:
        return _SETTINGS[name].read(value)
    except _Bad as takes:
        shown = "that value" if name in _SECRETS else _shown(name, value)
        raise ConfigError(f"{name} ({origin}) takes {takes}, not {shown}") from None


def _settings_file() -> Path | None:
    named = os.environ.get("BLAXEL_JOBS_CONFIG")
    if named:
        return Path(named)
    local = Path(FILE_NAME)
    return local.resolve() if local.is_file() else None


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the settings file {path} is not TOML: {error}") from error


def is_platform(base_url: str) -> bool:
    """Is this where the Blaxel platform answers."""
    host = urlsplit(base_url).hostname or ""
    return host.endswith((".blaxel.ai", ".blaxel.dev"))


_PLATFORM_CREDENTIALS: Final = (("apiKey", "api_key"), ("clientCredentials", "client_credentials"), ("access_token", "api_key"))
"""The platform's names in its file, in its order, and the setting that takes each."""


def _add_platform_credentials(found: dict[str, tuple[Any, str]]) -> None:
    """Workspace and key from the platform's own file. They are for the platform: no other URL is sent them."""
    try:
        text = Path("~/.blaxel/config.yaml").expanduser().read_text(encoding="utf-8")

        import yaml
    except (ImportError, OSError, RuntimeError):
        return
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"~/.blaxel/config.yaml is not YAML: {error}") from error
    origin = "file ~/.blaxel/config.yaml"
    workspace = found["workspace"][0] if "workspace" in found else _at(document, "context", "workspace")
    if not isinstance(workspace, str) or not workspace:
        return
    entries = _at(document, "workspaces")
    for entry in entries if isinstance(entries, list) else ():
        given = _at(entry, "credentials") if _at(entry, "name") == workspace else None
        for key, name in _PLATFORM_CREDENTIALS:
            value = _at(given, key)
            if value and not _credential(found):
                found[name] = (_read(name, value, origin), origin)
    found.setdefault("workspace", (_read("workspace", workspace, origin), origin))


def _at(document: object, *keys: str) -> object:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


_USERINFO: Final = re.compile(r"(://[^/:@]*:)[^/]*@")
_PASSWORD: Final = re.compile(r"((?:password|passwd|pwd)=)[^&]*")


def _shown(name: str, value: object) -> str:
    """The value as people may see it."""
    if name in _SECRETS and value is not None:
        return "***"
    return _PASSWORD.sub(r"\1***", _USERINFO.sub(r"\1***@", value)) if isinstance(value, str) else repr(value)
