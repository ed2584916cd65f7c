"""Panels: rows of one batch as network input, with their attention masks.

A patch without any observed value is out of sight for all others of its variate, if the model is
set to expect missing values, and in any case for the other variates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from marketsim.models.neural.batching import Batch, Indices, padded
from marketsim.models.toto2.scaler import Flags, Values

_HIDDEN = -1


@dataclass(frozen=True)
class Panel:
    """Rows of a batch as network input.

    Attributes:
        values: float32 [row, variate, time], whole patches; of variates that are known beforehand,
            and of these alone, also the time of the forecast.
        observed: bool, as `values`; all of the last patch of each context.
        groups: int64 [row, variate, patch number], variates see each other where it is equal; -1
            where nothing is observed. None if everything sees everything.
        targets: how many of the variates are forecast, the first ones.
    """

    values: Values
    observed: Flags
    groups: Indices | None
    targets: int

    def rows(self, index: slice | Indices) -> Panel:
        """Select rows."""
        groups = None if self.groups is None else self.groups[index]
        return replace(
            self, values=self.values[index], observed=self.observed[index], groups=groups
        )

    def before(self, patches: int, patch: int) -> Panel:
        """Return the first `patches` patches."""
        part = slice(0, patches * patch)
        groups = None if self.groups is None else self.groups[..., :patches]
        return replace(
            self,
            values=self.values[..., part],
            observed=self.observed[..., part],
            groups=groups,
        )


def split_panels(batch: Batch, patch: int, *, may_hide: bool) -> list[tuple[Indices, Panel]]:
    """Split a batch into (row numbers, panel): rows without hidden patches, and the others.

    A row that hides patches is not put together with one that does not, since attention with a
    mask adds in another order; what a row gives must not depend on those beside it.

    Args:
        batch: the rows; those without a row in it are left out.
        patch: steps a patch.
        may_hide: whether patches without an observed value are hidden at all.
    """
    all_values, all_observed = padded(batch, patch)
    values, observed = all_values[: len(batch.rows)], all_observed[: len(batch.rows)]
    patches: Indices = np.array([row.patches(patch) for row in batch.rows], dtype=np.int64)
    for i, count in enumerate(patches.tolist()):
        # The original does so, too: it never saw a context that ends with missing values.
        observed[i, :, (count - 1) * patch : count * patch] = True
    variates = values.shape[1]
    hidden = ~observed_patches(observed, patch)
    in_row = np.arange(batch.width) < patches[:, None]
    hides: Flags = np.asarray((hidden & in_row[:, None]).any(axis=(1, 2))) & may_hide
    panels = []
    for index in (np.flatnonzero(~hides), np.flatnonzero(hides)):
        if len(index):
            groups = np.where(hidden[index], _HIDDEN, 0) if hides[index[0]] else None
            panels.append((index, Panel(values[index], observed[index], groups, variates)))
    return panels


def observed_patches(observed: Flags, patch: int) -> Flags:
    """Return whether any value of each patch is observed: [..., patch number]."""
    return np.asarray(observed.reshape(*observed.shape[:-1], -1, patch).any(axis=-1))


def shareable(
    observed: Flags, ends: Indices, patch: int, *, fallback: int, may_hide: bool
) -> Flags:
    """Whether a pass over more than [..., :end] gives the forecast after it; bool [end].

    Args:
        observed: [variate, time].
        ends: lengths of contexts.
        patch: steps a patch.
        fallback: how many observed values the scaler needs, see `patch_units`.
        may_hide: see `split_panels`.
    """
    size = observed.shape[-1]
    seen = np.zeros((len(observed), size + 1), dtype=np.int64)
    np.cumsum(observed, axis=-1, out=seen[:, 1:])
    # The last patch of a context counts as observed, filled up as it may be; so it has to be.
    first = np.maximum(ends - patch, 0)
    result = ((seen[:, ends] - seen[:, first]) == patch).all(axis=0)
    result &= (seen[:, ends] >= fallback).all(axis=0)
    if may_hide:
        # Rows with hidden patches are computed with a mask: also the days before the first of them
        # would be, which have none themselves.
        at = np.arange(size + 1)
        empty = (seen[:, at] == seen[:, np.maximum(at - patch, 0)]).any(axis=0)
        empty[0] = False
        until = np.zeros(-(-(size + 1) // patch) * patch, dtype=np.int64)
        until[: size + 1] = empty
        until = np.cumsum(until.reshape(-1, patch), axis=0).reshape(-1)
        result &= (until[ends] > 0) | (until[-patch:][ends % patch] == 0)
    return np.asarray(result)


def sight(groups: Indices) -> npt.NDArray[np.bool_]:
    """Return the attention mask along time, [row * variate, patch number, patch number]."""
    hidden = (groups == _HIDDEN).reshape(-1, groups.shape[-1])
    return np.asarray(hidden[:, :, None] == hidden[:, None])


def hidden_patches(groups: Indices) -> npt.NDArray[np.bool_]:
    """Return the patches that no other attends to, [row * variate, patch number]."""
    return np.asarray((groups == _HIDDEN).reshape(-1, groups.shape[-1]))
