"""Datadog Toto 1.0 (Toto-Open-Base-1.0), which forecasts mixtures of Student-t distributions."""
