"""Forecast stores: the interface, the store on disk, and its maintenance.

base (interface, store in memory), disk (prediction store), location (default store of a run),
listing (models and files of a store), inspect (contents of files), maintain (verify, repair,
compact), gc (remove files), export (write one table).
"""
