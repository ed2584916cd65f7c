"""The page of a run over many symbols."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from marketsim.errors import ArgumentError
from marketsim.report.data import Table
from marketsim.report.html import write_index, write_report

TABLE = Table(
    "Symbols",
    ["symbol", "Sharpe"],
    [["AAPL", "1.20"], ["^GSPC", "-0.10"], ["BTC-USD", "n/a"], ["mean", "0.55"]],
    "Out of sample.",
    frozenset({"mean"}),
)


def test_first_cells_lead_to_the_pages(tmp_path, read):
    links = {"AAPL": "AAPL.html", "^GSPC": "^GSPC.html", "BTC-USD": "BTC-USD.html"}
    path = write_index(tmp_path / "index.html", "Three symbols", TABLE, links)
    assert path == tmp_path / "index.html"
    page = read(path.read_text())
    assert page.one("h1").text == "Three symbols"
    found = {a.text: a.attributes["href"] for a in page.all("a")}
    assert found == {"AAPL": "AAPL.html", "^GSPC": "%5EGSPC.html", "BTC-USD": "BTC-USD.html"}
    assert [row.one("th").text for row in page.one("tbody").all("tr")] == [r[0] for r in TABLE.rows]
    assert all(a.parent.tag == "th" for a in page.all("a"))


def test_the_index_sorts_its_table_and_loads_nothing(tmp_path, read):
    html = write_index(tmp_path / "i.html", "t", TABLE, {"AAPL": "AAPL.html"}).read_text()
    page = read(html)
    script = page.one("script").text
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "sortable" in script
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}';" in html
    assert not re.search(r"https?:", html)


def test_every_symbol_has_its_row(tmp_path, read):
    rows = [[f"S{i}", "1.0"] for i in range(3_000)]
    links = {f"S{i}": f"S{i}.html" for i in range(3_000)}
    html = write_index(tmp_path / "i.html", "t", Table("", ["s", "x"], rows), links).read_text()
    assert len(read(html).all("a")) == 3_000


@pytest.mark.parametrize(
    "target",
    [
        "", ".html", "AAPL", "AAPL.htm", "AAPL.HTML", "sub/AAPL.html", "../AAPL.html", "/AAPL.html",
        "..\\AAPL.html", "C:AAPL.html", "https://example.com/AAPL.html", "javascript:x.html",
        "AAPL.html?x=.html", "AAPL.html#x.html", "%2e%2e%2fAAPL.html", ".AAPL.html", "-AAPL.html",
        "~AAPL.html", " AAPL.html", "AAPL .html", "AA\x00PL.html", "AA\nPL.html", "AAPL.html\n",
        "A\u202elmth.html", "A\u200bB.html", "A\ud800.html", 'A"B.html', "A<B>.html", "A|B.html",
        "A*.html", "x" * 251 + ".html", "ü" * 126 + ".html", "data:text/html,x.html", "//x.html",
    ],
)  # fmt: skip
def test_links_elsewhere_are_refused(tmp_path, target):
    with pytest.raises(ArgumentError, match="the link of 'AAPL' must be a plain file name"):
        write_index(tmp_path / "index.html", "t", TABLE, {"AAPL": target})
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="a NoneType"):
        write_index(tmp_path / "index.html", "t", TABLE, {"AAPL": None})


@pytest.mark.parametrize(
    "target",
    ["AAPL.html", "BRK.B.html", "EURUSD=X.html", "^N225.html", "ü.html", "x" * 250 + ".html"],
)
def test_plain_names_are_accepted(tmp_path, target):
    write_index(tmp_path / "index.html", "t", TABLE, {"AAPL": target})


def test_a_link_without_a_row_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="the link of 'MSFT' has no row"):
        write_index(tmp_path / "index.html", "t", TABLE, {"MSFT": "MSFT.html"})


def test_paths_are_checked_as_for_a_report(tmp_path):
    with pytest.raises(ArgumentError, match="got a folder"):
        write_index(tmp_path, "t", TABLE, {})
    with pytest.raises(ArgumentError, match="does not exist"):
        write_index(tmp_path / "no" / "index.html", "t", TABLE, {})


def test_a_table_without_rows(tmp_path, read):
    page = read(write_index(tmp_path / "i.html", "t", Table("x", ["a"], []), {}).read_text())
    assert [th.text for th in page.all("th")] == ["a"]


def test_failures_and_the_portfolio_are_on_the_index(tmp_path, read, make_data):
    data = make_data()
    path = write_index(
        tmp_path / "index.html", "t", TABLE, {"AAPL": "AAPL.html"}, portfolio=data,
        failures={"BAD": "too few <bars>"},
    )  # fmt: skip
    page = read(path.read_text())
    heads = [head.text for head in page.all("h2")]
    assert heads == ["Symbols that failed", "Symbols", "Portfolio: equity and drawdown"]
    assert page.all("tbody")[0].all("td")[0].text == "too few <bars>"
    assert page.by_id("equity").tag == "svg"
    assert page.by_id("report-data").tag == "script"


def test_pages_of_a_folder_lead_back(tmp_path, read, make_data):
    page = read(write_report(make_data(home="index.html"), tmp_path / "A.html").read_text())
    assert page.one("p", "home").one("a").attributes["href"] == "index.html"
    with pytest.raises(ArgumentError, match="home must be a plain file name"):
        write_report(make_data(home="../x.html"), tmp_path / "A.html")
