"""Seed 003: handlers live in the features that need them, in packages of their own, and blaxel_jobs knows nothing of them."""

import ast
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from blaxel_jobs import InvalidRequest, JobManager, JobsClient
from blaxel_jobs.stores import open_store
from examples.feature_package.invoice_feature.jobs import Invoice, Line, Total, invoice_total
from tests.chaos.processes import Program
from tests.pace import PATIENCE, until
from tests.serving import CLI, ROOT, plain_environment

INVOICE = {
    "customer": "Größe & Söhne",
    "lines": [{"text": "screws", "price": "0.05", "count": 200}, {"text": "hammer", "price": "12"}],
}
TOTAL = {"customer": "Größe & Söhne", "net": "22.00", "tax": "4.18"}


def test_s3_23_handlers_are_the_features_business(manager: JobManager) -> None:
    job = manager.register(invoice_total)
    run = job.trigger(Invoice("Größe & Söhne", [Line("screws", Decimal("0.05"), 200), Line("hammer", Decimal(12))]))
    total = run.get_result(PATIENCE)
    assert total == Total("Größe & Söhne", Decimal("22.00"), Decimal("4.18"))
    assert total.gross == Decimal("26.18")
    assert run.refresh().tasks[0].result == TOTAL


def test_s3_23_the_package_defines_no_job() -> None:
    """What --simulate runs is a handler without a name that could be triggered."""
    defining = {
        path.name
        for path in (ROOT / "blaxel_jobs").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) == "define_job"
    }
    assert not defining


def test_s3_24_payloads_are_stored_as_they_are_whatever_their_schema(tmp_path: Path) -> None:
    """No table and no column is about them: what a feature's payload has stands in it alone."""
    store = f"sqlite:///{tmp_path}/jobs.db"
    with JobManager(store) as manager:
        run = manager.register(invoice_total).trigger(INVOICE)
        run.get_result(PATIENCE)
        with pytest.raises(InvalidRequest) as refused:
            manager.job(invoice_total).trigger({"customer": "a", "lines": [{"text": "a"}]})
        assert refused.value.path == "input.lines[0].price"
    opened = open_store(store)
    try:
        (execution,) = opened.get("default", [run.id])
        (task,) = opened.tasks("default", execution.seq, -1, 10)
    finally:
        opened.close()
    assert isinstance(task.input, str)
    assert json.loads(task.input) == INVOICE


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages, with the feature's beside those of this environment."""
    folder = tmp_path_factory.mktemp("installed")
    source = copytree(ROOT / "examples" / "feature_package", folder / "source")
    command = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([sys.executable, *command, str(folder / "packages"), str(source)], check=True, timeout=120)
    return folder / "packages"


def start(folder: Path, installed: Path, *command: str) -> Program:
    """A program that sees the installed feature, and nothing of it in this checkout."""
    environment = plain_environment(PYTHONPATH=str(installed), PYTHONSAFEPATH="1")
    assignments = [f"{name}={environment[name]}" for name in ("PYTHONPATH", "PYTHONSAFEPATH")]
    return Program(folder, "/usr/bin/env", *assignments, *command)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["entry point", "import path", "embedded"])
def test_s3_30_an_installed_feature_is_served(how: str, installed: Path, tmp_path: Path) -> None:
    ready = tmp_path / "server.json"
    modules = ["invoice_feature.jobs"] if how != "entry point" else []
    serve = [CLI, "serve", "--store", f"sqlite:///{tmp_path}/jobs.db", "--port", "0", "--ready-file", str(ready)]
    embedded = ["--worker", *modules] if how == "embedded" else []
    with start(tmp_path, installed, *serve, *embedded) as server:
        until(lambda: server.check_alive() or ready.exists(), "the server is ready")
        url = json.loads(ready.read_text())["url"]
        with JobsClient(url) as client:
            run = client.trigger("invoice-total", INVOICE)
            if how == "embedded":
                check(run)
                return
            with start(tmp_path, installed, sys.executable, "-m", "blaxel_jobs.worker", *modules, "--url", url) as worker:
                check(run)
                with pytest.raises(InvalidRequest):
                    client.job(invoice_total).trigger({"customer": 5, "lines": []})
                worker.terminate()


def check(run: Any) -> None:
    assert run.get_result(PATIENCE) == TOTAL
    assert [step.name for step in run.list_steps()] == ["add", "tax"]
