"""Reports: one offline HTML file a symbol, and an index page over many of them.

`marketsim.report.data` holds what a report shows, as plain data; `marketsim.report.html` writes it.
"""
