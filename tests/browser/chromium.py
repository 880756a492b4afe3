"""The browser that the tests drive: one on PATH, else Playwright's, else the distribution's package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def installed() -> str | None:
    """Path of a browser that is there already, on PATH or among Playwright's own."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def install() -> str:
    """Get a browser, by Playwright's download or else from the distribution."""
    attempts = [[sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"]]
    if shutil.which("apt-get"):
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        # The package first: its download is checked and cached by the system. Playwright's is for other systems.
        attempts.insert(0, [*sudo, "apt-get", "install", "-y", "-qq", "chromium"])
        subprocess.run([*sudo, "apt-get", "update", "-qq"], check=False)
    for attempt in attempts:
        done = subprocess.run(attempt, check=False)
        found = installed()
        if found:
            return found
        print(f"{' '.join(attempt)} ended with {done.returncode}", file=sys.stderr)
    raise SystemExit("no Chromium could be installed: install chromium or google-chrome and run again")


if __name__ == "__main__":
    print(f"browser: {installed() or install()}")
