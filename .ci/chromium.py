"""Find a Chromium for the browser tests, and get one where none is found.

Prints its path. Debian's package where we are root, else Playwright's own download.
Where neither can be had it says so and the browser tests are skipped, except in CI.
"""

import os
import shutil
import subprocess
import sys

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
# Nothing of its own in the background: the tests listen to every request.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find() -> str | None:
    """Return the path of a Chromium: $CHROMIUM, an installed one, or Playwright's."""
    if chosen := os.environ.get("CHROMIUM"):
        return chosen
    for name in NAMES:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


def get() -> None:
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], timeout=120)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], timeout=600)
    else:
        command = [sys.executable, "-m", "playwright", "install", "chromium"]
        subprocess.run(command, timeout=600)


if __name__ == "__main__":
    if find() is None:
        try:
            get()
        except (OSError, subprocess.SubprocessError) as error:
            print(error)
    print("Chromium:", find() or "none found: the browser tests will be skipped")
