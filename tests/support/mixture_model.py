"""A model of Student-t mixtures for tests: plain arithmetic on the last values."""

from __future__ import annotations

import numpy as np

from marketsim.models import ModelIdentity, ModelTraits, StudentTMixture


class MixtureModel:
    """Mixtures whose parameters follow from the last `seen` values, each forecast by itself."""

    name = "mixture"
    levels = (0.1, 0.5, 0.9)

    def __init__(self, components: int = 5, seen: int = 12) -> None:
        self.components = components
        self.context_length = seen
        self.made = 0
        self.traits = ModelTraits(self.levels, seen, components=components)
        self.identity = ModelIdentity(
            self.name, "1", seen, self.levels, configuration={"components": components}
        )
        self.fingerprint = self.identity.fingerprint

    def forecast(self, past: np.ndarray) -> list[np.ndarray]:
        """(df, loc, scale, weights) [component] of what follows the values."""
        past = past[-self.context_length :]
        which = np.arange(1, self.components + 1)
        spread = float(np.sqrt((past * past).mean())) + 1e-6
        skew = float(np.tanh(past[-1] / spread))
        weights = np.exp(-0.3 * which * (1.0 + 0.2 * skew))
        loc = 0.3 * spread * np.sin(which * (2.0 + skew))
        # The exactness of float64 is meant: what is stored is rounded.
        return [2.0 + which / 3.0, loc, spread * which / 4.0, weights / weights.sum()]

    def predict(self, contexts, *, horizon=1, mask=None) -> StudentTMixture:
        parts = [self.forecast(np.asarray(context, dtype=np.float64)) for context in contexts]
        self.made += len(parts)
        stacked = np.array(parts)[:, :, None].repeat(horizon, axis=2)
        return StudentTMixture(*(stacked[:, i] for i in range(4)))

    def predict_each(self, series, start, *, horizon=1) -> StudentTMixture:
        ends = range(start, len(series) + 1)
        return self.predict([series[:end] for end in ends], horizon=horizon)
