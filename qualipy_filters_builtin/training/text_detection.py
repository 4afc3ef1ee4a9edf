"""Train the network and the decision of ``text_detection``: one command, on drawn lettering.

The photos of the other filters, onto which words are drawn (see ``lettering.py``), teach a small
network cell by cell of 8 by 8 pixels where lettering is. A first network does not see some
scripts, and is measured on those. What it takes for lettering in photos without any is then
trained on, too, by the second network, which sees all scripts. It is a teacher: the network that
is shipped has two fifths of its weights and half of its cost, and learns to answer as the teacher
does. The labelled photos of the filter itself teach none of them: on them, the decision about the
whole photo is fitted and cross-validated::

    python training/text_detection.py path/to/labelled/photos text_detection.npz

PyTorch, Pillow with Raqm, and fonts are needed beside the other recipes' needs; the shipped model
saw those of Debian's fonts-noto-core, fonts-noto-cjk, fonts-dejavu, fonts-liberation2,
fonts-freefont-ttf, fonts-hosny-amiri, fonts-thai-tlwg, fonts-urw-base35, fonts-comfortaa,
fonts-dancingscript and fonts-lobster. With the same fonts, photos and libraries the model is the
same to the last byte. Source photos that turned out to show lettering are listed in
``text_detection_lettered.txt``, and left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from cards import PHOTOS, SHOWN, figures, libraries, parts, rounded
from dataset import Row, Sample, collections, folds, load
from lettering import CELL, SCRIPTS, SIDE, Drawer, Gray, fonts_by_script
from ordinary import odd_photos, ordinary_photos
from sklearn.linear_model import LogisticRegression
from torch import nn

from qualipy_core import Image, gray, plugins, training
from qualipy_filters_builtin.convolution import Geometry, sigmoid
from qualipy_filters_builtin.text_network import (
    GEOMETRIES,
    RECTIFIED,
    TextNetwork,
    blocks,
    evidence,
    pyramid,
)
from qualipy_filters_builtin.text_regions import LARGEST_SIDE

FILTER = "text_detection"
LETTERED = Path(__file__).with_name("text_detection_lettered.txt")
OPENCV = metadata.packages_distributions()["cv2"][0]  # with or without windows
FONTS = Path("/usr/share/fonts")
FONT_FILES = {".ttf", ".otf", ".ttc", ".t1"}
UNSEEN_SCRIPTS = ("armenian", "bengali", "devanagari", "georgian", "hangul", "hebrew", "thai")
SEED = 0
BATCH, MISTAKEN_IN_BATCH = 24, 6
TURNED = 0.1  # of the crops: book spines, signs that hang
STEPS, FIRST = 8000, 0.2  # batches of the teacher, and the share of them that the first gets
TAUGHT_STEPS = 4800
TRUST = 0.5  # in the teacher, where it is known what is lettering
RATE, WEIGHT_DECAY = 6e-3, 1e-3
MISTAKEN = 0.15  # a cell that is this probably lettering is worth another look
MINED_SIDES = (512, 360, 256, 180)
MINED_PER_SIDE = 2
FOLDS = 5
REGULAR = 1.0  # of the logistic regression
KNOWN_FAILURES = [
    "Single characters, lettering lower than 1/60 of the long side or filling the picture, brush "
    "and glow, and very faint watermarks are missed.",
    "Rows of small windows, rigging and crests of thin stripes are taken for text at times.",
]


class Plan(NamedTuple):
    """What a network is made of; rectified are the convolutions of these numbers."""

    geometries: tuple[Geometry, ...]
    kernels: tuple[int, ...]
    channels: tuple[int, ...]
    rectified: tuple[int, ...]
    evened: bool
    """Results are brought to one mean and deviation, which is folded into the weights."""


TEACHER = Plan(
    (Geometry(), Geometry(2), Geometry(1, 1), Geometry(1, 1), Geometry(1, 2, 2), Geometry()),
    (2, 2, 3, 3, 3, 1),
    (16, 12, 24, 24, 24, 24, 1),
    (0, 1, 2, 3),
    evened=False,
)
SHIPPED = Plan(
    GEOMETRIES,
    (2, 2, 3, 1, 3, 1, 3, 1, 1),
    (16, 16, 32, 32, 32, 32, 32, 32, 32, 1),
    RECTIFIED,
    evened=True,
)

Cells = npt.NDArray[np.int8]
Network = Callable[[Gray], npt.NDArray[np.float32]]
Samples = tuple[npt.NDArray[np.uint8], Cells]
Arrays = dict[str, npt.NDArray[np.float32]]


class Layer(nn.Module):  # type: ignore[misc]
    """A convolution and what becomes of its results."""

    def __init__(self, plan: Plan, number: int) -> None:
        super().__init__()
        stride, padding, dilation, by_channel = plan.geometries[number]
        channels, filters = plan.channels[number : number + 2]
        shape = (channels, filters, plan.kernels[number], stride, padding, dilation)
        self.convolution = nn.Conv2d(*shape, groups=filters if by_channel else 1)
        self.evened = plan.evened and filters > 1
        self.even = nn.BatchNorm2d(filters) if self.evened else nn.Identity()
        self.rectified = number in plan.rectified

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return what it makes of maps ``(n, channels, rows, columns)``."""
        maps = self.even(self.convolution(maps))
        return torch.relu(maps) if self.rectified else maps

    def folded(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return kernels (rows, columns, in, out) and biases, which even the results, too."""
        weight = self.convolution.weight.detach().numpy().transpose(2, 3, 1, 0)
        bias = self.convolution.bias.detach().numpy()
        if self.evened:
            deviation = np.sqrt(self.even.running_var.numpy() + self.even.eps)
            gain = self.even.weight.detach().numpy() / deviation
            weight = weight * gain
            bias = (bias - self.even.running_mean.numpy()) * gain + self.even.bias.detach().numpy()
        return np.ascontiguousarray(weight, np.float32), bias.astype(np.float32)


class Net(nn.Module):  # type: ignore[misc]
    """What `TextNetwork` computes, to be trained."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        layers = [Layer(plan, number) for number in range(len(plan.geometries))]
        half = len(layers) // 2
        self.near, self.around = nn.Sequential(*layers[:half]), nn.Sequential(*layers[half:-1])
        self.logit = layers[-1]

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return logits ``(n, rows, columns)`` of blocks ``(n, 16, rows, columns)``."""
        cells = self.near(seen)
        context = self.around(nn.functional.avg_pool2d(cells, 2))
        merged = torch.relu(cells + nn.functional.interpolate(context, scale_factor=2))
        return torch.as_tensor(self.logit(merged))[:, 0]

    def arrays(self) -> Arrays:
        """Return the weights and biases, as `TextNetwork` takes them."""
        found = {}
        for number, layer in enumerate([*self.near, *self.around, self.logit]):
            found[f"weight{number}"], found[f"bias{number}"] = layer.folded()
        return found

    def judge(self, luma: Gray) -> npt.NDArray[np.float32]:
        """Return the probability of each cell, as `TextNetwork` does."""
        rows, columns = (-(-side // CELL) for side in luma.shape)
        with torch.no_grad():
            logits = self(torch.from_numpy(blocks(luma)[None]))
        return sigmoid(logits[0, :rows, :columns].numpy())


def backgrounds(root: Path) -> list[Sample]:
    """Return photos of the other filters, each source once, without those that show lettering."""
    found = {sample.group: sample for sample in ordinary_photos(root, FILTER)}
    for _, sample in odd_photos(root):
        found.setdefault(sample.group, sample)
    out = {sample.group for sample in load(root, FILTER)} | set(LETTERED.read_text().split())
    return [found[group] for group in sorted(found) if group not in out]


def drawn(drawer: Drawer, count: int) -> Samples:
    """Draw samples: crops, and whether their cells are lettering."""
    samples = [drawer.sample() for _ in range(count)]
    return np.array([image for image, _ in samples]), np.array([cells for _, cells in samples])


def mistaken(network: Network, photos: list[Gray]) -> Samples:
    """Cut out what a network takes for lettering in photos that hold none."""
    crops = []
    for photo in photos:
        for side in MINED_SIDES:
            scale = side / max(photo.shape)
            sized = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            below, beside = (max(0, SIDE - length) for length in sized.shape)
            sized = cv2.copyMakeBorder(sized, 0, below, 0, beside, cv2.BORDER_REFLECT)
            level = np.asarray(sized, np.uint8)
            cells = network(level)
            for _ in range(MINED_PER_SIDE):
                row, column = np.unravel_index(int(cells.argmax()), cells.shape)
                if cells[row, column] < MISTAKEN:
                    break
                top = int(np.clip(row * CELL - SIDE // 2, 0, level.shape[0] - SIDE))
                left = int(np.clip(column * CELL - SIDE // 2, 0, level.shape[1] - SIDE))
                crops.append(level[top : top + SIDE, left : left + SIDE])
                cells[top // CELL :, left // CELL :][: SIDE // CELL, : SIDE // CELL] = 0
    return np.array(crops), np.zeros((len(crops), SIDE // CELL, SIDE // CELL), np.int8)


def trained(
    net: Net,
    samples: Samples,
    hard: Samples | None,
    steps: int,
    seed: int,
    teacher: Net | None = None,
) -> None:
    """Go on training a network, with what was mistaken for lettering in a quarter of a batch.

    With a teacher, it learns what that answers: half of it where it is known what is lettering, and
    all of it where that is not.
    """
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    rng = np.random.default_rng(seed)
    started, total = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        images, cells = [], []
        for place in range(BATCH):
            crops, truth = hard if hard and place < MISTAKEN_IN_BATCH else samples
            chosen = int(rng.integers(len(crops)))
            mirror = -1 if rng.random() < 0.5 else 1  # mirrored lettering is lettering,
            sign = -1 if rng.random() < 0.5 else 1  # and so is bright lettering on dark ground
            turns = 1 if rng.random() < TURNED else 0
            crop = np.ascontiguousarray(np.rot90(crops[chosen][:, ::mirror], turns))
            images.append(blocks(crop) * np.float32(sign))
            cells.append(np.rot90(truth[chosen][:, ::mirror], turns))
        truth = torch.from_numpy(np.array(cells)).float()
        seen = torch.from_numpy(np.array(images))
        goal, judged = truth.clamp(min=0), truth >= 0
        if teacher is not None:
            with torch.no_grad():
                answer = torch.sigmoid(teacher(seen))
            goal = torch.where(judged, TRUST * answer + (1 - TRUST) * goal, answer)
            judged = torch.ones_like(judged)
        loss = nn.functional.binary_cross_entropy_with_logits(net(seen), goal, reduction="none")
        loss = (loss * judged).sum() / judged.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total += float(loss.detach())
        if step % 250 == 0:
            spent = time.monotonic() - started
            print(f"step {step}, loss {total / 250:.4f}, {spent:.0f} s", flush=True)
            total = 0.0


def taught(teacher: Net, samples: Samples, hard: Samples, steps: int) -> Net:
    """Train the network that is shipped, by a teacher."""
    torch.manual_seed(SEED)
    net = Net(SHIPPED)
    for each in (net, teacher):
        each.to(memory_format=torch.channels_last)  # half the time
    trained(net, samples, hard, steps, seed=3, teacher=teacher)
    return net


def shares(network: Network, samples: Samples) -> dict[str, float]:
    """Return the shares of cells of drawn samples that are judged rightly."""
    probability = np.array([network(image) for image in samples[0]])
    return {
        "recall": float((probability[samples[1] == 1] > 0.5).mean()),
        "specificity": float((probability[samples[1] == 0] <= 0.5).mean()),
    }


def decided(network: Network, samples: list[Sample]) -> tuple[Arrays, npt.NDArray[np.float64]]:
    """Fit the decision to labelled photos; return it, and cross-validated degrees."""
    features = np.array(
        [
            evidence([network(level) for level in pyramid(gray(Image(item.read()), LARGEST_SIDE))])
            for item in samples
        ]
    )
    positive = np.array([item.positive for item in samples])

    def fit(chosen: npt.NDArray[np.bool_]) -> LogisticRegression:
        model = LogisticRegression(C=REGULAR, class_weight="balanced")
        return model.fit(features[chosen], positive[chosen])

    held_out = np.zeros(len(samples))
    for fold in folds([item.group for item in samples], FOLDS):
        held_out[fold] = fit(~fold).predict_proba(features[fold])[:, 1]
    model = fit(np.ones(len(samples), np.bool_))
    decision = np.append(model.coef_[0], model.intercept_[0])
    return {"decision": decision.astype(np.float32)}, held_out


def main() -> None:
    """Train, measure, and write the model with its card."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="the folder of labelled photos")
    parser.add_argument("model", type=Path, help="the model file to write; its card goes beside it")
    parser.add_argument("--fonts", type=Path, default=FONTS, help="the folder of fonts")
    parser.add_argument("--count", type=int, default=5000, help="samples drawn, for each network")
    parser.add_argument("--steps", type=int, default=STEPS, help="batches, for the teacher")
    parser.add_argument("--taught-steps", type=int, default=TAUGHT_STEPS, help="and for its pupil")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)

    places = backgrounds(options.photos)
    photos = [np.asarray(cv2.cvtColor(s.read(), cv2.COLOR_RGB2GRAY), np.uint8) for s in places]
    files = sorted(p for p in options.fonts.rglob("*") if p.suffix in FONT_FILES)
    fonts = fonts_by_script([str(path) for path in files])
    print(f"{len(photos)} photos, {len(files)} fonts, {len(fonts)} scripts", flush=True)
    seen = set(SCRIPTS) - set(UNSEEN_SCRIPTS)
    some = drawn(Drawer(photos, fonts, seen, seed=1), options.count)
    teacher = Net(TEACHER)
    first_steps = int(options.steps * FIRST)
    trained(teacher, some, None, first_steps, seed=1)
    checked = {}
    for number, (title, scripts) in enumerate({"seen": seen, "unseen": UNSEEN_SCRIPTS}.items()):
        test = drawn(Drawer(photos, fonts, scripts, seed=10 + number), options.count // 10)
        checked[f"first_network_{title}_scripts"] = shares(teacher.judge, test)
    print(checked, flush=True)
    hard = mistaken(teacher.judge, photos)
    print(f"{len(hard[0])} crops mistaken for lettering", flush=True)
    more = drawn(Drawer(photos, fonts, seed=2), options.count)
    every = (np.concatenate([some[0], more[0]]), np.concatenate([some[1], more[1]]))
    trained(teacher, every, hard, options.steps - first_steps, seed=2)
    test = drawn(Drawer(photos, fonts, seed=20), options.count // 10)
    checked["teacher_all_scripts"] = shares(teacher.judge, test)
    hard = mistaken(teacher.judge, photos)
    print(f"{len(hard[0])} crops mistaken for lettering by the teacher", flush=True)
    net = taught(teacher, every, hard, options.taught_steps)
    network = TextNetwork(net.arrays())
    checked["all_scripts"] = shares(network, test)

    samples = load(options.photos, FILTER)
    decision, degree = decided(network, samples)
    arrays: dict[str, Any] = {**net.arrays(), **decision}
    np.savez(options.model, **arrays)
    counts = {
        "photos": len(photos),
        "fonts": len({path for paths in fonts.values() for path in paths}),
        "scripts": len(fonts),
        "drawn": len(every[0]),
        "mistaken_crops": len(hard[0]),
        "steps": options.steps,
        "taught_steps": options.taught_steps,
    }
    card = described(options.photos, net, counts, checked, samples, degree)
    groups = [sample.group for sample in places]
    card["training"]["collections"] = collections(options.photos, groups)
    training.write_card(options.model, card)
    show(card)


def described(
    root: Path,
    net: Net,
    counts: dict[str, int],
    checked: dict[str, dict[str, float]],
    samples: list[Sample],
    degree: npt.NDArray[np.float64],
) -> dict[str, Any]:
    """Return what is to be known about the model: everything but its checksum."""
    distribution, version = plugins.origin(plugins.registry().get(FILTER))
    none = np.zeros(0)
    rows = [Row(none, s.positive, "labelled", s.variant, s.group, s.kind) for s in samples]
    shapes = [array.shape for name, array in net.arrays().items() if name.startswith("weight")]
    measured: dict[str, Any] = rounded(
        {
            "drawn_lettering": {
                "of": "Cells of 8 by 8 pixels of drawn samples that were not trained on; the "
                f"scripts unseen by the first network are {', '.join(UNSEEN_SCRIPTS)}.",
                **checked,
            },
            "cross_validated": {
                "how": "The network saw none of these photos. The decision about a whole photo was "
                f"fitted to four fifths of them and measured on the other, in {FOLDS} turns, in "
                "which source photos are kept whole.",
                "photos": PHOTOS,
                "threshold": 0.5,
                "all": figures(rows, degree),
                **parts(rows, degree),
            },
        }
    )
    return {
        "filter": FILTER,
        "distribution": distribution,
        "version": version,
        "model": "convolutional network; kernels as rows, columns, channels in, channels out",
        "layers": [" × ".join(str(side) for side in shape) for shape in shapes],
        **measured,
        "known_failures": KNOWN_FAILURES,
        "training": {
            "photos": "Photos without lettering, of public collections: those of the other "
            "filters, without the source photos that are labelled for this one and without "
            f"{len(LETTERED.read_text().split())} that show lettering.",
            "made": "Words of some twenty scripts drawn onto crops of the photos, and as often "
            "what is taken for lettering; then crops that a network mistook for lettering. On "
            "these, the network learnt what was drawn and, with as much weight, what a larger one "
            "answers that was trained so.",
            "counts": counts,
            "seed": "fixed in the recipe",
            "command": f"python training/{FILTER}.py FOLDER {FILTER}.npz",
            "with": libraries("numpy", OPENCV, "pillow", "scikit-learn", "torch"),
        },
    }


def show(card: dict[str, Any]) -> None:
    """Print the figures of a card."""
    for title, found in (card["drawn_lettering"] | card["cross_validated"]).items():
        if isinstance(found, dict):
            print(title, {name: found[name] for name in SHOWN if name in found})


if __name__ == "__main__":
    main()
