"""Decode horizons of several patches: all at once, or in blocks that feed back medians.

What lies ahead is given to the network as patches in which nothing is observed. At once, forecasts
of later patches see those of the earlier ones; in blocks, the medians of a block take their places
before the next one, and the context is read only once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_numbers
from marketsim.errors import ArgumentError
from marketsim.models.neural.batching import Indices
from marketsim.models.neural.decoding import DecodedModel
from marketsim.models.neural.model import Array
from marketsim.models.toto2.config import LEVELS
from marketsim.models.toto2.masking import Panel, hidden_patches, observed_patches
from marketsim.models.toto2.scaler import Units, Values, confined, in_units, network_patches

if TYPE_CHECKING:
    from torch import Tensor

    from marketsim.models.toto2.network import Cached

# Values, mask and groups, of the variates to forecast or of those known beforehand.
Given: TypeAlias = tuple["npt.ArrayLike | None", "npt.ArrayLike | None", "npt.ArrayLike | None"]

_MEDIAN = LEVELS.index(0.5)


class Toto2Decoded(DecodedModel, Protocol):
    """Members of a Toto 2.0 model that decoding uses."""

    decode_block: int | None

    def masks(self, panel: Panel) -> Any:
        """Attention masks of a panel."""
        ...

    def units(self, panel: Panel) -> Units:
        """Units of the patches of a panel."""
        ...


def decode(model: Toto2Decoded, panel: Panel, context: int, horizon: int) -> Array:
    """Decode quantiles [row, target, horizon, level] after the first `context` patches."""
    ahead = -(-horizon // model.patch)
    panel = _extended(panel, context + ahead, model.patch)
    tokens = panel.values.shape[1] * (context + ahead)
    most = max(1, model.batches.max_tokens // tokens)
    parts = []
    for start in range(0, len(panel.values), most):
        decoder = _Decoder(model, panel.rows(slice(start, start + most)), context, ahead)
        parts.append(decoder.forecast())
    made = np.concatenate(parts)
    return made.reshape(*made.shape[:2], -1, len(LEVELS))[:, :, :horizon]


class _Decoder:
    """State of decoding: contexts that were read once, and their forecasts so far."""

    def __init__(self, model: Toto2Decoded, panel: Panel, context: int, ahead: int) -> None:
        self._model, self._panel = model, panel
        self._context, self._ahead = context, ahead
        block = ahead if model.decode_block is None else model.decode_block // model.patch
        self._block = min(block, ahead)
        self._cache: list[Cached] | None = [] if self._block < ahead else None
        self._last: Units | None = None

    def forecast(self) -> Array:
        """Compute quantiles [row, target, patch number, patch, level] of all patches ahead."""
        made = []
        for first in range(0, self._ahead, self._block):
            count = min(self._block, self._ahead - first)
            made.append(self._forecast_block(first, count))
            if first + count < self._ahead:
                self._observe(first, made[-1][..., _MEDIAN].astype(np.float32))
        return np.concatenate(made, axis=2)

    def _forecast_block(self, first: int, count: int) -> Array:
        """Compute quantiles [row, target, patch number, patch, level] from `first` on."""
        model, start = self._model, self._context + first
        known = self._panel.before(start + count, model.patch)
        units = model.units(known)
        if self._last is None:
            self._last = units.at((..., slice(start - 1, start)))
        patches = network_patches(known.values, known.observed, units, model.patch)
        # A forecast is made from the patch before: the last one ahead is not needed itself.
        outputs = (self._read if first == 0 else self._go_on)(patches[:, :, :-1], count)
        targets = self._panel.targets
        mine = units.at((slice(None), slice(None, targets), slice(start, start + count)))
        last = self._last.at((slice(None), slice(None, targets)))
        limits = (np.broadcast_to(part, mine.location.shape) for part in last[2:])
        mine = Units(mine.location, mine.scale, *limits)
        rows = len(self._panel.values)
        by_row = outputs.cpu().numpy().reshape(rows, count, -1, model.patch, len(LEVELS))
        by_variate = np.moveaxis(by_row[:, :, :targets], 1, 2)
        return confined(in_units(np.ascontiguousarray(by_variate), mine), mine)

    def _read(self, patches: Values, count: int) -> Tensor:
        """Read the context; return outputs for the next `count` patches."""
        model, width = self._model, patches.shape[2]
        groups, seen = model.masks(self._panel.before(width, model.patch))
        made = model.network(
            model.to_device(patches),
            model.to_device(_places(len(patches), width, count)),
            model.rotation(np.arange(width)),
            model.patch,
            groups,
            seen,
            self._cache,
        )
        self._keep(self._context)
        return made  # type: ignore[no-any-return]

    def _go_on(self, patches: Values, count: int) -> Tensor:
        """Return outputs for the `count` patches after the last observed block."""
        model, block = self._model, self._block
        assert self._cache
        cached = self._cache[0][0].shape[1]
        patches = np.ascontiguousarray(patches[:, :, cached:])
        # A block's medians count as observed in all variates, also where one has none.
        patches[:, :, :block, model.patch :] = 0.0
        width = patches.shape[2]
        # The original places keys, when it caches them, relative to the middle of what it reads
        # then, and does not move them later. Here the first middle is 0.
        middle = (cached + block + count) // 2 - (self._context + block) // 2
        made = model.network(
            model.to_device(patches),
            model.to_device(_places(len(patches), width, count)),
            model.rotation(np.arange(cached, cached + width), float(middle)),
            model.patch,
            self._groups_ahead(width),
            model.to_device(self._sight_ahead(cached, width)),
            self._cache,
        )
        self._keep(cached + block)
        return made  # type: ignore[no-any-return]

    def _groups_ahead(self, width: int) -> Tensor | None:
        """Return the groups of the patches after the context.

        The original takes those of the context's first patches, and so does this.
        """
        groups = self._panel.groups
        if groups is None or groups.shape[1] == 1:
            return None
        return self._model.to_device(np.ascontiguousarray(_stretched(groups, width)[..., :width]))

    def _sight_ahead(self, cached: int, width: int) -> npt.NDArray[np.bool_]:
        """Return the mask of `width` patches over cached patches and themselves."""
        variates = len(self._panel.values) * self._panel.values.shape[1]
        seen = np.ones((variates, width, cached + width), dtype=np.bool_)
        seen[:, :, cached:] = np.tri(width, dtype=np.bool_)
        if self._panel.groups is not None:
            # Hidden patches of the context stay so, whatever `has_missing_values` says.
            hidden = hidden_patches(self._panel.groups[..., : self._context])
            seen[:, :, : self._context] = ~hidden[:, None]
        return seen

    def _keep(self, patches: int) -> None:
        """Drop cached keys and values beyond the first patches."""
        if self._cache is not None:
            self._cache[:] = [(k[:, :patches], v[:, :patches]) for k, v in self._cache]

    def _observe(self, first: int, medians: Values) -> None:
        """Write medians [row, target, patch number, patch] into the panel."""
        patch, targets = self._model.patch, self._panel.targets
        start = (self._context + first) * patch
        stop = start + medians.shape[2] * patch
        self._panel.values[:, :targets, start:stop] = medians.reshape(*medians.shape[:2], -1)
        self._panel.observed[:, :targets, start:stop] = True


def grouped_panel(patch: int, horizon: int, target: Given, known: Given) -> tuple[Panel, int]:
    """Build the panel of `Toto2Model.forecast_grouped`; also return its patches of context.

    Raises:
        ArgumentError: see there.
    """
    values, observed, groups = _given("target", target)
    size = values.shape[-1]
    if size < patch or size % patch != 0:
        raise ArgumentError(f"target must have whole patches of {patch} steps: got {size} steps")
    observed[..., -patch:] = True
    targets, width = values.shape[1], -(-horizon // patch) * patch + size
    values, observed = _widened(values, width), _widened(observed, width)
    if known[0] is not None:
        more, more_observed, more_groups = _given("known", known)
        if (len(more), more.shape[-1]) != (len(values), size + horizon):
            raise ArgumentError(
                f"known must be [{len(values)}, known variate, {size + horizon}], time and "
                f"horizon: got shape {more.shape}"
            )
        values = np.concatenate([values, _widened(more, width)], axis=1)
        observed = np.concatenate([observed, _widened(more_observed, width)], axis=1)
        groups = np.concatenate([groups, more_groups], axis=1)
    by_patch = np.repeat(groups[..., None], width // patch, axis=-1)
    by_patch[..., : size // patch][~observed_patches(observed[..., :size], patch)] = -1
    return Panel(values, observed, by_patch, targets), size // patch


def _given(name: str, given: Given) -> tuple[Values, npt.NDArray[np.bool_], Indices]:
    values = as_numbers(name, given[0], np.float64)
    if values.ndim != 3 or 0 in values.shape:
        raise ArgumentError(f"{name} must be [batch, variate, time]: got shape {values.shape}")
    if not (np.abs(values) <= np.finfo(np.float32).max).all():
        raise ArgumentError(f"{name} must be finite and fit into float32 (at most 3.4e38)")
    observed = np.ones(values.shape, np.bool_) if given[1] is None else np.array(given[1], np.bool_)
    groups = np.zeros(values.shape[:2], np.int64) if given[2] is None else np.asarray(given[2])
    if observed.shape != values.shape or groups.shape != values.shape[:2]:
        raise ArgumentError(
            f"the mask and the groups of {name} must have shapes {values.shape} and "
            f"{values.shape[:2]}: got {observed.shape} and {groups.shape}"
        )
    if not np.issubdtype(groups.dtype, np.integer) or (groups < 0).any():
        raise ArgumentError(f"the groups of {name} must be whole numbers of at least 0")
    return values.astype(np.float32), observed, groups.astype(np.int64)


def _widened(values: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """Pad values [..., time] with zeros to `width` steps."""
    missing = width - values.shape[-1]
    return np.pad(values, [*[(0, 0)] * (values.ndim - 1), (0, missing)])


def _extended(panel: Panel, patches: int, patch: int) -> Panel:
    """Pad a panel with unobserved patches to `patches` patches."""
    width = patches * patch
    groups = None if panel.groups is None else _stretched(panel.groups, patches)
    return replace(
        panel,
        values=_widened(panel.values, width),
        observed=_widened(panel.observed, width),
        groups=groups,
    )


def _stretched(groups: Indices, patches: int) -> Indices:
    """Extend groups [row, variate, patch number] to `patches` patches by repeating the last.

    The last patch of a context is never hidden, other than perhaps that of a known variate, of
    which the patches behind are given.
    """
    missing = max(0, patches - groups.shape[-1])
    return np.concatenate([groups, np.repeat(groups[..., -1:], missing, axis=-1)], axis=-1)


def _places(rows: int, width: int, count: int) -> Indices:
    """Return the indices of the last `count` patches of each row, [row * count]."""
    last = np.arange(width - count, width)
    return np.asarray((np.arange(rows)[:, None] * width + last).reshape(-1), dtype=np.int64)
