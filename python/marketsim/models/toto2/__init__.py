"""Datadog Toto 2.0."""
