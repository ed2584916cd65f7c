"""Sample paths: each patch is drawn, and the next one forecast from the draws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marketsim.models.mixture import student_t_draws
from marketsim.models.neural.batching import Batch, Indices
from marketsim.models.neural.model import Array, Values
from marketsim.models.toto1.decoding import Decoder, Toto1Decoded, appended

# Uniform numbers that one draw takes, and those that Philox makes at a time.
_UNIFORM = 3
_AT_ONCE = 4


def batch_paths(model: Toto1Decoded, batch: Batch, horizon: int, n: int, seed: int) -> Values:
    """Draw `n` paths of each row of one length: [row, path, variate, horizon].

    The contexts are read once. Paths go on from there in groups that hold no more patches, those
    of their contexts included, than a batch may.
    """
    key = np.random.SeedSequence(seed).generate_state(2, np.uint64).astype(np.uint64)
    decoder = Decoder(model, batch)
    slots = np.concatenate([row.slots for row in batch.rows])
    variates = batch.rows[0].variates
    steps = -(-horizon // model.patch)
    most = max(1, model.batches.max_tokens // (variates * (batch.width + steps - 1)))
    row, path = (part.reshape(-1) for part in np.indices((len(slots), n)))
    parts = []
    for at in range(0, len(row), most):
        mine = slice(at, at + most)
        going = decoder.taking(row[mine]) if steps > 1 else decoder
        mixtures = decoder.first[row[mine]]
        made: list[Values] = []
        while True:
            uniform = path_numbers(key, len(made), slots[row[mine]], path[mine], mixtures.shape)
            made.append(appended(drawn(mixtures, uniform)))
            if len(made) == steps:
                break
            mixtures = going.extend(made[-1])
        parts.append(np.concatenate(made, axis=-1)[..., :horizon])
    return np.concatenate(parts).reshape(len(slots), n, variates, horizon)


def path_numbers(
    key: npt.NDArray[np.uint64], patch: int, slots: Indices, paths: Indices, shape: tuple[int, ...]
) -> Array:
    """Draw uniform numbers [path, variate, step, 3] in [0, 1) for one patch of some paths.

    A path's numbers follow from the key, its own number, the number of its context and that of the
    patch: they depend neither on the other paths nor on the groups in which they are made.

    Args:
        key: from the seed.
        patch: number of the patch, 0 for the first one forecast.
        slots, paths: [path], numbers of contexts and of paths; a context's stand together, and
            ascend one by one.
        shape: (paths, variates, steps, ...).
    """
    _, variates, steps = shape[:3]
    wanted = variates * steps * _UNIFORM
    each = -(-wanted // _AT_ONCE)  # a path takes so much of the counter's first word
    starts = np.flatnonzero(np.diff(slots, prepend=-1))
    parts = []
    for start, stop in zip(starts, [*starts[1:], len(slots)], strict=True):
        counter = [int(paths[start]) * each, 0, int(slots[start]), patch]
        stream = np.random.Philox(key=key, counter=np.array(counter, dtype=np.uint64))
        numbers = np.random.Generator(stream).random((stop - start, each * _AT_ONCE))
        parts.append(numbers[:, :wanted])
    return np.concatenate(parts).reshape(len(slots), variates, steps, _UNIFORM)


def drawn(mixtures: Array, uniform: Array) -> Array:
    """Draw from each mixture [..., 4 * component] by its three numbers [..., 3]."""
    df, location, scale, weight = np.split(mixtures, 4, axis=-1)
    edges = np.cumsum(weight, axis=-1)
    which = (edges <= uniform[..., :1] * edges[..., -1:]).sum(axis=-1, keepdims=True)
    # The last component with weight takes what rounding leaves above the last edge.
    last = weight.shape[-1] - 1 - (weight[..., ::-1] > 0.0).argmax(axis=-1, keepdims=True)
    which = np.minimum(which, last)
    df, location, scale = (
        np.take_along_axis(part, which, axis=-1)[..., 0] for part in (df, location, scale)
    )
    return np.asarray(location + scale * student_t_draws(df, uniform[..., 1], uniform[..., 2]))
