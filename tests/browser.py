"""A headless Chromium, driven over two pipes with the DevTools protocol."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Browser:
    """One tab of a browser, without a profile or network of its own."""

    def __enter__(self):
        program = next(filter(None, map(shutil.which, NAMES)), None)
        assert program, f"there is none of {', '.join(NAMES)}: install Chromium, such as with apt-get install chromium"
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        (read_there, self.write_here), (self.read_here, write_there) = os.pipe(), os.pipe()
        # it reads commands at 3, and answers at 4
        command = ["sh", "-c", f'exec "$@" 3<&{read_there} 4>&{write_there}', "sh", program, "--headless=new"]
        command += [
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-dev-shm-usage",
        ]
        command += [f"--user-data-dir={self.folder.name}", "about:blank"]
        self.process = subprocess.Popen(command, pass_fds=(read_there, write_there), stderr=subprocess.DEVNULL)
        os.close(read_there)
        os.close(write_there)
        self.numbers, self.events, self.rest, self.session = itertools.count(1), [], b"", None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.write_here)
        os.close(self.read_here)
        self.folder.cleanup()

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
