"""Pages in headless Chromium: what they log, request and show; skipped where it is absent."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"
)
_PROBE = '<pre id="probe">'
# Waits for the page's charts, runs the steps, and writes what they return into the page.
_RUNNER = """
(async function () {
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const text = (value) => JSON.stringify(value);
  let found;
  try {
    const root = document.documentElement;
    for (let i = 0; i < 200 && !root.dataset.ready; i += 1) { await pause(20); }
    const $ = (q) => document.querySelector(q);
    const $$ = (q) => Array.from(document.querySelectorAll(q));
    const chart = (name, panel) =>
      $$(`[data-figure="${name}"] .live-panel`)[panel || 0].chart;
    const mouse = (u, type, x, node) => {
      const box = u.over.getBoundingClientRect();
      const at = { clientX: box.left + x, clientY: box.top + 20, movementX: 1, bubbles: true };
      (node || u.over).dispatchEvent(new MouseEvent(type, at));
    };
    const move = (u, x) => { mouse(u, "mouseenter", x); mouse(u, "mousemove", x); };
    const drag = (u, from, to) => {
      move(u, from);
      mouse(u, "mousedown", from);
      mouse(u, "mousemove", to);
      mouse(u, "mouseup", to, document);
    };
    const key = (node, name) =>
      node.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
    found = await (async () => { STEPS })();
  } catch (error) { found = { error: String(error && error.stack || error) }; }
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = text(found);
  document.body.append(out);
})();
"""


@dataclass(frozen=True)
class Seen:
    """What a page did.

    Attributes:
        found: what the steps returned.
        console: lines of the console.
        requests: addresses that the page asked for, without its own file.
    """

    found: Any
    console: list[str]
    requests: list[str]


def look(
    page: Path, folder: Path, steps: str = "return null;", *, width: int = 1200, dark: bool = False
) -> Seen:
    """Open a copy of `page` in which `steps` (JavaScript) run once its charts are drawn."""
    script = _RUNNER.replace("STEPS", steps)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = page.read_text()
    # The policy stays; it allows this one script besides the page's own.
    text = text.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    text = text.replace("</body>", f"<script>{script}</script></body>", 1)
    copy, log = folder / f"probe-{width}-{dark}.html", folder / "net.json"
    copy.write_text(text)
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}",
            "--disable-background-networking", "--disable-component-update", "--no-first-run",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            "--enable-logging=stderr", f"--log-net-log={log}", "--virtual-time-budget=8000",
            f"--window-size={width},1200", "--dump-dom", copy.as_uri(),
        ],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert _PROBE in done.stdout, done.stderr[-3_000:]
    inner = done.stdout.split(_PROBE, 1)[1].split("</pre>", 1)[0]
    found = json.loads(html.unescape(inner))
    assert not (isinstance(found, dict) and "error" in found), found
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    asked = set(re.findall(r'"url":"([^"]+)"', log.read_text())) if log.exists() else set()
    # The browser itself asks its maker for word lists and the like.
    own = re.compile(r"https?://[\w.-]*(google|googleapis|gvt1)\.com/")
    requests = sorted(a for a in asked if a.startswith(("http", "ws")) and not own.match(a))
    return Seen(found, console, requests)
