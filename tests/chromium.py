"""A headless Chromium, driven over --remote-debugging-pipe: JSON messages that end with NUL, on file descriptors 3 and 4."""

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One page; `events` holds what the browser reported, as (method, params)."""

    def __init__(self, reader, writer):
        self._reader, self._writer, self._sent, self._rest, self.events = reader, writer, 0, b"", []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    _session = {}  # noqa: RUF012

    def call(self, method, **params):
        """Send a command and wait for its answer."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params, **self._session}
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._sent:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append((answer["method"], answer["params"]))

    def _receive(self):
        while b"\0" not in self._rest:
            self._rest += os.read(self._reader, 1 << 20) or exit_of_the_browser()
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def open(self, url, width=1280, height=900, *, media="screen", dark=False):
        """Load a page at a size of the window, and wait for it."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", media=media, features=scheme)
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression):
        """The value of an expression of JavaScript; an error of the page is an error here."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, condition, seconds=20):
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not true within {seconds} s: {condition}")
            time.sleep(0.05)


def exit_of_the_browser():
    raise RuntimeError("the browser has ended")


@contextmanager
def browser(profile):
    """A browser with an empty profile, ended at the end."""
    to_browser, writer = os.pipe()
    reader, from_browser = os.pipe()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    shell = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
    command = [
        "bash",
        "-c",
        shell,
        EXECUTABLE,
        *options,
        "--no-first-run",
        f"--user-data-dir={profile}",
        "--remote-debugging-pipe",
    ]
    process = subprocess.Popen(command, pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Browser(reader, writer)
    finally:
        os.close(writer)
        os.close(reader)
        process.terminate()
        process.wait(timeout=20)
