from __future__ import annotations

import re

import pytest

from marketsim.bars import check_symbol
from marketsim.errors import InvalidNameError


@pytest.mark.parametrize(
    "symbol",
    [
        "A",
        "AAPL",
        "BRK.B",
        "BTC-USD",
        "^GSPC",
        "EURUSD=X",
        "a_b+c",
        "0700.HK",
        "x" * 64,
        "CONX",
        "COM10",
        "COM0",
    ],
)
def test_valid_symbols_are_returned_unchanged(symbol):
    assert check_symbol(symbol) == symbol


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [
        ("", "it is empty"),
        ("x" * 65, "it has 65 characters"),
        ("../x", "it holds '/'"),
        ("a/b", "it holds '/'"),
        ("a\\b", r"it holds '\\'"),
        ("a..b", "it holds '..'"),
        (".hidden", "it starts with '.'"),
        ("-rf", "it starts with '-'"),
        ("a b", "it holds ' '"),
        ("AAPL\n", r"it holds '\n'"),
        ("a\0b", r"it holds '\x00'"),
        ("<script>", "it holds '<', '>'"),
        ("\u00c4BC", "it holds '\u00c4'"),
        ("\u0661", "it holds '\u0661'"),  # a digit, but not of ASCII
        (None, "it is a NoneType, not a str"),
        (5, "it is a int, not a str"),
    ],
)
def test_invalid_symbols_are_refused_with_the_reason(symbol, reason):
    with pytest.raises(InvalidNameError, match=re.escape(reason)) as caught:
        check_symbol(symbol)
    assert "allowed are up to 64 letters, digits and ^ . _ = + -" in str(caught.value)


def test_message_suggests_a_name():
    with pytest.raises(InvalidNameError, match="write BTC-USD instead"):
        check_symbol("BTC/USD")
    with pytest.raises(InvalidNameError, match="write BTC-USD for BTC/USD, for example"):
        check_symbol("..")


def test_message_of_a_very_long_symbol_is_short():
    with pytest.raises(InvalidNameError) as caught:
        check_symbol("x" * 10_000)
    assert len(str(caught.value)) < 400
