"""Train the text map of ``text_detection``: a small convolutional network, on drawn lettering.

The network sees grey photos without lettering, onto which words of some twenty scripts are drawn:
any font, size, slant, contrast and perspective, plain, outlined, shadowed, on a board or as a
faint watermark. As often it sees no lettering but what is taken for it: grids, bars, bricks, dots,
boards without words. It learns, cell by cell of 8 by 8 pixels, where lettering is.

Run it where PyTorch and Pillow (with Raqm) are installed, with folders of photos and of fonts::

    python text_detection.py draw photos.txt fonts.txt samples.npz --count 20000
    python text_detection.py train first.npz samples.npz
    python text_detection.py mine first.npz photos.txt hard.npz
    python text_detection.py train text_detection.npz samples.npz --hard hard.npz --start first.npz

``photos.txt`` lists photos without lettering, none of them labelled for the filter, and
``fonts.txt`` font files, a path a line. What is written holds plain arrays: the weights and biases
of every layer, read by ``text_regions.py``. A card is written beside it; when the model is in its
place in the package, the figures of the filter on labelled photos are added to that::

    python text_detection.py judge text_detection.npz path/to/labelled/photos
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

SIDE = 192
CELL = 8
SMALLEST_LETTERING = 9.0
LARGEST_LETTERING = 44.0
LEARNT_LETTERING = (9.0, 32.0)  # larger lettering is met again one octave down the pyramid

FILTER = "text_detection"
DIGITS = 3
KNOWN_FAILURES = [
    "Single characters, lettering lower than 1/60 of the long side or filling the picture, brush "
    "and glow, and very faint watermarks are missed.",
    "Rows of small windows, rigging and crests of thin stripes are taken for text at times.",
]
MISTAKEN = 0.15  # a cell that is this probably lettering is worth another look

Gray = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]

LATIN = "eeeeettttaaaooiinnsshhrrddlluccmwfgypbvkxqzj"
SCRIPTS: dict[str, str] = {
    "latin": LATIN,
    "latin_upper": LATIN.upper(),
    "digits": "0123456789012345678901234567890123456789:.-/%",
    "accents": LATIN + "áàâäãåéèêëíîïóôöõøúùûüñçßæœšžčłőğı",
    "cyrillic": "оеаинтсрвлкмдпуяызьбгчйхжшюцэф",
    "cyrillic_upper": "ОЕАИНТСРВЛКМДПУЯЫЗЬБГЧЙХЖШЮЦЭФ",
    "greek": "αβγδεζηθικλμνξοπρστυφχψωΑΒΓΔΕΘΛΞΠΣΦΨΩ",
    "hebrew": "אבגדהוזחטיכלמנסעפצקרשת",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "devanagari": "कखगघचछजझटठडणतथदधनपफबभमयरलवशषसह",
    "bengali": "কখগঘচছজঝটঠডণতথদধনপফবভমযরলশষসহ",
    "tamil": "கஙசஞடணதநபமயரலவழளறன",
    "telugu": "కఖగఘచఛజఝటఠడణతథదధనపఫబభమయరలవశషసహ",
    "thai": "กขคฆงจฉชซญฎฏฐณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ",
    "georgian": "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
    "armenian": "աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ",
    "ethiopic": "ሀለሐመሠረሰሸቀበተቸኀነኘአከኸወዐዘዠየደጀገጠጨጰጸፈፐ",
    "khmer": "កខគឃងចឆជឈញដឋឌឍណតថទធនបផពភមយរលវសហឡអ",
    "kana": "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらり"
    "るれろアイウエオカキクケコサシスセソ",
    "han": "".join(chr(c) for c in range(0x4E00, 0x4E00 + 4000, 7))
    + 3
    * (
        "日本国会人年大十二本中長出三時行見月分後前生五間上東四今金九入学高円子外八六下来"
        "気小七山話女北午百書先名川千水半男西電校語土木聞食車何南万毎白天母火右読友左休父"
        "雨"
    ),
    "hangul": "".join(chr(c) for c in range(0xAC00, 0xD7A3, 29)),
}
_SCRIPT_WEIGHTS = {"latin": 5.0, "latin_upper": 4.0, "digits": 2.0, "han": 3.0, "hangul": 2.0}


def fonts_by_script(paths: list[str]) -> dict[str, list[str]]:
    """Which of the fonts can draw each script, judged by the glyphs of three of its letters."""
    result: dict[str, list[str]] = {script: [] for script in SCRIPTS}
    for path in paths:
        font = ImageFont.truetype(path, 24)
        missing = bytes(font.getmask("\uffff"))
        for script, letters in SCRIPTS.items():
            probes = [bytes(font.getmask(letter)) for letter in letters[:: len(letters) // 3][:3]]
            if all(any(p) and p != missing for p in probes) and len(set(probes)) == len(probes):
                result[script].append(path)
    return {script: fonts for script, fonts in result.items() if fonts}


class Drawer:
    """Draws training samples; every sample follows from the seed.

    Parameters
    ----------
    photos : list of numpy.ndarray
        Grey photos without lettering, uint8.
    fonts : list of str
        Font files.
    seed : int
        Where the random numbers start.
    """

    def __init__(self, photos: list[Gray], fonts: list[str], seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.photos = photos
        self.fonts = fonts_by_script(fonts)
        self.scripts = sorted(self.fonts)
        weights = np.array([_SCRIPT_WEIGHTS.get(s, 1.0) for s in self.scripts])
        self.weights = weights / weights.sum()

    def sample(self) -> tuple[Gray, npt.NDArray[np.int8]]:
        """A grey crop ``(SIDE, SIDE)`` and its cells: 1 lettering, 0 none, -1 not to be judged."""
        rng = self.rng
        image = self.background().astype(np.float32)
        marked = np.zeros((SIDE, SIDE), np.float32)
        unsure = np.zeros((SIDE, SIDE), np.float32)
        if rng.random() < 0.45:
            for _ in range(rng.integers(1, 3)):
                self.distract(image)
        if rng.random() < 0.6:
            for _ in range(rng.choice([1, 1, 1, 2, 3])):
                self.letter(image, marked, unsure)
        image = self.degrade(image)
        share = cv2.resize(marked, None, fx=1 / CELL, fy=1 / CELL, interpolation=cv2.INTER_AREA)
        doubt = cv2.resize(unsure, None, fx=1 / CELL, fy=1 / CELL, interpolation=cv2.INTER_AREA)
        cells = np.where(share > 0.5, 1, np.where(share > 0.02, -1, 0)).astype(np.int8)
        cells[(doubt > 0.02) & (cells != 1)] = -1
        return np.clip(np.round(image), 0, 255).astype(np.uint8), cells

    def background(self) -> Gray:
        """A crop of a photo at a random scale, mirrored or turned at times."""
        rng = self.rng
        if rng.random() < 0.04:
            return np.full((SIDE, SIDE), rng.integers(0, 256), np.uint8)
        photo = self.photos[rng.integers(len(self.photos))]
        height, width = photo.shape
        scale = np.exp(rng.uniform(np.log(200), np.log(700))) / max(height, width)
        scale = max(scale, (SIDE + 1) / min(height, width))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        sized = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=interpolation)
        photo = np.asarray(sized, np.uint8)
        top = rng.integers(photo.shape[0] - SIDE + 1)
        left = rng.integers(photo.shape[1] - SIDE + 1)
        crop = photo[top : top + SIDE, left : left + SIDE]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        if rng.random() < 0.15:
            crop = np.rot90(crop, int(rng.integers(1, 4)))
        return np.ascontiguousarray(crop)

    def words(self, script: str) -> str:
        """One to three words of random letters, capitalised at times."""
        rng = self.rng
        letters = SCRIPTS[script]
        lengths = rng.integers(1 if script in ("han", "kana") else 2, 9, rng.integers(1, 4))
        words = ["".join(letters[i] for i in rng.integers(0, len(letters), n)) for n in lengths]
        if script in ("latin", "cyrillic", "accents") and rng.random() < 0.6:
            words = [w.capitalize() for w in words]
        return ("" if script in ("han", "kana") else " ").join(words)

    def letter(self, image: Float, marked: Float, unsure: Float) -> None:  # noqa: PLR0915
        """Draws a block of lettering onto ``image`` and marks it."""
        rng = self.rng
        script = self.scripts[rng.choice(len(self.scripts), p=self.weights)]
        path = self.fonts[script][rng.integers(len(self.fonts[script]))]
        size = float(np.exp(rng.uniform(np.log(SMALLEST_LETTERING), np.log(LARGEST_LETTERING))))
        font = ImageFont.truetype(path, 2 * round(size), index=0)
        text = "\n".join(self.words(script) for _ in range(rng.choice([1, 1, 1, 2, 3])))
        style = rng.choice(["plain", "outline", "shadow", "board", "faint", "hollow", "cells"],
                           p=[0.34, 0.11, 0.14, 0.2, 0.11, 0.05, 0.05])  # fmt: skip
        stroke = 0
        if style in ("outline", "hollow"):
            stroke = int(rng.integers(1, 4))
        elif rng.random() < 0.15:
            stroke = 1
        probe = ImageDraw.Draw(Image.new("L", (1, 1)))
        spacing = int(rng.integers(0, 14))
        box = probe.multiline_textbbox((0, 0), text, font, stroke_width=stroke, spacing=spacing)
        pad = int(size * rng.uniform(0.2, 1.0)) + 4
        width, height = int(box[2] - box[0]) + 2 * pad, int(box[3] - box[1]) + 2 * pad
        if width > 3000 or height > 2000:
            return
        at = (pad - box[0], pad - box[1])

        def ink(stroke_width: int) -> Float:
            canvas = Image.new("L", (width, height))
            ImageDraw.Draw(canvas).multiline_text(
                at, text, 255, font, stroke_width=stroke_width, spacing=spacing
            )
            return np.asarray(np.asarray(canvas, np.float32) / 255, np.float32)

        fill = ink(stroke if style not in ("outline", "hollow") else 0)
        edge = ink(stroke) if style in ("outline", "hollow") else fill
        if style == "cells":  # dot matrix and segments: the strokes broken by a grid
            step = max(3, int(size / rng.uniform(5, 9)))
            fill = fill.copy()
            fill[::step] = 0
            fill[:, ::step] = 0
            edge = fill
        body = np.zeros_like(fill)
        inner = int(pad * 0.6)
        body[pad - inner : height - pad + inner, pad - inner : width - pad + inner] = 1
        ground = np.zeros_like(fill)
        margin = int(pad * rng.uniform(0.0, 1.0)) if pad else 0
        ground[pad - margin - 2 : height - pad + margin + 2,
               pad - margin - 2 : width - pad + margin + 2] = 1  # fmt: skip

        matrix = self.placement(width, height)

        def lay(layer: Float) -> Float:
            # Two steps, so that shrinking averages: the canvas is drawn at twice the size.
            warped = cv2.warpPerspective(
                layer, np.diag([2.0, 2.0, 1.0]) @ matrix, (2 * SIDE, 2 * SIDE)
            )
            return np.asarray(
                cv2.resize(warped, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32
            )

        fill, edge, body, ground = lay(fill), lay(edge), lay(body), lay(ground)
        if body.sum() < 30:
            return
        under = float(image[body > 0.5].mean()) if (body > 0.5).any() else float(image.mean())
        level = self.other_level(under, 45)
        alpha = rng.uniform(0.75, 1.0)
        if style == "board":
            board = rng.uniform(0, 255)
            opacity = rng.uniform(0.5, 1.0)
            image += ground * opacity * (board - image)
            level = self.other_level(board * opacity + under * (1 - opacity), 60)
        if style == "shadow":
            offset = rng.uniform(0.04, 0.1) * size
            moved = np.array([[1, 0, offset], [0, 1, offset]], np.float32)
            shadow = cv2.warpAffine(edge, moved, (SIDE, SIDE))
            if rng.random() < 0.5:
                shadow = cv2.GaussianBlur(shadow, (0, 0), max(offset, 0.4))
            image += shadow * rng.uniform(0.5, 1) * ((0 if level > 110 else 255) - image)
        if style in ("outline", "hollow"):
            image += edge * ((0 if level > 128 else 255) - image) * rng.uniform(0.8, 1)
            if style == "hollow":
                level = under
        if style == "faint":
            alpha = rng.uniform(0.3, 0.6)
            level = self.other_level(under, 90)
        image += fill * alpha * (level - image)
        area = abs(np.linalg.det(matrix[:2, :2])) ** 0.5  # scale from canvas to crop
        height_there = 2 * size * area
        learnt = LEARNT_LETTERING[0] * 0.8 <= height_there <= LEARNT_LETTERING[1]
        texture = float(image[body > 0.5].std()) if (body > 0.5).any() else 0.0
        np.maximum(
            marked if learnt and texture > 9 else unsure,
            body,
            out=marked if learnt and texture > 9 else unsure,
        )

    def other_level(self, level: float, contrast: float) -> float:
        """A grey level at least ``contrast`` away from ``level``."""
        for _ in range(20):
            other = float(self.rng.choice([0.0, 255.0, self.rng.uniform(0, 255)]))
            if abs(other - level) >= contrast:
                break
        return other

    def placement(self, width: int, height: int) -> npt.NDArray[np.float64]:
        """From the double-sized canvas to the crop: half size, turned, sheared, in perspective."""
        rng = self.rng
        angle = rng.normal(0, 6) if rng.random() < 0.8 else rng.uniform(-35, 35)
        if rng.random() < 0.04:
            angle += 90
        angle = np.deg2rad(angle)
        shear = rng.normal(0, 0.12)
        squeeze = np.exp(rng.normal(0, 0.12))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = 0.5 * turn @ np.array([[squeeze, shear], [0, 1 / squeeze]])
        middle = linear @ np.array([width / 2, height / 2])
        reach = min(SIDE * 0.45, width / 4)
        goal = np.array(
            [rng.uniform(SIDE / 2 - reach, SIDE / 2 + reach), rng.uniform(12, SIDE - 12)]
        )
        matrix = np.eye(3)
        matrix[:2, :2] = linear
        matrix[:2, 2] = goal - middle
        if rng.random() < 0.3:
            bend = np.eye(3)
            bend[2, :2] = rng.normal(0, 0.0007, 2)
            about = np.eye(3)
            about[:2, 2] = -SIDE / 2
            matrix = np.linalg.inv(about) @ bend @ about @ matrix
            matrix /= matrix[2, 2]
        return matrix

    def distract(self, image: Float) -> None:  # noqa: PLR0915
        """Draws what is taken for lettering: bars, grids, bricks, dots, empty boards, branches."""
        rng = self.rng
        layer = np.zeros((SIDE, SIDE), np.uint8)
        kind = rng.integers(9)
        step = int(np.exp(rng.uniform(np.log(5), np.log(36))))
        line = max(1, int(step * rng.uniform(0.1, 0.6)))
        if kind == 0:  # fence
            for x in range(int(rng.integers(step)), SIDE, step):
                cv2.line(layer, (x, 0), (x, SIDE), 255, line, cv2.LINE_AA)
        elif kind == 1:  # window panes, with or without bars left out
            tall = max(4, int(step * rng.uniform(0.6, 2.0)))
            for y in range(0, SIDE, tall + line + 1):
                for x in range(0, SIDE, step + line + 1):
                    if rng.random() < 0.95:
                        cv2.rectangle(layer, (x, y), (x + step, y + tall), 255, -1)
        elif kind == 2:  # bricks
            tall = max(4, int(step * 0.5))
            for row, y in enumerate(range(0, SIDE, tall)):
                cv2.line(layer, (0, y), (SIDE, y), 255, max(1, line // 3))
                for x in range((row % 2) * step // 2, SIDE, step):
                    cv2.line(layer, (x, y), (x, y + tall), 255, max(1, line // 3))
        elif kind == 3:  # dots, pebbles
            for _ in range(rng.integers(10, 120)):
                centre = tuple(int(v) for v in rng.integers(0, SIDE, 2))
                axes = tuple(int(v) for v in rng.integers(1, max(2, step // 2) + 1, 2))
                cv2.ellipse(layer, centre, axes, rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
        elif kind == 4:  # branches, grass
            for _ in range(rng.integers(4, 40)):
                points = np.cumsum(rng.normal(0, step, (4, 2)), 0) + rng.uniform(0, SIDE, 2)
                cv2.polylines(layer, [points.astype(np.int32)], False, 255,
                              int(rng.integers(1, 4)), cv2.LINE_AA)  # fmt: skip
        elif kind == 5:  # a board without words
            corner = rng.integers(0, SIDE - 40, 2)
            size = rng.integers(20, 140, 2)
            end = corner + size
            cv2.rectangle(layer, corner.tolist(), end.tolist(), 255, -1)
            if rng.random() < 0.5:
                cv2.rectangle(layer, (corner + 4).tolist(), (end - 4).tolist(), 90, 2)
        elif kind == 6:  # cables, railings, rigging
            for _ in range(rng.integers(1, 14)):
                ends = rng.integers(-40, SIDE + 40, (2, 2))
                cv2.line(
                    layer,
                    ends[0].tolist(),
                    ends[1].tolist(),
                    255,
                    int(rng.integers(1, 5)),
                    cv2.LINE_AA,
                )
        elif kind == 7:  # chequers
            tiles = (np.indices((SIDE, SIDE)) // step).sum(0) % 2
            layer[tiles == 1] = 255
        else:  # tree of polygons, leaves
            for _ in range(rng.integers(3, 50)):
                points = rng.uniform(0, SIDE, 2) + rng.normal(
                    0, step / 2, (int(rng.integers(3, 6)), 2)
                )
                cv2.fillPoly(layer, [points.astype(np.int32)], 255, cv2.LINE_AA)
        mask = np.asarray(layer, np.float32) / np.float32(255)
        if rng.random() < 0.7:
            matrix = cv2.getRotationMatrix2D(
                (SIDE / 2, SIDE / 2), rng.normal(0, 15), rng.uniform(0.8, 1.4)
            )
            turned = cv2.warpAffine(mask, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
            mask = np.asarray(turned, np.float32)
        if rng.random() < 0.5:  # only a part of the picture, as objects have ends
            window = np.zeros_like(mask)
            top, left = rng.integers(0, SIDE - 30, 2)
            tall, wide = rng.integers(16, SIDE, 2)
            window[top : top + tall, left : left + wide] = 1
            mask *= window
        level = self.other_level(float(image.mean()), 25)
        image += mask * rng.uniform(0.4, 1) * (level - image)

    def degrade(self, image: Float) -> Float:
        """What cameras and files do: blur, noise, other tones, JPEG."""
        rng = self.rng
        if rng.random() < 0.3:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.1)), np.float32)
        if rng.random() < 0.3:
            image = image + rng.normal(0, rng.uniform(1, 8), image.shape).astype(np.float32)
        if rng.random() < 0.5:
            image = (
                (image - 128) * np.float32(rng.uniform(0.5, 1.1))
                + 128
                + np.float32(rng.normal(0, 15))
            )
        if rng.random() < 0.5:
            image = 255 - image if rng.random() < 0.3 else image
        clipped = np.clip(image, 0, 255).astype(np.uint8)
        coded = cv2.imencode(
            ".jpg", clipped, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))]
        )[1]
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.float32)


def normalised(gray: Gray) -> Float:
    """``(gray - mean) / (deviation + 8)`` over 31 by 31 pixels, as the filter does it."""
    image = gray.astype(np.float32)
    mean = cv2.blur(image, (31, 31), borderType=cv2.BORDER_REFLECT)
    square = cv2.blur(image * image, (31, 31), borderType=cv2.BORDER_REFLECT)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    return np.asarray((image - mean) / (deviation + 8), np.float32)


def draw(arguments: argparse.Namespace) -> None:
    """Draw samples and write them."""
    photos = []
    for line in Path(arguments.photos).read_text().split("\n"):
        photo = cv2.imread(line, cv2.IMREAD_GRAYSCALE) if line else None
        if photo is not None:
            photos.append(np.asarray(photo, np.uint8))
    drawer = Drawer(photos, Path(arguments.fonts).read_text().split(), arguments.seed)
    images = np.empty((arguments.count, SIDE, SIDE), np.uint8)
    cells = np.empty((arguments.count, SIDE // CELL, SIDE // CELL), np.int8)
    for i in range(arguments.count):
        images[i], cells[i] = drawer.sample()
    np.savez(arguments.samples, images=images, cells=cells)


def mine(arguments: argparse.Namespace) -> None:
    """Cut out what a model takes for lettering in photos that hold none."""
    from qualipy_filters_builtin.convolution import Network, sigmoid
    from qualipy_filters_builtin.text_regions import GEOMETRIES

    network = Network.read(Path(arguments.model), GEOMETRIES)
    crops = []
    for line in Path(arguments.photos).read_text().split():
        photo = np.asarray(cv2.imread(line, cv2.IMREAD_GRAYSCALE), np.uint8)
        for side in (512, 360, 256, 140):
            scale = side / max(photo.shape)
            level = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            below, beside = (max(0, SIDE - length) for length in level.shape)
            level = cv2.copyMakeBorder(level, 0, below, 0, beside, cv2.BORDER_REFLECT)
            grey = np.asarray(level, np.uint8)
            cells = sigmoid(network(normalised(grey)[:, :, None])[:, :, 0])
            for _ in range(2):
                row, column = np.unravel_index(int(cells.argmax()), cells.shape)
                if cells[row, column] < MISTAKEN:
                    break
                top = int(np.clip(row * CELL - SIDE // 2, 0, level.shape[0] - SIDE))
                left = int(np.clip(column * CELL - SIDE // 2, 0, level.shape[1] - SIDE))
                crops.append(level[top : top + SIDE, left : left + SIDE])
                cells[top // CELL :, left // CELL :][: SIDE // CELL, : SIDE // CELL] = 0
    none = np.zeros((len(crops), SIDE // CELL, SIDE // CELL), np.int8)
    np.savez(arguments.crops, images=np.array(crops), cells=none)


def train(arguments: argparse.Namespace) -> None:
    """Fit the network to samples and write its weights."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    layers = [
        nn.Conv2d(1, 16, 6, stride=4, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=2, dilation=2), nn.ReLU(),
        nn.Conv2d(32, 1, 1),
    ]  # fmt: skip
    network = nn.Sequential(*layers)
    if arguments.start:
        resume(network, arguments.start)
    drawn = [np.load(path) for path in arguments.samples]
    synthetic = sum(len(arrays["images"]) for arrays in drawn)
    drawn += [np.load(path) for path in arguments.hard]
    images = np.concatenate([arrays["images"] for arrays in drawn])
    cells = np.concatenate([arrays["cells"] for arrays in drawn])
    held_out = synthetic // 20

    def batch_of(chosen: npt.NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(np.stack([normalised(images[i]) for i in chosen])[:, None])

    steps = arguments.steps
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, arguments.rate, total_steps=steps)
    rng = np.random.default_rng(0)
    started, total = time.time(), 0.0
    for step in range(steps):
        chosen = rng.integers(held_out, synthetic, 24)
        if len(images) > synthetic:  # a quarter of every batch: what was mistaken for lettering
            chosen[:6] = rng.integers(synthetic, len(images), 6)
        batch, target = batch_of(chosen), torch.from_numpy(cells[chosen]).float()
        if rng.random() < 0.5:  # mirrored lettering is lettering
            batch, target = batch.flip(3), target.flip(2)
        if rng.random() < 0.5:  # and so is bright lettering on dark ground
            batch = -batch
        logits = network(batch)[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits, target.clamp(min=0), reduction="none"
        )
        loss = (loss * (target >= 0)).sum() / (target >= 0).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total += float(loss.detach())
        if step % 250 == 249:
            print(step + 1, round(total / 250, 4), round(time.time() - started), flush=True)
            total = 0.0
            save(arguments.model, network)
    with torch.no_grad():
        logits = network(batch_of(np.arange(held_out)))[:, 0].numpy()
    target = cells[:held_out]
    shares = {
        "recall": round(float((logits[target == 1] > 0).mean()), DIGITS),
        "specificity": round(float((logits[target == 0] <= 0).mean()), DIGITS),
    }
    print(shares)
    save(arguments.model, network)
    counts = {"drawn": synthetic, "mistaken_crops": len(images) - synthetic, "steps": steps}
    write_card(Path(arguments.model), counts, shares)


