"""Drawn lettering, to train the text map of ``text_detection`` on.

Words of some twenty scripts are drawn onto crops of grey photos: any font, size, slant, contrast
and perspective, plain, outlined, shadowed, on a board or as a faint watermark. As often what is
drawn is no lettering but taken for it: grids, bars, bricks, dots, boards without words.
"""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

SIDE = 192
CELL = 8
SMALLEST_LETTERING = 9.0
LARGEST_LETTERING = 60.0
LEARNT_LETTERING = (9.0, 48.0)  # larger lettering is met again one octave down the pyramid
STROKED = 0.06  # of the words of the scripts that Hershey's fonts have: single strokes
STROKED_SCRIPTS = ("latin", "latin_upper", "digits")
UPRIGHT_SCRIPTS = ("han", "kana", "hangul")  # which are also written in columns
UPRIGHT = 0.25
SOFT = 0.12  # of the crops: as enlarged pictures, or those out of focus, are

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
    fonts : dict of str to list of str
        Font files by script.
    scripts : collection of str
        Which of the scripts to draw; those that no font has are left out.
    seed : int
        Where the random numbers start.
    """

    def __init__(
        self,
        photos: list[Gray],
        fonts: dict[str, list[str]],
        scripts: Collection[str] = tuple(SCRIPTS),
        seed: int = 0,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.photos = photos
        self.fonts = fonts
        self.scripts = sorted(set(fonts) & set(scripts))
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
        if script in UPRIGHT_SCRIPTS and rng.random() < UPRIGHT:
            text = "\n".join(self.words(script).replace(" ", "")[:6])
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

        stroked = script in STROKED_SCRIPTS and rng.random() < STROKED
        face, thick = int(rng.integers(8)), int(rng.integers(1, max(2, round(size / 6)) + 1))

        def ink(stroke_width: int) -> Float:
            if stroked:
                drawn = np.zeros((height, width), np.uint8)
                for number, line in enumerate(text.split("\n")):
                    foot = (pad, pad + round(size * (1.6 + 2.4 * number)))
                    width_there = thick + 2 * stroke_width
                    cv2.putText(drawn, line, foot, face, size / 16, 255, width_there, cv2.LINE_AA)
                return np.asarray(drawn, np.float32) / np.float32(255)
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
        if rng.random() < SOFT:
            small = cv2.resize(
                image, None, fx=1 / rng.uniform(1.3, 2.2), fy=1 / rng.uniform(1.3, 2.2),
                interpolation=cv2.INTER_AREA,
            )  # fmt: skip
            image = np.asarray(cv2.resize(small, (SIDE, SIDE)), np.float32)
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
