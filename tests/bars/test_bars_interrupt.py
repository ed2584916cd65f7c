"""Ctrl-C while a file is read is Ctrl-C, and never a defect of the file."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

from marketsim.bars import read_bars, text
from marketsim.bars.zones import Fault


# A signal between the opening of a file and what closes it leaves that to the interpreter.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_real_signal_at_any_moment(write, make_frame):
    path = write("A.csv", make_frame(20_000).to_csv(index=False))
    waits = np.random.default_rng(0).uniform(0.0, 0.1, 40)

    def interrupt(wait):
        time.sleep(wait)
        os.kill(os.getpid(), signal.SIGINT)

    for wait in waits:
        sender = threading.Thread(target=interrupt, args=(wait,))
        with pytest.raises(KeyboardInterrupt):
            sender.start()
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                read_bars(path)
        sender.join()


def test_comparing_codes_runs_no_python():
    """NumPy drops what is raised while it looks up attributes of what it compares with."""
    ran = []
    codes = np.zeros(3, np.uint8)
    sys.setprofile(lambda frame, event, _: ran.append(frame.f_code) if event == "call" else None)
    try:
        for code in (Fault.NONE, Fault.MISSING, Fault.UNREADABLE):
            codes == code  # noqa: B015
    finally:
        sys.setprofile(None)
    assert ran == []


class Interrupted(io.BytesIO):
    """A source whose reading runs Python, where a waiting signal is noticed."""

    def read(self, size=-1):
        signal.raise_signal(signal.SIGINT)
        return super().read(size)

    read1 = read  # asked by pandas before 3


class Raising(io.BytesIO):
    def read(self, size=-1):
        raise KeyboardInterrupt

    read1 = read


@pytest.mark.parametrize("source", [Interrupted, Raising])
def test_an_interrupt_inside_of_the_source(write, monkeypatch, source):
    monkeypatch.setattr(text, "_parse_arrow", lambda *_: None)  # as without pyarrow
    monkeypatch.setattr(text.io, "BytesIO", source)
    with pytest.raises(KeyboardInterrupt):
        read_bars(write("A.csv"))
