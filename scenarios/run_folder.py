"""What a run leaves on disk; every other view is made from these files."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scenarios.audit_file import AUDIT_FILE, audit_writer
from scenarios.player import Run
from twin.core import Row


def write_run_folder(folder: Path, run: Run, result: dict[str, Any]) -> None:
    """Write manifest, result, truth, measured values, events, alarms, audit and traffic of a run into `folder`.

    Raises:
        OSError: The folder cannot be written.
        StateUnavailable, KeyUnusable: The key that signs the audit cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(_manifest(run, result), indent=2) + "\n")
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    _write_table(folder / "truth.parquet", run.twin.recorder.of("truth"))
    _write_table(folder / "measured.parquet", run.twin.recorder.of("measured"))
    _write_lines(
        folder / "events.jsonl",
        (json.dumps({"at_s": row.at_s, **row.values}) for row in run.twin.recorder.of("event")),
    )
    _write_lines(folder / "alarms.jsonl", run.control_room.lines())
    _write_audit(folder, run)
    if run.capture is not None:
        run.capture.write(folder / "network.pcapng", run.twin.clock.now_ns)
        run.capture.close()


def _manifest(run: Run, result: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": 1,
        "holdfast": version("holdfast"),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in ("simpy", "pymodbus", "power-grid-model", "numpy")},
        **{
            key: result[key]
            for key in (
                "scenario",
                "plant",
                "policy",
                "policy_sha256",
                "image_sha256",
                "seed",
                "parameters",
                "wire",
                "record_sha256",
            )
        },
        "start": run.checked.as_json(),
        "policy_files": [source.name for source in run.twin.policy.sources],
        "dropped_audit_records": run.twin.controller.kernel.audit.dropped,
    }


def _write_audit(folder: Path, run: Run) -> None:
    (folder / AUDIT_FILE).unlink(missing_ok=True)  # of a run before, as the other files are
    audit_writer(folder, run.twin).close(run.twin.clock.now_ns)
    failing = run.twin.controller.kernel.audit.failing
    if failing is not None:
        raise OSError(failing)


def _write_table(path: Path, rows: Iterable[Row]) -> None:
    table = pa.Table.from_pylist([{"at_s": row.at_s, **row.values} for row in rows])
    pq.write_table(table, path)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w") as file:
        file.writelines(f"{line}\n" for line in lines)