def write_card(model: Path, counts: dict[str, int], shares: dict[str, float]) -> None:
    """Write what is to be known about the network."""
    from cards import libraries

    from qualipy_core import plugins, training

    distribution, version = plugins.origin(plugins.registry().get(FILTER))
    with np.load(model, allow_pickle=False) as arrays:
        layers = [
            " × ".join(map(str, arrays[name].shape)) for name in arrays if name.startswith("weight")
        ]
    content = {
        "filter": FILTER,
        "distribution": distribution,
        "version": version,
        "model": "convolutional network; kernels as rows, columns, channels in, channels out",
        "layers": layers,
        "drawn_lettering": {
            "of": "cells of 8 by 8 pixels of drawn samples that were not trained on",
            **shares,
        },
        "known_failures": KNOWN_FAILURES,
        "training": {
            "photos": "Photos without lettering, of public collections.",
            "made": "Words of some twenty scripts drawn onto crops of the photos, and as often "
            "what is taken for lettering; then crops that a first network mistook for lettering.",
            "counts": counts,
            "seed": "0 for the network; that of the samples is given to draw",
            "command": "python training/text_detection.py draw …; train …; mine …; train …",
            "with": libraries("numpy", "opencv-python", "pillow", "torch"),
        },
    }
    training.write_card(model, content)


