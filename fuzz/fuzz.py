"""Coverage-guided fuzzing of one target: ``python fuzz/fuzz.py TARGET [SECONDS]``.

Needs ``pip install atheris``. Begins with the seeds in ``fuzz/seeds/TARGET``, and with small valid
files; what it learns goes to ``fuzz/corpus/TARGET``, which is not kept. An input that breaks the
target is written as ``crash-…`` to the current folder: mend what it found, and keep it as a seed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

FUZZ = Path(__file__).parent
sys.path.insert(0, str(FUZZ))

with atheris.instrument_imports(include=["qualipy_core", "json"]):
    from targets import TARGETS

    from qualipy_core import plugins

MOST_BYTES = {"request": 4096, "header": 4096, "image": 20_000}


def begin(target: str) -> list[Path]:
    """Return the folders to begin with, the one that grows first."""
    corpus = FUZZ / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    if target != "request":
        sys.path.insert(0, str(FUZZ.parent / "tests" / "support"))
        try:
            from bad_files import absurd_exif, claiming, valid_files
            from sample_files import jpeg_with_exif
        except ImportError:  # what makes the files is not installed where this runs
            return [corpus, FUZZ / "seeds" / target]
        made = {**valid_files(), **claiming()}
        made |= {f"exif-{n}.jpg": jpeg_with_exif(b) for n, b in absurd_exif().items()}
        for name, data in made.items():
            if len(data) <= MOST_BYTES[target] * 2:
                (corpus / name).write_bytes(data[: MOST_BYTES[target]])
    return [corpus, FUZZ / "seeds" / target]


def main() -> None:
    """Fuzz until something breaks, or the time is over."""
    target = sys.argv[1]
    seconds = sys.argv[2] if len(sys.argv) > 2 else "60"
    folders = map(str, begin(target))
    plugins.hooks()
    options = [f"-max_total_time={seconds}", f"-max_len={MOST_BYTES[target]}", "-timeout=20"]
    options += ["-rss_limit_mb=4096", *sys.argv[3:]]
    if target == "request":
        options.append(f"-dict={FUZZ / 'request.dict'}")
    atheris.Setup([sys.argv[0], *options, *folders], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
