"""A real browser for tests: a headless Chromium, spoken to over a pipe.

Chromium's own DevTools protocol, JSON messages with a NUL behind each, needs no driver program
whose version must fit the browser's and no further package. What goes wrong in a page is kept and
can be asked for: errors and refusals on the console, dialogs, and everything that it requests.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
)
PATIENCE = 30.0  # seconds that anything may take, on a machine that is busy

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root, where it cannot start; the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)
_PLACE = """  # the ends of the pipes to where the protocol wants them
import fcntl, os, sys
high = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for place, end in enumerate(high, 3):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
_KEYS = {
    "Enter": 13,
    "Escape": 27,
    "PageUp": 33,
    "PageDown": 34,
    "End": 35,
    "Home": 36,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Tab": 9,
}


def find() -> str:
    """Return the path of a browser.

    Raises
    ------
    RuntimeError
        There is none: the tests of pages must not pass by being left out.
    """
    named = os.environ.get("QUALIPY_CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise RuntimeError(
            "The tests of the HTML report run in a real browser, and there is none: install "
            "Chromium (`apt-get install chromium-headless-shell`), or name one in QUALIPY_CHROMIUM."
        )
    return found


class BrowserError(AssertionError):
    """The browser refused a command, or a page's script threw."""


class Browser:
    """One browser process; `page` opens pages in it.

    Parameters
    ----------
    folder : Path
        An empty one, for its profile.
    """

    def __init__(self, folder: Path) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()

        self._process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-c", _PLACE, str(commands), str(answers)),
                *(find(), *_FLAGS, f"--user-data-dir={folder}", "about:blank"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(commands, answers),
        )
        os.close(commands)
        os.close(answers)
        self._buffer = b""
        self._number = 0
        self._pages: dict[str, Page] = {}

    def page(self) -> Page:
        """Open an empty page."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        made = self.send("Target.createTarget", url="about:blank", browserContextId=context)
        attached = self.send("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        page = Page(self, attached["sessionId"], context)
        self._pages[attached["sessionId"]] = page
        page.begin()
        return page

    def close(self) -> None:
        """End the browser."""
        try:
            self.send("Browser.close")
            self._process.wait(PATIENCE)
        except (BrowserError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def send(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Give a command and return its answer."""
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = memoryview(json.dumps(message).encode() + b"\0")
        while data:
            data = data[os.write(self._commands, data) :]
        while True:
            answer = self._take(time.monotonic() + PATIENCE)
            if answer.get("id") == number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                return answer["result"]

    def listen(self, seconds: float) -> None:
        """Let events come for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if b"\0" in self._buffer or select.select([self._answers], [], [], left)[0]:
                self._take(end + PATIENCE)

    def _take(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left < 0 or not select.select([self._answers], [], [], left)[0]:
                raise BrowserError("the browser does not answer")
            piece = os.read(self._answers, 1 << 20)
            if not piece:
                raise BrowserError("the browser has gone")
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message and (page := self._pages.get(message.get("sessionId", ""))):
            page.heard(message["method"], message["params"])
        return message


class Page:
    """A page of a browser.

    Attributes
    ----------
    problems : list of str
        Errors and warnings on the console, exceptions, refusals by the content policy.
    dialogs : list of str
        Messages of dialogs, which are dismissed.
    requests : list of str
        Every URL that was asked for.
    """

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self._context = context
        self._loaded = False
        self._unanswered = 0
        self.problems: list[str] = []
        self.dialogs: list[str] = []
        self.requests: list[str] = []

    def begin(self) -> None:
        """Listen to all that tells of trouble."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.size(1280, 800)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Give a command of the protocol to this page."""
        answer = self._browser.send(method, self._session, **params)
        while self._unanswered:
            self._unanswered -= 1
            self._browser.send("Page.handleJavaScriptDialog", self._session, accept=False)
        return answer

    def heard(self, method: str, params: dict[str, Any]) -> None:
        """Note an event."""
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])
            self._unanswered += 1
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            thrown = details.get("exception", {}).get("description") or details["text"]
            self.problems.append(thrown)
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.problems.append(str([each.get("value") for each in params["args"]]))
        elif method == "Log.entryAdded":
            entry = params["entry"]
            if entry["level"] in ("error", "warning"):
                self.problems.append(f"{entry['text']} {entry.get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, path: Path | str) -> None:
        """Open a file as a double click would, and wait until it is loaded."""
        self.requests.clear()
        url = path.absolute().as_uri() if isinstance(path, Path) else path
        self._load("Page.navigate", url=url)

    def reload(self) -> None:
        """Load the page again."""
        self._load("Page.reload")

    def _load(self, command: str, **params: Any) -> None:
        self._loaded = False
        answer = self.send(command, **params)
        assert "errorText" not in answer, answer
        end = time.monotonic() + PATIENCE
        while not self._loaded:
            assert time.monotonic() < end, "the page does not load"
            self._browser.listen(0.02)

    def run(self, source: str) -> Any:
        """Return what an expression of JavaScript gives, awaited and as JSON types."""
        answer = self.send(
            "Runtime.evaluate",
            expression=source,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            said = details.get("exception", {}).get("description") or details["text"]
            raise BrowserError(f"{source}: {said}")
        return answer["result"].get("value")

    def wait(self, source: str) -> Any:
        """Wait until an expression is true, and return it."""
        end = time.monotonic() + PATIENCE
        while not (value := self.run(source)):
            if time.monotonic() > end:
                raise BrowserError(f"never came true: {source}\n{self.problems}")
            self._browser.listen(0.02)
        return value

    def text(self, selector: str) -> str:
        """Return the text of an element, as it is seen."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def count(self, selector: str) -> int:
        """Return how many elements there are."""
        return int(self.run(f"document.querySelectorAll({json.dumps(selector)}).length"))

    def frame(self) -> None:
        """Wait until what has changed is drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Return left, top, width and height of an element in the window."""
        rect = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        left, top, width, height = self.run(f"(r => [r.left, r.top, r.width, r.height])({rect})")
        return left, top, width, height

    def middle(self, selector: str) -> tuple[float, float]:
        """Return the middle of an element, which is scrolled into the window."""
        self.run(
            f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block:'nearest'}})"
        )
        self.frame()
        left, top, width, height = self.box(selector)
        return left + width / 2, top + height / 2

    def click(self, selector: str) -> None:
        """Press and release the mouse in the middle of an element."""
        x, y = self.middle(selector)
        self.drag((x, y), ())
        self.frame()

    def drag(self, start: tuple[float, float], way: Sequence[tuple[float, float]]) -> None:
        """Press the mouse, move it along, and release it."""
        self._mouse("mouseMoved", start, 0)
        self._mouse("mousePressed", start, 1)
        for place in way:
            self._mouse("mouseMoved", place, 1)
        self._mouse("mouseReleased", way[-1] if way else start, 0)

    def _mouse(self, kind: str, place: tuple[float, float], held: int) -> None:
        button = "none" if kind == "mouseMoved" and not held else "left"
        x, y = place
        self.send(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x,
            y=y,
            button=button,
            buttons=held,
            clickCount=0 if kind == "mouseMoved" else 1,
        )

    def swipe(self, start: tuple[float, float], way: Sequence[tuple[float, float]]) -> None:
        """Put a finger down, move it along, and lift it."""
        self.send("Emulation.setTouchEmulationEnabled", enabled=True)
        for kind, places in (
            ("touchStart", [start]),
            *(("touchMove", [place]) for place in way),
            ("touchEnd", []),
        ):
            points = [{"x": x, "y": y} for x, y in places]
            self.send("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        self.send("Emulation.setTouchEmulationEnabled", enabled=False)

    def press(self, *keys: str, shift: bool = False) -> None:
        """Press keys one after the other: characters, or names such as ``ArrowLeft``."""
        modifiers = 8 if shift else 0
        for key in keys:
            code = _KEYS.get(key) or ord(key.upper())
            text = {"Enter": "\r"}.get(key, "" if key in _KEYS else key)
            common = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
            if key in _KEYS:
                common["code"] = key
            down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
            self.send("Input.dispatchKeyEvent", **common, **down)
            self.send("Input.dispatchKeyEvent", **common, type="keyUp")
        self.frame()

    def type(self, text: str) -> None:
        """Put text into what has the focus."""
        self.send("Input.insertText", text=text)
        self.frame()

    def size(self, width: int, height: int, *, phone: bool = False, scale: float = 1) -> None:
        """Give the window a size."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=phone,
        )
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)

    def prefer(self, **features: str) -> None:
        """Prefer what a media query asks for: ``prefers_color_scheme="dark"``."""
        wanted = [{"name": n.replace("_", "-"), "value": v} for n, v in features.items()]
        self.send("Emulation.setEmulatedMedia", features=wanted)

    def scripts(self, enabled: bool) -> None:
        """Switch the scripts of pages on or off."""
        self.send("Emulation.setScriptExecutionDisabled", value=not enabled)

    def downloads(self, folder: Path) -> Callable[[str], bytes]:
        """Save downloads in a folder; returns what waits for one and reads it."""
        folder.mkdir(exist_ok=True)
        self._browser.send(
            "Browser.setDownloadBehavior",
            behavior="allow",
            downloadPath=str(folder),
            browserContextId=self._context,
        )

        def read(name: str) -> bytes:
            end = time.monotonic() + PATIENCE
            while not (folder / name).exists():
                assert time.monotonic() < end, f"{name} was not saved: {os.listdir(folder)}"
                self._browser.listen(0.02)
            return (folder / name).read_bytes()

        return read

    def clipboard(self) -> str:
        """Return the text in the clipboard, which the page may use from now on."""
        return str(self.run("navigator.clipboard.readText()"))

    def allow(self, *permissions: str) -> None:
        """Grant permissions to every page of this one's context."""
        self._browser.send(
            "Browser.grantPermissions",
            permissions=list(permissions),
            browserContextId=self._context,
        )

    def picture(self, path: Path | str, *, whole: bool = False) -> None:
        """Save what is seen as a PNG file."""
        self.frame()
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """Close the page and forget what it has kept."""
        self._browser.send("Target.disposeBrowserContext", browserContextId=self._context)
