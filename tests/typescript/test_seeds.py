"""The TypeScript of seeds 001 and 002, run with the package as npm packs it."""

import json
import re
import shutil
import subprocess
import tarfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

from mock_server import MockServer
from tests.pace import PATIENCE
from tests.remote.processes import Server
from tests.serving import plain_environment

from .node import PACKAGE, node

pytestmark = pytest.mark.slow

EXAMPLES = PACKAGE / "examples"
BLOCK = re.compile(r"^## (?P<file>\S+\.ts)\n\n```typescript\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
FIRST = {block["file"]: block["code"] for block in BLOCK.finditer((EXAMPLES / "seed_001" / "SNIPPETS.md").read_text())}
SECOND = re.findall(r"^```ts\n(.*?)^```$", (EXAMPLES / "seed_002" / "SNIPPETS.md").read_text(), re.MULTILINE | re.DOTALL)

PRINTED = {
    "complete-example.ts": r"Status: (pending|running|completed)\n✓ Completed: completed\n",
    "create-execution.ts": r"Created: \S+\n",
    "get-execution.ts": r"(pending|running|completed) \{\n[^}]*\}\n",
    "get-status.ts": r"Status: (pending|running|completed)\n",
    "getting-started.ts": r"completed\n",
    "list-executions.ts": r"Found [1-9]\d* executions\n",
    "wait-for-completion.ts": r"✓ Completed: completed\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the packed package, zod, and the examples as JavaScript."""
    folder = tmp_path_factory.mktemp("project")
    node()
    npm = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder)]
    subprocess.run(npm, cwd=PACKAGE, check=True, capture_output=True, timeout=PATIENCE)
    with tarfile.open(next(folder.glob("*.tgz"))) as packed:
        packed.extraction_filter = getattr(tarfile, "data_filter", None)  # not in the first releases of Python 3.11
        packed.extractall(folder / "node_modules")
    (folder / "node_modules" / "package").rename(folder / "node_modules" / "blaxel-jobs")
    shutil.copytree(PACKAGE / "node_modules" / "zod", folder / "node_modules" / "zod")
    (folder / "package.json").write_text('{"type": "module"}')
    sources = [str(path) for path in EXAMPLES.rglob("*.ts")]
    esbuild = [str(PACKAGE / "node_modules" / ".bin" / "esbuild"), *sources, f"--outdir={folder}", "--log-level=error"]
    subprocess.run(esbuild, check=True, capture_output=True, timeout=PATIENCE)
    return folder


def run(script: Path, url: str) -> str:
    done = subprocess.run(
        [node(), str(script)], env=plain_environment(BL_API_URL=url), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.row("S1-05", "S1-10", "S1-11")
def test_s1_05_the_snippets_differ_in_the_package_only() -> None:
    assert FIRST.keys() == {path.name for path in (EXAMPLES / "seed_001").glob("*.ts")} == PRINTED.keys()
    for file, code in FIRST.items():
        assert code.replace("@blaxel/core", "blaxel-jobs") in (EXAMPLES / "seed_001" / file).read_text(), file


@pytest.mark.row("K-14", "S1-05", "S1-08", "S1-10", "S1-11", "S1-15", "S1-17", "S1-21", "S1-31", "S1-34", "S1-35", "S1-37")
def test_k_14_every_snippet_runs_with_the_packed_package(project: Path) -> None:
    with MockServer(live=True) as mock:
        assert mock.url is not None
        for file, expected in PRINTED.items():
            printed = run(project / "seed_001" / Path(file).with_suffix(".js"), mock.url)
            assert re.fullmatch(expected, printed), f"{file}: {printed}"


def squeezed(code: str) -> str:
    """What the seed leaves open, and how it connects, as one word."""
    code = code.replace("'@coji/durably'", "'blaxel-jobs'")
    code = re.sub(r"createDurably\(\{ dialect \}\)", "createJobs()", code)
    return re.sub(r"import \{[^}]*\} from 'blaxel-jobs'\n", "", code)


def pattern(code: str) -> re.Pattern[str]:
    """Matches the snippet, whatever stands where it has `...`."""
    return re.compile(re.escape(code.strip()).replace(re.escape("..."), ".*"))


@pytest.mark.row("S2-01", "S2-02", "S2-03")
def test_s2_01_the_script_has_every_snippet_of_the_document() -> None:
    lines = (EXAMPLES / "seed_002" / "jobs-and-steps.ts").read_text()
    texts = [textwrap.dedent(lines), *indented(lines)]
    for snippet in SECOND:
        for part in squeezed(snippet).split("\n\n"):
            assert any(pattern(part).search(text) for text in texts), part


def indented(text: str) -> list[str]:
    """The text with its first 2, 4, 6 columns cut off: snippets stand within handlers."""
    return ["\n".join(line[width:] if line[:width].isspace() else line for line in text.splitlines()) for width in (2, 4, 6)]


@pytest.mark.row("S2-03", "S2-05", "S2-06", "S2-07", "S2-08", "S2-09", "S2-13", "S2-14", "S2-15", "S2-21", "S2-22", "S2-23")
def test_s2_02_the_script_runs(project: Path, tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        printed = run(project / "seed_002" / "jobs-and-steps.js", server.url)
    assert printed.splitlines() == [
        "one run for one key: true",
        "output: done",
        "step: some value",
        "bad names: failed DuplicateStep",
        "failed: true failed Something went wrong",
        "retried: saved",
        "ran: fetch-user update-profile step before",
    ]


WAITS = """
import { blJob, ConnectionFailed, WaitTimeoutError } from "blaxel-jobs";
const job = blJob("my-job");
const id = await job.createExecution({ tasks: [{ duration: 600 }] });
const began = performance.now();
const error = await job.waitForExecution(id, { maxWait: 300 }).catch((error) => error);
const waited = performance.now() - began;
const { status } = await job.getExecution(id);
const kinds = [error instanceof Error, error instanceof WaitTimeoutError, error.message.includes(id), error.cause ?? null];
console.log(JSON.stringify({ waited, status, kinds, name: error.name }));
"""


@pytest.mark.row("S1-24", "S1-28", "S1-29", "S1-36")
def test_s1_24_a_wait_in_milliseconds_ends_with_an_error_and_the_execution_goes_on(project: Path, tmp_path: Path) -> None:
    script = project / "waits.js"
    script.write_text(WAITS)
    with Server(tmp_path, "--simulate") as server:
        answers: list[Any] = []
        for _ in range(10):
            answers.append(json.loads(run(script, server.url)))
            if answers[-1]["waited"] <= 400:
                break
    assert min(answer["waited"] for answer in answers) <= 400
    assert all(answer["waited"] >= 299 for answer in answers)
    assert all(answer["status"] in ("pending", "running") for answer in answers)
    assert all(answer["kinds"] == [True, True, True, None] for answer in answers)
