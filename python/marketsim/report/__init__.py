"""Reports: one offline HTML file per symbol, and an index page over many of them.

`marketsim.report.data` defines the data of a report; `marketsim.report.html` writes it.
"""
