"""The stock project's folder of pickled forecasts: read without unpickling, taken over by replay.

opcodes (the pickle opcodes that arrays need), arrays (arrays out of them), files (which file is
which forecast), take_over (records for a store).
"""
