"""Where forecasts are kept: the interface, the store on disk, and its maintenance.

base (interface, store in memory), disk (the prediction store), location (which store a run uses),
listing (names in its folder), inspect (what the files hold), maintain (verify, repair, compact),
gc (remove), export (one table).
"""
