"""How `--task` is read."""

from typing import Any

import pytest

from blaxel_jobs.cli.request import read_env, read_request, read_task
from blaxel_jobs.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("k=v", {"k": "v"}),
        ("n=5", {"n": 5}),
        ('n="5"', {"n": "5"}),
        ("a=1 b=2", {"a": 1, "b": 2}),
        ("  a=1\tb=2 ", {"a": 1, "b": 2}),
        ("text=hello world n=1", {"text": "hello world", "n": 1}),
        ("url=https://x/?a=b&c=d", {"url": "https://x/?a=b&c=d"}),
        ('options={"deep": [1, null]} on=true', {"options": {"deep": [1, None]}, "on": True}),
        ("empty= n=1", {"empty": "", "n": 1}),
        ("x=NaN", {"x": "NaN"}),
        ("x=-1e3", {"x": -1000.0}),
        ("my-key.sub=1", {"my-key.sub": 1}),
        ("date=2026-01-02", {"date": "2026-01-02"}),
        ("{}", {}),
        (' {"a b": "c=d"}', {"a b": "c=d"}),
        ("ü=1", None),
        ("=1", None),
        ("word", None),
        ("word k=v", None),
        ("", None),
        ("k=1 k=2", None),
        ('{"a": 1', None),
        ('{"a": NaN}', None),
        ("[1]", None),
    ],
)
def test_a_task(text: str, task: dict[str, Any] | None) -> None:
    if task is None:
        with pytest.raises(ConfigError, match="--task"):
            read_task(text)
    else:
        assert read_task(text) == task


def test_a_request() -> None:
    assert read_request(["a=1", "{}"], None, None) == {"tasks": [{"a": 1}, {}]}
    assert read_request([], None, "[1]") == {"input": [1]}
    assert read_request([], None, None) == {"input": None}


def test_environment_variables() -> None:
    assert read_env(["A=1", "B=x=y", "C="]) == {"A": "1", "B": "x=y", "C": ""}
    assert read_env([]) is None
    for bad in ("A", "=x", ""):
        with pytest.raises(ConfigError):
            read_env([bad])
