"""From described values to the steps of the compiled program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from marketsim import _core
from marketsim.features.values import OPERATIONS, Value, canonical
from marketsim.indicators.specs import prepare, spec_of

_NUMBER = {name: i for i, name in enumerate(OPERATIONS)}
Step = tuple[int, list[int], int, float]


@dataclass
class _Used:
    """One indicator of a program: the lags that are wanted of it, and where its step stands."""

    step: int
    inputs: list[int]
    lags: list[int] = field(default_factory=list)


class _Builder:
    def __init__(self, inputs: Sequence[str]) -> None:
        self.inputs = {name: i for i, name in enumerate(inputs)}
        self.steps: list[Step] = []
        self.known: dict[str, int] = {}
        self.used: dict[str, _Used] = {}
        self.calls: list[tuple[str, Value, _Used]] = []
        self.lags: dict[str, set[int]] = {}

    def add(self, value: Value) -> int:
        key = canonical(value)
        if key not in self.known:
            self.known[key] = self._make(value)
        return self.known[key]

    def collect(self, value: Value) -> None:
        """Which lags are wanted of each indicator: all are had in one run of it."""
        for one in value.of:
            self.collect(one)
        if value.operation == "indicator":
            self.lags.setdefault(_call_key(value), set()).add(dict(value.settings)["lag"])

    def _make(self, value: Value) -> int:
        if value.operation == "indicator":
            return self._indicator(value)
        of = [self.add(one) for one in value.of]
        settings = dict(value.settings)
        index = self.inputs[value.name] if value.operation == "input" else settings.get("rows", 0)
        return self._step(value.operation, of, index, settings.get("number", 0.0))

    def _indicator(self, value: Value) -> int:
        settings = dict(value.settings)
        key = _call_key(value)
        if key not in self.used:
            inputs = [self.add(one) for one in value.of]
            step = self._step("indicator", [], len(self.calls), 0.0)
            lags = sorted(self.lags[key]) if settings["lookback"] else []
            self.used[key] = _Used(step, inputs, lags)
            self.calls.append((key, value, self.used[key]))
        used = self.used[key]
        result = spec_of(value.name).outputs.index(settings["output"])
        if used.lags:
            result = result * len(used.lags) + used.lags.index(settings["lag"])
        return self._step("result", [used.step], result, 0.0)

    def _step(self, operation: str, of: list[int], index: int, number: float) -> int:
        self.steps.append((_NUMBER[operation], of, index, number))
        return len(self.steps) - 1


def _call_key(value: Value) -> str:
    """The same for all results and lags of one indicator."""
    settings = tuple(pair for pair in value.settings if pair[0] not in ("output", "lag"))
    return canonical(Value("indicator", value.of, value.name, settings))


def compile_program(features: Mapping[str, Value], inputs: Sequence[str]) -> _core.FeatureProgram:
    """The compiled form of features, given the order of the inputs."""
    builder = _Builder(inputs)
    for value in features.values():
        builder.collect(value)
    given = [builder.add(value) for value in features.values()]
    indicators = []
    for _, value, used in builder.calls:
        settings = dict(value.settings)
        numbers = {key: settings[key] for key in spec_of(value.name).numbers}
        call = prepare(value.name, settings["choice"], **numbers)
        parameters = [float(x) for x in call.parameters[0]]
        indicators.append(
            (
                value.name,
                parameters,
                call.option,
                call.longest,
                settings["lookback"],
                used.lags,
                used.inputs,
            )
        )
    return _core.FeatureProgram(len(inputs), builder.steps, indicators, given)
