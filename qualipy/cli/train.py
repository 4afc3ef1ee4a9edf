"""``qualipy train``: a model of one's own for a filter that can be trained."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qualipy.cli import figures, labelled, terminal
from qualipy.cli.failures import CannotWork, WrongUse
from qualipy.cli.text import unstyled, visible
from qualipy.cli.words import duration
from qualipy_core.errors import ModelError, PluginError

if TYPE_CHECKING:
    from qualipy.evaluation import Evaluation
    from qualipy.labels import Sample
    from qualipy_core import Result, TrainableFilter
    from qualipy_core.criterion import Criterion

NEW, IN_USE = "new, cross-validated", "in use"


@click.command()
@labelled.options
@click.option(
    "-o",
    "--output",
    metavar="MODEL.npz",
    required=True,
    type=click.Path(path_type=Path),
    help="Write the model here, and its card beside it, as .json.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
def train(
    name: str,
    settings: tuple[str, ...],
    output: Path,
    force: bool,
    jobs: int | None,
    quiet: bool,
    **photos: Any,
) -> None:
    """Train a filter's model on photos of your own, and say how well it does.

    The photos are those of --positives and --negatives, or of a CSV file; some hundred of each kind
    are a good start. Photos of one group, such as several versions of one picture, must be named as
    such in the CSV file: a model that has seen one of them has seen the others. The new model's
    figures are cross-validated; those of the model in use stand beside them. A photo that can't be
    read is left out.

    Training needs scikit-learn: pip install 'qualipy[train]'. Using the model does not.

    \b
    Examples:
      qualipy train whole_blur --positives blurred/ --negatives sharp/ -o blur.npz
      qualipy train hdr --labels photos.csv -o hdr.npz
      qualipy scan photos/ --filters whole_blur --set whole_blur.svm_file=blur.npz

    \b
    Exit status:
      0    done
      1    done, but for photos that could not be read or stand under both labels
      2    the command line is wrong, or there are too few photos
      3    a pack, a library or the workers are broken
      130  stopped by Ctrl-C; nothing is written
    """  # noqa: D301 (click reads the \b)
    from qualipy.labels import grouped
    from qualipy_core import training
    from qualipy_core.models import check_counts, need_scikit_learn

    _check_output(output, force)
    job = labelled.prepare(name, settings, **photos)
    item = _trainable(job.filter)
    need_scikit_learn()
    check_counts(job.photos.count(True), job.photos.count(False))
    done = labelled.run(
        lambda images, jobs: training.scan_features(item, images, jobs=jobs),
        job.photos.samples,
        jobs,
        quiet=quiet,
    )
    if done.stopped is not None:
        terminal.say("Stopped; nothing is written.")
        sys.exit(done.stopped)
    if not quiet:
        terminal.say(f"{len(done.pairs):,} photos in {duration(done.seconds)}; training …")
    usable = [(sample, result) for sample, result in done.pairs if not result.failed]
    table = [training.row(result) for _, result in usable]
    labels, groups = [sample.positive for sample, _ in usable], grouped([s for s, _ in usable])
    trained = item.fit(table, labels, groups)
    held_out = training.cross_validated(item, table, labels, groups)
    new = _evaluation(trained, done.pairs, held_out.tolist())
    try:
        used = _evaluation(item, done.pairs, item.model.probability(table).tolist())
    except (ModelError, OSError):  # a pack in the making has none yet
        used = None
    card = training.card(trained, labels, held_out, groups, left_out=len(new.failures))
    with _written(output) as part:
        trained.model.save(part)
        training.write_card(output, card, saved=part)
    colours = terminal.has_colours(sys.stdout)
    for line in _report(new, used, output):
        click.echo(line if colours else unstyled(line), color=True)
    if not quiet:
        for remark in labelled.remarks(job.photos, done):
            terminal.say(remark)
    sys.exit(done.exit_code(job.photos))


def _report(new: Evaluation, used: Evaluation | None, output: Path) -> Iterator[str]:
    from qualipy_core.training import card_path

    yield figures.title(new.filter)
    yield figures.counts(new)
    yield ""
    columns = {NEW: new.figures}
    yield from figures.table(columns if used is None else columns | {IN_USE: used.figures})
    yield figures.method(new)
    kept = ", groups kept together" if new.groups is not None else ""
    yield f"Cross-validated: each fifth was judged by a model trained on the others{kept}."
    if used is not None:
        yield "The model in use may have been trained on these very photos."
    yield ""
    name, path = new.filter.name, visible(str(output))
    yield f"Written: {path}, and its card {visible(str(card_path(output)))}"
    yield f"To use it: --filters {name} --set {name}.svm_file={path}"
    yield from figures.failures(new)


def _evaluation(
    item: TrainableFilter, pairs: Iterable[tuple[Sample, Result]], probabilities: Sequence[float]
) -> Evaluation:
    """The evaluation of a model, from its probabilities for the photos that were measured."""
    from qualipy.evaluation import Evaluation

    left = iter(probabilities)

    def judged(result: Result) -> Result:
        if result.failed:
            return result
        probability = next(left)
        decisions = {item.name: item.decision(probability)}
        return replace(result, predictions={item.name: probability}, decisions=decisions)

    return Evaluation.of(item, [(sample, judged(result)) for sample, result in pairs])


def _trainable(item: Criterion) -> TrainableFilter:
    from qualipy_core import TrainableFilter, plugins

    if isinstance(item, TrainableFilter):
        return item
    known = []
    for name in plugins.registry().names():
        with suppress(PluginError):
            if issubclass(plugins.registry().get(name), TrainableFilter):
                known.append(name)
    raise click.BadParameter(
        f"{item.name} has no model to train. These have one: {', '.join(known) or 'none'}.",
        param_hint="FILTER",
    )


def _check_output(output: Path, force: bool) -> None:
    """See, before any work, that the model and its card can be written."""
    from qualipy_core.training import card_path

    card = card_path(output)
    if card == output:
        raise WrongUse(f"{output} is where the model's card goes: name the model .npz.")
    for path in (output, card):
        if path.is_dir():
            raise WrongUse(f"{path} is a folder.")
        if path.exists() and not force:
            raise WrongUse(f"{path} exists. Name another file, or replace it with --force.")
    if not os.access(output.parent, os.W_OK):
        why = "is not writable" if output.parent.exists() else "does not exist"
        raise WrongUse(f"{output} cannot be written: the folder {output.parent} {why}.")


@contextmanager
def _written(output: Path) -> Iterator[Path]:
    """Write beside the file and then put it in its place, so that it is never there in part."""
    part = output.with_name(f"{output.name}.part")
    try:
        yield part
        part.replace(output)
    except OSError as error:
        raise CannotWork(f"{output} cannot be written: {error.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)
