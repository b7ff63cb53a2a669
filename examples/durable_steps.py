"""Archive a folder tree in steps that are never done twice: sum up, pack, verify. Kill it when you like; run again, it goes on.

    python -m examples.durable_steps                            # the installed standard library, into ./stdlib.tar.gz
    python -m examples.durable_steps ~/notes notes.tar.gz

Beside the archive stand `notes.tar.gz.json`, the report, `notes.tar.gz.log`, where every step writes a line when it is really done,
and `notes.tar.gz.jobs.db`, from which an interrupted run goes on. A file that changes meanwhile ends it with an error.
"""

import gzip
import hashlib
import io
import json
import os
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfileobj, rmtree
from typing import TypedDict

import attrs

from blaxel_jobs import JobManager, NotFound, PermanentError, TaskContext, define_job

CHUNK = 50
"""Files of one step."""
ID = "archive"
"""Of the execution: the same each time, so that one that was interrupted is found again."""
LEFT_OUT = {"__pycache__", "site-packages", "dist-packages", ".git"}


@attrs.frozen
class Order:
    folder: str
    archive: str


class Report(TypedDict):
    folder: str
    files: int
    bytes: int
    archive_bytes: int
    archive_sha256: str


@define_job("archive", input=Order)
def archive(step: TaskContext, order: Order) -> Report:
    """Every step is a function of what it is given: called again after a kill, it does the same again, over what it left behind."""
    folder, target = Path(order.folder), Path(order.archive)
    # The tree is listed once. Were it listed anew by every attempt, a file that came meanwhile would shift all chunks.
    listing = step.run("list", list_files, step, folder, target)
    files: list[str] = json.loads(step.artifacts.get(listing))
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    sums: list[list[str]] = []
    for number, paths in enumerate(chunks):
        sums.append(step.run(f"sum-{number:05}", sum_up, folder, target, number, paths))
        step.progress(number + 1, 2 * len(chunks), "summing up")
    for number, paths in enumerate(chunks):
        step.run(f"pack-{number:05}", pack, folder, target, number, paths, sums[number])
        step.progress(len(chunks) + number + 1, 2 * len(chunks), "packing")
    step.run("join", join, target, len(chunks))
    expected = {path: sum for paths, chunk in zip(chunks, sums, strict=True) for path, sum in zip(paths, chunk, strict=True)}
    return step.run("verify", verify, order.folder, target, expected)


def list_files(step: TaskContext, folder: Path, target: Path) -> str:
    """The paths of the tree, sorted, as an artifact: for a result they may be too many."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    files = sorted(path.as_posix() for path in paths if not LEFT_OUT & set(path.parts))
    note(target, f"list {len(files)}")
    return step.artifacts.put(json.dumps(files).encode(), content_type="application/json")


def sum_up(folder: Path, target: Path, number: int, paths: list[str]) -> list[str]:
    """The SHA-256 of each file."""
    sums = [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths]
    note(target, f"sum {number}")
    return sums


def pack(folder: Path, target: Path, number: int, paths: list[str], sums: list[str]) -> int:
    """Write a part of the archive, and return its size. It is there whole or not at all."""
    part = part_of(target, number)
    part.parent.mkdir(exist_ok=True)
    draft = part.with_suffix(".draft")
    with gzip.GzipFile(draft, "wb", compresslevel=3, mtime=0) as packed:
        # Never closed, so that the mark of the archive's end comes after the last part only.
        tar = tarfile.TarFile(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT)
        for path, sum in zip(paths, sums, strict=True):
            data = (folder / path).read_bytes()
            if hashlib.sha256(data).hexdigest() != sum:
                raise PermanentError(f"{path} was changed while it was archived")
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    draft.replace(part)
    note(target, f"pack {number}")
    return part.stat().st_size


def join(target: Path, parts: int) -> int:
    """Put the parts together: several gzip files in a row are one. Returns the size."""
    draft = target.with_name(f"{target.name}.draft")
    with draft.open("wb") as joined:
        for number in range(parts):
            with part_of(target, number).open("rb") as part:
                copyfileobj(part, joined)
        joined.write(gzip.compress(bytes(2 * tarfile.BLOCKSIZE), mtime=0))
    draft.replace(target)
    note(target, "join")
    return target.stat().st_size


def verify(folder: str, target: Path, expected: dict[str, str]) -> Report:
    """Read all of it again, compare the sums and write the report."""
    files = size = 0
    with tarfile.open(target) as tar:
        for member, data in members(tar):
            files, size = files + 1, size + len(data)
            if expected.pop(member, None) != hashlib.sha256(data).hexdigest():
                raise PermanentError(f"{member} is not in the archive as it was in the folder")
    if expected:
        raise PermanentError(f"{len(expected)} files are missing in the archive, such as {min(expected)}")
    with target.open("rb") as file:
        sum = hashlib.file_digest(file, "sha256").hexdigest()
    report = Report(folder=folder, files=files, bytes=size, archive_bytes=target.stat().st_size, archive_sha256=sum)
    target.with_name(f"{target.name}.json").write_text(json.dumps(report, indent=2) + "\n")
    note(target, "verify")
    return report


def members(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in tar:
        file = tar.extractfile(member)
        assert file is not None, f"{member.name} is no file"
        yield member.name, file.read()


def part_of(target: Path, number: int) -> Path:
    return target.with_name(f"{target.name}.parts") / f"{number:05}.gz"


def note(target: Path, line: str) -> None:
    """A line in the log of what was really done, in one write."""
    file = os.open(f"{target}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)


def main(folder: Path, target: Path) -> int:
    with JobManager(f"sqlite:///{target}.jobs.db") as manager:
        job = manager.register(archive)
        try:
            execution = manager.get_execution(ID)
            print(f"going on after {sum(1 for _ in execution.list_steps().auto_paging_iter())} steps", flush=True)
        except NotFound:
            execution = job.trigger(Order(str(folder), str(target)), execution_id=ID)
        if execution.status == "failed":
            execution.retry()
        shown = None
        for update in execution.watch():
            if update.progress and update.progress != shown:
                shown = update.progress
                print(f"{shown.message}: {shown.current:g} of {shown.total:g} steps", flush=True)
        execution.refresh()
        if execution.error:
            print(f"{execution.error.type}: {execution.error.message}", file=sys.stderr)
            print(f"Run it again to retry, or remove {target}.jobs.db to begin anew.", file=sys.stderr)
            return 1
        report = execution.get_result()
    rmtree(part_of(target, 0).parent, ignore_errors=True)
    print(f"{report['files']:,} files, {report['bytes']:,} bytes in {report['archive_bytes']:,}: {target}")
    return 0


if __name__ == "__main__":
    arguments = sys.argv[1:] or [sysconfig.get_path("stdlib"), "stdlib.tar.gz"]
    if len(arguments) != 2:
        sys.exit(f"usage: python -m examples.durable_steps [FOLDER ARCHIVE]\n\n{__doc__}")
    sys.exit(main(Path(arguments[0]).resolve(), Path(arguments[1]).resolve()))