def judge(arguments: argparse.Namespace) -> None:
    """Add the figures of the filter, which uses the model, on labelled photos to its card."""
    from cards import PHOTOS, figures, parts, rounded
    from dataset import Row, load

    from qualipy_core import plugins, training

    card = training.read_card(arguments.model)
    if card is None:
        raise SystemExit(f"{arguments.model} has no card, or another's: train writes it.")
    item = plugins.registry().get(FILTER)()
    samples, degrees = [], []
    for sample in load(Path(arguments.folder), FILTER):
        none = np.zeros(0)
        samples.append(
            Row(none, sample.positive, "labelled", sample.variant, sample.group, sample.kind)
        )
        degrees.append(item.predict(sample.path, return_boolean=False))
    degree = np.array(degrees, np.float64)
    card["on_labelled_photos"] = rounded(
        {
            "how": "The filter at its threshold. The network saw none of these photos, but the "
            "filter's two weights were fitted to them: not cross-validated.",
            "photos": PHOTOS,
            "threshold": item.threshold,
            "all": figures(samples, degree),
            **parts(samples, degree),
        }
    )
    training.write_card(arguments.model, card)


def resume(network: object, path: str) -> None:
    """Take the weights of a model that was written before."""
    import torch

    arrays = np.load(path)
    for i, layer in enumerate(m for m in network if hasattr(m, "weight")):  # type: ignore[attr-defined]
        weight = arrays[f"weight{i}"].transpose(3, 2, 0, 1).copy()
        layer.weight.data = torch.from_numpy(weight)
        layer.bias.data = torch.from_numpy(arrays[f"bias{i}"])


