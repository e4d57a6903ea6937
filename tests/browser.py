"""A headless Chromium, driven over two pipes with the DevTools protocol."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)  # where it reads commands
os.dup2(ends[1], 4)  # where it answers
os.execv(sys.argv[3], sys.argv[3:])
"""


@contextmanager
def open_browser():
    """Open a tab of a browser that has no profile of its own."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    assert program, f"there is none of {', '.join(NAMES)}: install Chromium, such as with apt-get install chromium"
    (read_there, write_here), (read_here, write_there) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-c", START, str(read_there), str(write_there), program]
        command += ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--disable-dev-shm-usage", f"--user-data-dir={folder}", "about:blank"]
        process = subprocess.Popen(command, pass_fds=(read_there, write_there), stderr=subprocess.DEVNULL)
        for end in (read_there, write_there):
            os.close(end)
        try:
            yield Browser(read_here, write_here)
        finally:
            process.kill()
            process.wait()
            os.close(write_here)
            os.close(read_here)


class Browser:
    """One tab of a browser."""

    def __init__(self, read_here, write_here):
        self.read_here, self.write_here = read_here, write_here
        self.numbers, self.events, self.rest, self.session = itertools.count(1), [], b"", None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def _read(self):
        """Return the next message."""
        while b"\0" not in self.rest:
            part = os.read(self.read_here, 1 << 20)
            assert part, "the browser ended"
            self.rest += part
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def __call__(self, method, **parameters):
        """Send a command, and return its answer; events that come first are kept."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.write_here, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path, width, height=900, mobile=False):
        """Open a file in a window of a size in pixels."""
        self.events.clear()
        self("Emulation.setEmulatedMedia", media="")
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self("Page.navigate", url=path.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def run(self, code):
        """Return the value of an expression of JavaScript."""
        answer = self("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self):
        """Return what the console says, and what was asked of a network."""
        said = [e for e in self.events if e["method"] in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled")]
        said += [event for event in self.events if event["method"] == "Log.entryAdded"]
        urls = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return said + [url for url in urls if not url.startswith(("file:", "data:"))]

    def screenshot(self, path):
        """Write the whole page as PNG."""
        path.write_bytes(base64.b64decode(self("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def print(self, path):
        """Write the page as PDF, on A4."""
        size = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": False}
        path.write_bytes(base64.b64decode(self("Page.printToPDF", **size)["data"]))
