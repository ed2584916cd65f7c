"""Exports in other languages: months, halves of the day, years, suffixes and columns."""

from __future__ import annotations

import pandas as pd
import pytest

from marketsim.bars import read_bars
from marketsim.errors import BarsError, FileFormatError

HEAD = "date,open,high,low,close,volume\n"


def dated(*stamps):
    return HEAD + "".join(f'"{stamp}",1,2,1,2,5\n' for stamp in stamps)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["4. März 2024", "5. April 2024"], ["2024-03-04", "2024-04-05"]),
        (["04-ene-2024", "04-mar-2024", "04-abr-2024"], ["2024-01-04", "2024-03-04", "2024-04-04"]),
        (["4 de marzo de 2024", "5 de abril de 2024"], ["2024-03-04", "2024-04-05"]),
        (["4 févr. 2024", "5 août 2024"], ["2024-02-04", "2024-08-05"]),
        (["04/fev/2024", "05/out/2024"], ["2024-02-04", "2024-10-05"]),
        (["4 mag 2024", "5 giu 2024"], ["2024-05-04", "2024-06-05"]),
        (["4 paź 2024", "5 lis 2024"], ["2024-10-04", "2024-11-05"]),
        (["04-mei-2024", "05-okt-2024"], ["2024-05-04", "2024-10-05"]),
        (["4 марта 2024", "5 апреля 2024"], ["2024-03-04", "2024-04-05"]),
        (["4 Şub 2024", "5 Haz 2024"], ["2024-02-04", "2024-06-05"]),
        (["4 September 2024", "5 Sept 2024"], ["2024-09-04", "2024-09-05"]),
        (["4. 3. 2024", "15. 3. 2024"], ["2024-03-04", "2024-03-15"]),
        (["2024.03.04.", "2024.03.05."], ["2024-03-04", "2024-03-05"]),
        (["113/03/04", "113/03/05"], ["2024-03-04", "2024-03-05"]),
        (["2024/3/4 上午9:30", "2024/3/4 下午1:30"], ["2024-03-04T09:30", "2024-03-04T13:30"]),
        (["2024-03-04 오전 9:30", "2024-03-04 오후 12:30"],
         ["2024-03-04T09:30", "2024-03-04T12:30"]),
        (["2024. 3. 4. 오후 4:00:00", "2024. 3. 5. 오후 4:00:00"],
         ["2024-03-04T16:00", "2024-03-05T16:00"]),
        (["3/14/2024 9:30:00 a. m.", "3/14/2024 1:30:00 p.m."],
         ["2024-03-14T09:30", "2024-03-14T13:30"]),
    ],
)  # fmt: skip
def test_dates_as_other_languages_write_them(write, cells, expected):
    bars = read_bars(write("A.csv", dated(*cells)))
    whole = [text if "T" in text else f"{text}T00:00" for text in expected]
    assert [str(t)[:16] for t in bars.local_times] == whole
    frame = pd.DataFrame({"date": cells, "open": 1, "high": 2, "low": 1, "close": 2, "volume": 5})
    assert list(read_bars(frame).timestamps) == list(bars.timestamps)


def test_the_months_of_another_language_stand_in_the_notes(write):
    notes = read_bars(write("A.csv", dated("4 mag 2024", "5 giu 2024"))).notes
    assert any("names of months in another language" in note for note in notes)


def test_a_year_of_three_digits_beside_one_of_four_is_not_guessed(write):
    with pytest.raises(BarsError, match="113/03/04"):
        read_bars(write("A.csv", dated("113/03/04", "2024/03/05")))


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1.2 M", 1.2e6), ("3 tys.", 3e3), ("4,5 Mio.", 4.5e6), ("2 Mrd", 2e9), ("1.5 Cr", 1.5e7),
     ("2억", 2e8), ("1.5萬", 1.5e4), ("1.5 bn", 1.5e9)],
)  # fmt: skip
def test_suffixes_of_volumes(write, cell, value):
    rows = f'2024-01-02;1;2;1;2;"{cell}"\n2024-01-03;1;2;1;2;"{cell}"\n'
    assert read_bars(write("A.csv", HEAD.replace(",", ";") + rows)).volume.tolist() == [value] * 2


@pytest.mark.parametrize("cell", ["12.5 EUR", "€12.5", "12.5 zł", "HK$12.5", "12.5 USD"])
def test_currencies_beside_prices(write, cell):
    rows = "".join(f"2024-01-0{i},{cell},{cell},{cell},{cell},5\n" for i in (2, 3))
    assert read_bars(write("A.csv", HEAD + rows)).close.tolist() == [12.5, 12.5]


def test_shares_count_where_a_volume_of_money_stands_beside_them(write):
    text = (
        "Datum;Erster;Hoch;Tief;Schlusskurs;Stuecke;Volumen\n"
        "2024-03-04;171,1;172,5;170,0;171,0;93.456;12.345.678\n"
        "2024-03-05;172,1;173,5;171,0;172,0;123.456;21.234.567\n"
    )
    assert read_bars(write("A.csv", text)).volume.tolist() == [93456, 123456]


def test_lines_of_prose_below_the_table_are_left_out_and_named(write):
    text = dated("2024-03-04", "2024-03-05") + '"說明:"\n"All data without any warranty"\n'
    bars = read_bars(write("A.csv", text))
    assert len(bars) == 2
    assert "left out the last 2 lines, from '說明:'" in bars.notes


def test_a_header_that_stands_again_inside_is_left_out_and_named(write):
    text = dated("2024-03-04") + dated("2024-03-05") + dated("2024-03-06")
    bars = read_bars(write("A.csv", text))
    assert len(bars) == 3
    assert "left out 2 lines that repeat the header" in bars.notes


def test_a_page_of_the_web_is_called_one(write):
    page = "<!DOCTYPE html><html><body>Too many requests, a, b, c, d</body></html>"
    with pytest.raises(FileFormatError, match="page of the web"):
        read_bars(write("A.csv", page))


def test_json_lines(write):
    rows = "".join(
        f'{{"t":"2024-03-0{i}T05:00:00Z","o":1,"h":2,"l":1,"c":2,"v":5}}\n' for i in (4, 5)
    )
    bars = read_bars(write("A.json", rows))
    assert bars.span() == read_bars(write("B.json", f"[{','.join(rows.split())}]")).span()
    assert bars.notes[0] == "read as one JSON value a line"


def test_the_chart_of_yahoo_keeps_the_days_of_its_exchange(write):
    start = 1_709_506_800  # 10:00 on 2024-03-04 in Sydney, the day before in UTC
    text = (
        '{"chart":{"result":[{"meta":{"symbol":"BHP.AX","exchangeTimezoneName":"Australia/Sydney"},'
        f'"timestamp":[{start},{start + 86_400}],"indicators":{{"quote":[{{"open":[1,1],'
        '"high":[2,2],"low":[1,1],"close":[2,2],"volume":[5,5]}]}}],"error":null}}'
    )
    assert read_bars(write("A.json", text)).span() == "2 bars of 1 day, 2024-03-04 to 2024-03-05"


def test_the_repeated_hour_is_named_and_not_offered_to_be_sorted(write):
    stamps = [f"2024-11-03 {clock}" for clock in ("00:30", "01:00", "01:30", "01:00", "01:30")]
    rows = "".join(f"{stamp},1,2,1,2,{i}\n" for i, stamp in enumerate(stamps))
    with pytest.raises(BarsError, match="put back") as caught:
        read_bars(write("A.csv", HEAD + rows))
    assert "sort" not in str(caught.value)
