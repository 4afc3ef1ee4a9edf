"""Thousands of damaged files, and an outcome for each: ``fuzz/many_bad_files.py --count 10000``.

Writes them to a folder, has the command line judge them in worker processes, and fails unless every
file has one line, nothing else was printed, and no worker died or ran out of time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))


def judged(folder: Path, jobs: int, *options: str) -> tuple[Counter[str], str]:
    """Scan a folder; return how many outcomes there are of each kind, and what was printed.

    Parameters
    ----------
    folder : Path
        Holds damaged files.
    jobs : int
        Worker processes.
    *options : str
        Of ``qualipy scan``.
    """
    report = folder.with_suffix(".jsonl")
    command = [sys.executable, "-m", "qualipy", "scan", str(folder), "--jobs", str(jobs), "--quiet"]
    command += [f"--suffix={suffix}" for suffix in sorted({p.suffix for p in folder.iterdir()})]
    command += ["--output", str(report), "--fail-on", "never", *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    outcomes: Counter[str] = Counter()
    names = set()
    for line in report.read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        names.add(result["image"])
        outcomes[result["error"]["type"] if "error" in result else "judged"] += 1
        for failure in result.get("failures", {}).values():
            outcomes["failed: " + failure["message"]] += 1
    expected = {str(path) for path in folder.iterdir()}
    printed = ran.stdout + ran.stderr
    if ran.returncode or names != expected:
        printed += f"\nexit status {ran.returncode}, {len(names)} of {len(expected)} outcomes"
    return outcomes, printed.strip()


def main() -> int:
    """Make, judge, tell; 0 when all is as it should be."""
    from bad_files import mutants

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "files"
        folder.mkdir()
        for name, data in mutants(chosen.count, chosen.seed):
            (folder / name).write_bytes(data)
        started = time.perf_counter()
        outcomes, printed = judged(folder, chosen.jobs)
        seconds = time.perf_counter() - started
    for kind, count in sorted(outcomes.items()):
        print(f"{count:8} {kind}")
    print(f"{seconds:8.0f} seconds")
    if printed:
        print(f"printed:\n{printed[:4000]}")
    bad = printed or any(
        kind.startswith(("failed", "WorkerDied", "ImageTimeout")) for kind in outcomes
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