def save(path: str, network: object) -> None:
    """Write the weights and biases as plain arrays."""
    arrays = {}
    for i, layer in enumerate(m for m in network if hasattr(m, "weight")):  # type: ignore[attr-defined]
        weight = layer.weight.detach().numpy()
        # (out, in, rows, columns) → (rows, columns, in, out): the order in which patches are laid.
        arrays[f"weight{i}"] = weight.transpose(2, 3, 1, 0).astype(np.float32)
        arrays[f"bias{i}"] = layer.bias.detach().numpy().astype(np.float32)
    np.savez(path, **arrays)


def main() -> None:
    """Run the command that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    drawing = commands.add_parser("draw")
    drawing.add_argument("photos")
    drawing.add_argument("fonts")
    drawing.add_argument("samples")
    drawing.add_argument("--count", type=int, default=20000)
    drawing.add_argument("--seed", type=int, default=0)
    drawing.set_defaults(run=draw)
    mining = commands.add_parser("mine")
    mining.add_argument("model")
    mining.add_argument("photos")
    mining.add_argument("crops")
    mining.set_defaults(run=mine)
    judging = commands.add_parser("judge")
    judging.add_argument("model", type=Path)
    judging.add_argument("folder", help="the folder of labelled photos")
    judging.set_defaults(run=judge)
    training = commands.add_parser("train")
    training.add_argument("model")
    training.add_argument("samples", nargs="+")
    training.add_argument("--hard", nargs="*", default=[], help="crops mistaken for lettering")
    training.add_argument("--start", help="a model to go on from")
    training.add_argument("--rate", type=float, default=4e-3)
    training.add_argument("--steps", type=int, default=6000)
    training.add_argument("--threads", type=int, default=1)
    training.set_defaults(run=train)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
