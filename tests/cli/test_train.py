"""``qualipy train``."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import time

import pytest

from qualipy_core import plugins

TINT = """
    import time

    from qualipy_core import TrainableFilter


    class Tint(TrainableFilter):
        \"\"\"Photos that are dark, told by a model that must be trained first.\"\"\"

        name = "tint"
        feature_names = ("red", "green")
        kernel = "linear"
        pause: float = 0.0

        def features(self, image):
            if self.pause:
                with open("seen", "a") as file:
                    file.write(".")
                time.sleep(self.pause)
            red, green, _ = image.pixels().mean(axis=(0, 1))
            if 99 < red < 101:
                raise ValueError("not this one")
            return [red, green]
"""


@pytest.fixture(autouse=True)
def labelled(site, tmp_path, paint):
    """A filter to train, and folders with ten photos each."""
    points = {"qualipy.filters": {"tint": "demo_tint:Tint"}}
    site.install("tint-pack", "2.0", points, demo_tint=TINT)
    for folder, levels in (("dark", range(0, 100, 10)), ("bright", range(150, 250, 10))):
        (tmp_path / folder).mkdir()
        for level in levels:
            paint(tmp_path / folder / f"{level}.png", level)
    return tmp_path


FOLDERS = ("--positives", "dark", "--negatives", "bright")


def test_a_model_is_trained_and_used(invoke, labelled):
    result = invoke("train", "tint", *FOLDERS, "-o", "mine.npz")
    assert result.exit_code == 0, result.output
    assert "20 photos: 10 positive, 10 negative" in result.stdout
    assert "new, cross-validated" in result.stdout
    assert "in use" not in result.stdout  # there is none
    assert "Written: mine.npz, and its card mine.json" in result.stdout
    used = invoke("scan", "dark", "--filters", "tint", "--set", "tint.svm_file=mine.npz")
    assert used.stdout.count("flagged") == 10, used.output


def test_the_card_says_what_the_model_is_made_of(invoke, labelled):
    invoke("train", "tint", *FOLDERS, "-o", "mine.npz")
    card = json.loads((labelled / "mine.json").read_text())
    assert card["filter"] == "tint"
    assert (card["distribution"], card["version"]) == ("tint-pack", "2.0")
    assert card["features"] == ["red", "green"]
    assert (card["positives"], card["negatives"], card["left_out"]) == (10, 10, 0)
    assert card["cross_validated"]["balanced_accuracy"]["value"] > 0.8
    assert str(labelled) not in (labelled / "mine.json").read_text()


def test_a_filter_is_explained_with_what_the_card_of_its_shipped_model_says(site, invoke, labelled):
    invoke("train", "tint", *FOLDERS, "-o", "mine.npz")
    models = site.path / "demo_shipped" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").touch()
    code = TINT.replace('"tint"', '"shipped"').replace(
        "kernel = ", 'model_file = "m.npz"; kernel = '
    )
    (models.parent / "shipped.py").write_text(textwrap.dedent(code))
    points = {"qualipy.filters": {"shipped": "demo_shipped.shipped:Tint"}}
    site.install("shipping-pack", "1.0", points)
    plugins.refresh()
    (models / "m.npz").write_bytes((labelled / "mine.npz").read_bytes())
    card = (labelled / "mine.json").read_text()
    anothers = card.replace('"sha256": "', '"sha256": "0')
    for text, shown in (("", False), (card, True), (anothers, False), (card[:99], False)):
        (models / "m.json").write_text(text)
        explained = invoke("filters", "shipped")
        assert explained.exit_code == 0, explained.output
        assert ("cross-validated on 20 labelled photos" in explained.stdout) == shown


def test_the_model_in_use_stands_beside_the_new_one(invoke, labelled):
    invoke("train", "tint", *FOLDERS, "-o", "one.npz")
    result = invoke("train", "tint", *FOLDERS, "-o", "two.npz", "--set", "svm_file=one.npz")
    assert "new, cross-validated     in use" in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("ROC AUC")]
    assert line.count("(") == 2
    assert (labelled / "one.npz").read_bytes() == (labelled / "two.npz").read_bytes()


def test_groups_are_kept_together(invoke, labelled):
    rows = [f"dark/{n}.png,1,{n // 20}" for n in range(0, 100, 10)]
    rows += [f"bright/{n}.png,0,{n // 20}" for n in range(150, 250, 10)]
    (labelled / "labels.csv").write_text("\n".join(["path,label,group", *rows]))
    result = invoke("train", "tint", "--labels", "labels.csv", "-o", "mine.npz")
    assert "in 11 groups" in result.stdout
    assert "groups kept together" in result.stdout
    assert json.loads((labelled / "mine.json").read_text())["groups"] == 11


def test_photos_that_cannot_be_used_are_told_and_left_out(invoke, labelled, paint):
    (labelled / "dark" / "broken.png").write_bytes(b"no photo")
    paint(labelled / "bright" / "100.png", 100)
    result = invoke("train", "tint", *FOLDERS, "-o", "mine.npz")
    assert result.exit_code == 1
    left_out = result.stdout.partition("Not judged\n")[2]
    assert "dark/broken.png" in left_out
    assert "failed: ValueError: not this one on bright/100.png" in left_out
    assert json.loads((labelled / "mine.json").read_text())["left_out"] == 2


@pytest.mark.parametrize("existing", ["mine.npz", "mine.json"])
def test_no_file_is_replaced_unless_asked_for(invoke, labelled, existing):
    (labelled / existing).write_text("precious")
    result = invoke("train", "tint", *FOLDERS, "-o", "mine.npz")
    assert result.exit_code == 2
    assert f"{existing} exists" in result.stderr
    assert "--force" in result.stderr
    assert (labelled / existing).read_text() == "precious"
    assert invoke("train", "tint", *FOLDERS, "-o", "mine.npz", "--force").exit_code == 0
    assert (labelled / existing).read_bytes() != b"precious"


def test_a_filter_without_a_model_is_an_error_that_lists_those_with_one(invoke, labelled):
    result = invoke("train", "dark", *FOLDERS, "-o", "mine.npz")
    assert result.exit_code == 2
    assert "dark has no model to train. These have one: tint." in result.stderr


def test_without_scikit_learn_it_says_what_to_install(invoke, labelled, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    result = invoke("train", "tint", *FOLDERS, "-o", "mine.npz")
    assert result.exit_code == 3
    assert "[train]" in result.stderr
    assert not (labelled / "mine.npz").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (FOLDERS, "--output"),
        (("-o", "mine.npz"), "No photos were given"),
        ((*FOLDERS, "-o", "mine.json"), "name the model .npz"),
        ((*FOLDERS, "-o", "dark"), "dark is a folder"),
        ((*FOLDERS, "-o", "no/such/mine.npz"), "the folder no/such does not exist"),
        (("--positives", "dark", "-o", "mine.npz"), "at least 5"),
        (("--positives", "dark", "--negatives", "bright/150.png", "-o", "m.npz"), "at least 5"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_said(invoke, labelled, args, said):
    result = invoke("train", "tint", *args)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stdout == ""


def test_too_few_that_can_be_read_are_too_few(invoke, labelled):
    for level in range(0, 60, 10):
        (labelled / "dark" / f"{level}.png").write_bytes(b"no photo")
    result = invoke("train", "tint", *FOLDERS, "-o", "mine.npz")
    assert result.exit_code == 2
    assert "at least 5 positive and 5 negative images; there are 4 and 10" in result.stderr
    assert not (labelled / "mine.npz").exists()


# From here on the program runs in a process of its own.


def test_workers_change_nothing(program, labelled):
    made = []
    for jobs in ("1", "2"):
        done = program("train", "tint", *FOLDERS, "-o", "mine.npz", "--force", "--jobs", jobs)
        assert done.returncode == 0, done.stderr
        files = [(labelled / name).read_bytes() for name in ("mine.npz", "mine.json")]
        made.append((done.stdout, *files))
    assert made[0] == made[1]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_signal_leaves_nothing_behind(program, labelled, jobs):
    setting = ("--set", "pause=0.3", "--jobs", jobs)
    process = program.start("train", "tint", *FOLDERS, "-o", "mine.npz", *setting)
    deadline = time.monotonic() + 120
    while not (labelled / "seen").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"nothing is written" in errors
    assert b"Traceback" not in errors
    assert not list(labelled.glob("mine*"))
