"""Generate blaxel_jobs/client from openapi.yaml. `--check` changes nothing and fails when the committed client is another."""

import argparse
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "blaxel_jobs" / "client"
TEMPLATES = Path(__file__).resolve().parent / "client_templates"
KEPT_NAMES = {"input", "type"}
"""Words of the contract that the generator would rename `input_` and `type_`, because Python has builtins of that name."""

GENERATOR = f"""
from openapi_python_client import cli, strings
strings.RESERVED_WORDS = strings.RESERVED_WORDS - {KEPT_NAMES}
cli.app()
"""
RUFF = "ruff check . --isolated --quiet --fix-only --extend-select=I", "ruff format . --isolated --quiet --line-length=132"


def describe(document: dict[str, Any]) -> dict[str, Any]:
    """The contract with the words that stand beside a reference: the generator takes those of what is referred to instead."""
    schemas = document["components"]["schemas"]

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        target = schemas.get(str(node.get("$ref", "")).rpartition("/")[2], {})
        if "description" in node and target.get("type") not in (None, "object"):
            node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
        return {key: inline(value) for key, value in node.items()}

    return inline(document)  # type: ignore[no-any-return]


def rewrite(node: Any) -> Any:
    """The contract as the generator must see it.

    Only values that were set go on the wire, so no schema keeps its `default`. Free-form objects become `{}`, because the generator
    makes a class for them that plain dicts do not pass. A `oneOf` of required fields, or an `allOf` of what may not come together,
    means nothing to a type: the server checks it.
    """
    if isinstance(node, list):
        return [rewrite(item) for item in node]
    if not isinstance(node, dict):
        return node
    if is_free_form(node):
        return {"description": node["description"]} if "description" in node else {}
    return {key: rewrite_key(key, value) for key, value in node.items() if not is_dropped(key, value)}


def rewrite_key(key: str, value: Any) -> Any:
    """Below `properties` stand names of the user's: a field called `default` is a field."""
    if key in ("properties", "schemas"):
        return {name: rewrite(schema) for name, schema in value.items()}
    return rewrite(value)


def is_free_form(schema: dict[str, Any]) -> bool:
    """An object of which the contract names no field, and whose fields are no models."""
    others = schema.get("additionalProperties", {})
    models = others is False or (others is not True and "$ref" in others)
    return schema.get("type") == "object" and "properties" not in schema and not models


def is_dropped(key: str, value: Any) -> bool:
    """`default` of a schema (that of `responses` is a response), and a `oneOf` or `allOf` that only requires or excludes fields."""
    if key == "default":
        return not (isinstance(value, dict) and ("$ref" in value or "content" in value))
    return key in ("oneOf", "allOf") and all(branch.keys() <= {"required", "not"} for branch in value)


def generate(target: Path) -> None:
    """Write the client to `target`, which must not be there yet. Raises SystemExit when the generator has anything to say."""
    document = describe(yaml.safe_load((ROOT / "openapi.yaml").read_text()))
    with tempfile.TemporaryDirectory() as folder:
        source, config = Path(folder, "openapi.yaml"), Path(folder, "config.yaml")
        source.write_text(yaml.safe_dump(rewrite(document), sort_keys=False, allow_unicode=True))
        config.write_text(yaml.safe_dump({"post_hooks": RUFF}))
        command = [
            sys.executable, "-c", GENERATOR, "generate", "--meta", "none", "--fail-on-warning",
            "--path", str(source), "--config", str(config), "--custom-template-path", str(TEMPLATES), "--output-path", str(target),
        ]  # fmt: skip
        tools = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        done = subprocess.run(command, env=tools, capture_output=True, text=True, check=False)
    if done.returncode or "warning" in (done.stdout + done.stderr).lower():
        raise SystemExit(f"openapi-python-client:\n{done.stdout}{done.stderr}")
    mend_unset(target / "types.py")
    make_lists_lazy(target / "models")


def mend_unset(types: Path) -> None:
    """Give UNSET a readable name, and let copies and pickles of a model keep it: the models compare it with `is`."""
    text = types.read_text()
    mended = text.replace(
        "class Unset:\n",
        'class Unset:\n    def __repr__(self) -> str:\n        return "UNSET"\n\n'
        '    def __reduce__(self) -> str:\n        return "UNSET"\n\n',
    )
    if mended == text:
        raise SystemExit("the generated types.py has no class Unset any more")
    types.write_text(mended)


EAGER_LIST = re.compile(
    r"""        if _(?P<name>\w+) is not UNSET:
            (?P=name) = \[\]
            for (?P=name)_item_data in _(?P=name):
                (?P=name)_item = (?P<model>\w+)\.from_dict\((?P=name)_item_data\)

                (?P=name)\.append\((?P=name)_item\)
"""
)
LAZY_LIST = """        if _\\g<name> is not UNSET:
            \\g<name> = LazyList(\\g<model>.from_dict, _\\g<name>)
"""


def make_lists_lazy(models: Path) -> None:
    """Let optional lists of models be read when they are used: reading a hundred tasks costs more than the request."""
    changed = 0
    for path in models.glob("*.py"):
        text, count = EAGER_LIST.subn(LAZY_LIST, path.read_text())
        if count:
            path.write_text(text.replace("\nfrom ..types import", "\nfrom ...lazy import LazyList\nfrom ..types import", 1))
            changed += count
    if not changed:
        raise SystemExit("the generated models have no lists as make_lists_lazy expects them any more")


def differences(left: Path, right: Path) -> list[str]:
    """The paths of the files that are not the same in both."""
    names = {str(path.relative_to(side)) for side in (left, right) for path in side.rglob("*.py")}
    return sorted(name for name in names if not same(left / name, right / name))


def same(left: Path, right: Path) -> bool:
    return left.is_file() and right.is_file() and filecmp.cmp(left, right, shallow=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 and name the files that differ")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder, "client")
        generate(fresh)
        changed = differences(fresh, CLIENT)
        if check and changed:
            raise SystemExit(
                "blaxel_jobs/client is not what openapi.yaml makes; run scripts/generate_client.py\n" + "\n".join(changed)
            )
        if changed:
            shutil.rmtree(CLIENT, ignore_errors=True)
            shutil.copytree(fresh, CLIENT, ignore=shutil.ignore_patterns("__pycache__", ".ruff_cache"))
    print(f"{len(changed)} files changed" if changed else "the client is up to date")


if __name__ == "__main__":
    main()
