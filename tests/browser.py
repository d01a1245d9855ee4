"""Chromium without a window, driven as its own developer tools drive it."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import websocket
from axe_core_python.base import AXE_SCRIPT

from tests.programs import program

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
WAIT = 120  # seconds; only a browser that hangs takes so long


def find_chromium() -> str:
    """Its program; without one the test is skipped, and fails in CI."""
    return program(NAMES, "chromium", "no page is rendered in a browser")


class Browser:
    """One page in a browser of its own. ``troubles``: what its console says, such as of a policy that was broken."""

    def __init__(self, folder: Path) -> None:
        self._command = [find_chromium(), *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={folder}"]
        self.troubles: list[str] = []
        self._number, self._session = 0, ""

    def __enter__(self) -> Browser:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert self._process.stderr is not None
        address = ""
        for line in self._process.stderr:
            if line.startswith("DevTools listening on "):
                address = line.split()[-1]
                break
        assert address, "Chromium ended before it listened"
        self._socket = websocket.create_connection(address, timeout=WAIT, suppress_origin=True)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for room in ("Page", "Runtime", "Log", "DOM", "Accessibility"):
            self.call(f"{room}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a method of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while True:
            said = json.loads(self._socket.recv())
            if said.get("id") == self._number:
                assert "error" not in said, said
                return dict(said["result"])
            self._note(said)

    def open(self, url: str, width: int = 1200, height: int = 1000, *, dark: bool = False) -> None:
        """Load an address, in a window of that size."""
        self.look(width, height, dark=dark)
        self.call("Page.navigate", url=url)
        self.wait_for(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def pictures(self, url: str) -> tuple[int, int]:
        """How many pictures a page has that may run no script, and how many of them are shown."""
        self.call("Page.navigate", url=url)
        while self.evaluate("document.readyState") != "complete":
            self._note(json.loads(self._socket.recv()))  # something happens before it is
        shown = "[...document.images].filter((one) => one.complete && one.naturalWidth > 0)"
        return self.evaluate("document.images.length"), self.evaluate(f"{shown}.length")

    def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Size of the window, and whether the user likes it dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def evaluate(self, expression: str) -> Any:
        """The value of JavaScript; a promise is waited for."""
        said = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Until a condition in JavaScript is true."""
        self.evaluate(
            f"new Promise((done) => {{ const look = () => (({condition}) ? done() : setTimeout(look, 10)); look(); }})"
        )

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files, as the dialog of an input does."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27}.get(key) or ord(key.upper())
        text = key if len(key) == 1 else "\r" if key == "Enter" else ""
        pressed: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **pressed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def controls(self) -> list[tuple[str, str]]:
        """Role and name of all that a person can use, as a screen reader has them."""
        roles = {"button", "combobox", "textbox", "link", "checkbox", "slider"}
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        seen = [one for one in nodes if not one["ignored"] and one["role"]["value"] in roles]
        return [(one["role"]["value"], one.get("name", {}).get("value", "")) for one in seen]

    def barriers(self) -> list[str]:
        """What axe-core finds on the page that keeps people from using it, contrasts among them."""
        self.evaluate(f"if (!window.axe) {{ {AXE_SCRIPT}\n }}; null")
        found = self.evaluate(f"axe.run(document, {{runOnly: {json.dumps(RULES)}, resultTypes: ['violations']}})")
        return [f"{one['id']}: {node['html'][:120]}" for one in found["violations"] for node in one["nodes"]]

    def shoot(self, path: Path) -> None:
        """A picture of the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _note(self, said: dict[str, Any]) -> None:
        parameters = said.get("params", {})
        if said["method"] == "Runtime.exceptionThrown":
            self.troubles.append(str(parameters["exceptionDetails"]))
        entry = parameters.get("entry", {})
        # a response of 4xx is no trouble of the page
        if entry.get("level") in ("error", "warning") and entry["source"] != "network":
            self.troubles.append(str(entry["text"]))
