"""What the repository has to have, by name."""

import subprocess

import pytest

import blaxel_jobs
from tests.serving import ROOT


def test_k_05_the_seven_names_stand_at_the_top():
    for name in ("pyproject.toml", "openapi.yaml", "README.md"):
        assert (ROOT / name).is_file(), name
    for name in ("blaxel_jobs", "mock_server", "tests", "examples"):
        assert (ROOT / name).is_dir(), name


def test_every_public_name_can_be_imported_and_is_documented():
    for name in blaxel_jobs.__all__:
        assert getattr(blaxel_jobs, name) is not None, name
        assert name in dir(blaxel_jobs), name
    assert len(blaxel_jobs.__all__) == len(set(blaxel_jobs.__all__))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = blaxel_jobs.no_such_name  # type: ignore[attr-defined]


def test_make_help_lists_every_target():
    listed = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    makefile = (ROOT / "Makefile").read_text()
    targets = makefile.partition(".PHONY: ")[2].partition("\n")[0].split()
    assert {"help", "setup", "demo", "test", "check", "bench", "soak"} <= set(targets)
    assert [line.split()[1] for line in listed.splitlines()] == targets
