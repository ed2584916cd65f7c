"""The old pipeline of one bar: features, regime, probabilities, confidence, decision."""
