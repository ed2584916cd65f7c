"""Compact arrays for the script: quantised, delta coded, compressed as one block.

`templates/explore.js` reads what is written here. Neighbouring values of a series are close, so the
high bytes of their differences are nearly constant: each byte of all values is stored together
before compression.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from marketsim.report.sampling import drawable

Spec = dict[str, float | int]
_LEVEL = 6  # of compression; more gains 1 % and takes twice the time


@dataclass
class Packer:
    """Collects arrays; `block` is all of them as text.

    Example:
        >>> packer = Packer()
        >>> packer.numbers([1.0, 2.0])["count"], len(packer.block()) > 0
        (2, True)

    """

    _parts: list[bytes] = field(default_factory=list)
    _size: int = 0

    def numbers(self, values: npt.ArrayLike, step: float | None = None, width: int = 2) -> Spec:
        """Add numbers [value]; NaN and infinities are gaps.

        A value is `low + (code - 1) * step`; code 0 is a gap.

        Args:
            values: the numbers.
            step: distance of two codes, wider if the range needs it; None: the range in 65,534
                steps (width 4: in 4e9).
            width: bytes of a code.

        Returns:
            The place and the scale, for `explore.js`.
        """
        array = drawable(values)
        known = np.isfinite(array)
        some = array[known] if known.any() else np.zeros(1)
        low, high = float(some.min()), float(some.max())
        most = 2 ** (8 * width) - 2
        step = max((high - low) / most, step or 0.0)
        codes = np.zeros(len(array), dtype=np.int64)
        if step > 0.0 and np.isfinite(step):
            codes[known] = np.minimum(np.rint((array[known] - low) / step), most).astype(np.int64)
        codes[known] += 1
        return self._add(codes, width) | {"low": low, "step": step}

    def whole(self, values: npt.ArrayLike, width: int = 4) -> Spec:
        """Add integers [value] from -2^31 to 2^31 - 1 (width 1: 0 to 255), exactly."""
        return self._add(np.asarray(values, dtype=np.int64), width)

    def block(self) -> str:
        """Return all arrays: zlib, then base64."""
        return base64.b64encode(zlib.compress(b"".join(self._parts), _LEVEL)).decode()

    def _add(self, codes: npt.NDArray[np.int64], width: int) -> Spec:
        differences = np.diff(codes, prepend=0).astype("<i8").view(np.uint8).reshape(-1, 8)
        part = np.ascontiguousarray(differences[:, :width].T).tobytes()
        spec: Spec = {"at": self._size, "count": len(codes), "width": width}
        self._parts.append(part)
        self._size += len(part)
        return spec
