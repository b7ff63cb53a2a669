"""A scenario: what is to go wrong, in a YAML file.

faults:
  - {kind: status, status: 503, operation: createJobExecution, first: 2}
  - {kind: latency, uniform: [0.05, 0.4]}
  - {kind: crash, job: report, step: 2, first: 1}
"""

from pathlib import Path

from blaxel_jobs.errors import ConfigError, InvalidRequest

from .faults import Rule
from .rules import read_rules

_NAMES = {"description", "faults"}


def read_scenario(path: Path) -> list[Rule]:
    """The faults in a scenario file. Raises ConfigError, naming the file and the field that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"the scenario {path} cannot be read: {error}") from None
    try:
        import yaml
    except ImportError:
        raise ConfigError("a scenario needs PyYAML: pip install 'blaxel-jobs[mock]'") from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the scenario {path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict) or not document.keys() <= _NAMES:
        raise ConfigError(f"the scenario {path} is an object with {' and '.join(sorted(_NAMES))}")
    try:
        return read_rules(document.get("faults", []))
    except InvalidRequest as error:
        raise ConfigError(f"the scenario {path}: {error}") from None
