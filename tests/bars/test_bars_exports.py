"""Exports of vendors whose names of columns differ from the usual."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import marketsim as ms
from marketsim.bars import read_bars

DAYS = pd.bdate_range("2024-01-02", periods=40)

EXPORTS = {  # header, one line, separator
    "Refinitiv tick history": (
        "#RIC,Domain,Date-Time,GMT Offset,Type,Open,High,Low,Last,Volume",
        "VOD.L,Market Price,{t:%Y-%m-%d},0,Intraday,10.5,12.25,9.75,11.25,{v}",
    ),
    "Refinitiv Workspace": (
        "Exchange Date,Close,Net,%Chg,Open,Low,High,Volume,Turnover - USD",
        "{t:%d-%b-%Y},11.25,0.1,0.1%,10.5,9.75,12.25,{v},100",
    ),
    "NSE bhavcopy": (
        "SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST_PRICE, "
        "CLOSE_PRICE, AVG_PRICE, TTL_TRD_QNTY, TURNOVER_LACS",
        "TCS, EQ, {t:%d-%b-%Y}, 11, 10.5, 12.25, 9.75, 11.2, 11.25, 11, {v}, 1.5",
    ),
    "Xetra": (
        "Datum;Eröffnung;Tageshoch;Tagestief;Schluss;Umsatz Stück",
        "{t:%d.%m.%Y};10,5;12,25;9,75;11,25;{v}",
    ),
    "ABC Bourse": ("", "FR0000120073;{t:%d/%m/%y};10,50;12,25;9,75;11,25;{v}"),
}
YAHOO = {
    "fr": "Date,Ouv.,Élevé,Faible,Fermer,Clôture ajustée,Volume",
    "de": "Datum,Öffnen,Hoch,Niedrig,Schlusskurs,Bereinigter Schluss,Volumen",
    "es": "Fecha,Abrir,Máx.,Mín.,Cierre,Cierre ajustado,Volumen",
    "it": "Data,Aperto,Alto,Basso,Chiusura,Chiusura aggiustata,Volume",
    "pt": "Data,Abrir,Alto,Baixo,Fechar,Fechamento ajustado,Volume",
}


def text_of(head, line):
    rows = [line.format(t=t, v=i + 7) for i, t in enumerate(DAYS)]
    return "\n".join([head, *rows] if head else rows) + "\n"


def check(bars):
    np.testing.assert_array_equal(bars.timestamps, DAYS.to_numpy())
    for name, value in (("open", 10.5), ("high", 12.25), ("low", 9.75), ("close", 11.25)):
        assert (getattr(bars, name) == value).all()
    np.testing.assert_array_equal(bars.volume, np.arange(40) + 7)


@pytest.mark.parametrize("vendor", EXPORTS)
def test_exports(write, vendor):
    check(read_bars(write("A.csv", text_of(*EXPORTS[vendor]))))


@pytest.mark.parametrize("language", YAHOO)
def test_an_adjusted_close_of_any_language_is_asked_about(write, find, language):
    line = "{t:%Y-%m-%d},10.5,12.25,9.75,11.25,10.1,{v}"
    path = write("A.csv", text_of(YAHOO[language], line))
    assert "adjustment" in find(path)
    check(read_bars(path, adjusted=False))


def test_a_count_of_rows_below_them_is_left_out(write):
    text = text_of("Date,Open,High,Low,Close,Volume", "{t:%Y-%m-%d},10.5,12.25,9.75,11.25,{v}")
    check(read_bars(write("A.csv", text + "40\n")))


def test_the_reader_of_folders_has_the_name_of_the_reader_of_files_too():
    assert ms.read_bars_folder is ms.read_folder
