"""Tables: alignment, rows set apart, and what is left out."""

from __future__ import annotations

import pytest

from marketsim.errors import ArgumentError
from marketsim.report.data import Table
from marketsim.report.html import render_report
from marketsim.report.tables import table_view


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["+1.20%", "-0.3%", "n/a"], "number"),
        (["−3 bp", "12,345", "$4.50", "€-3", "< 0.01", "∞", "-∞", "1e-9", ".5"], "number"),
        (["n/a", "", "–", "NaN"], "number"),
        (["yes", "no"], ""),
        (["1.0", "text"], ""),
        (["2020-01-06"], "number"),
        ([], ""),
    ],
)
def test_columns_of_numbers(cells, kind):
    table = Table("t", ["name", "x"], [[f"r{i}", cell] for i, cell in enumerate(cells)])
    assert table_view(table).heads == [("name", ""), ("x", kind)]


def test_missing_numbers_are_set_back():
    table = Table("t", ["name", "x"], [["a", "1.0"], ["b", "n/a"]])
    assert [row.cells for row in table_view(table).rows] == [
        [("1.0", "number")],
        [("n/a", "number missing")],
    ]


def test_numbers_are_to_the_right_and_names_to_the_left(page):
    rows = page.by_id("summary").one("tbody").all("tr")
    for row in rows:
        assert row.one("th").attributes["scope"] == "row"
        assert ["number" in td.classes for td in row.all("td")] == [True, True]
    style = page.one("style").text
    assert ".number { text-align: right; }" in style
    assert "font-variant-numeric: tabular-nums" in style


def test_baselines_are_set_apart_with_one_rule(page):
    rows = page.by_id("summary").one("tbody").all("tr")
    assert [row.classes for row in rows] == [[], [], ["apart", "rule"], ["apart"]]


def test_note_below_the_table(page):
    assert [p.text for p in page.by_id("summary").all("p", "table-note")] == ["Net."]


def test_more_rows_than_wanted():
    rows = [[f"r{i}", "1"] for i in range(10)] + [["naive", "0"]]
    view = table_view(Table("t", ["a", "b"], rows, "Note.", frozenset({"naive"})), most=3)
    assert [row.name for row in view.rows] == ["r0", "r1", "r2", "naive"]
    assert view.notes == ["Note.", "4 of 11 rows are shown."]


def test_empty_tables(make_data, read):
    tables = [
        Table("none", [], []),
        Table("heads only", ["a", "b"], []),
        Table("no columns", [], [[]]),
    ]
    page = read(render_report(make_data(tables=tables)))
    assert page.all("h2")[0].text == "none"
    assert len(page.all("table")) == 3 + 2  # trades and months
    bare = make_data(tables=[], trades=[], by_strategy={})
    assert not read(render_report(bare)).all("table")


def test_cells_that_are_no_text(make_data, read):
    page = read(
        render_report(make_data(tables=[Table("t", ["a", "b"], [["x", 1.5], [None, None]])]))
    )
    assert [td.text for td in page.by_id("summary").all("td")] == ["1.5", "None"]


@pytest.mark.parametrize("row", [["a"], ["a", "b", "c"], "ab"])
def test_rows_of_another_length_are_refused(make_data, row):
    with pytest.raises(ArgumentError, match="row 1 of table 't' must be a list of 2 cells"):
        render_report(make_data(tables=[Table("t", ["x", "y"], [["a", "b"], row])]))
