"""Foreign text stays text, in every field."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from marketsim.report.data import Table
from marketsim.report.html import render_report, write_index
from marketsim.report.text import clean, clip, embed_json

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "image": '"><img src=x onerror="alert(1)">',
    "end of script": "</script><script>alert(1)//",
    "end of style and title": "</style></title></svg></desc><b onclick='x'>",
    "comment": "<!-- --> <![CDATA[ ]]> <?php ?>",
    "template": "{{7*7}} {% raw %} ${7*7} {{ ''.__class__ }}",
    "ampersand": "&lt;b&gt; &amp; &#60; & && &nbsp;",
    "quotes": "' \" ` = onmouseover=alert(1) x='",
    "address": "javascript:alert(1) https://example.com/a.js url(https://example.com)",
    "right to left": "שלום עולם مرحبا \u200f x",
    "reordering": "a\u202eb\u2066c\u2069",
    "controls": "a\x00b\x07c\x1b[31md\x7fe\x9bf",
    "lines": "a\r\nb\rc\nd\te\u2028f",
    "no character": "a\ud800b\uffffc",
    "beyond the plane": "𝔘𝔫𝔦 🚀 ñ é",
}


def with_text(make_data, text):
    """The report with `text` in every field that takes some, and how many times it should show."""
    data = make_data()
    return replace(
        data,
        title=f"title {text}",
        subtitle=f"subtitle {text}",
        notes=[f"note {text}"],
        tables=[
            Table(
                f"table {text}",
                [f"head {text}", f"second {text}"],
                [[f"s{i} {text}", f"cell {text}"] for i in range(4)],
                f"remark {text}",
                frozenset({f"s3 {text}"}),
            )
        ],
        equity={f"s{i} {text}": curve for i, curve in enumerate(data.equity.values())},
        baselines=frozenset({f"s3 {text}"}),
        candles=replace(data.candles, strategy=f"trader {text}"),
        trades=[replace(trades, strategy=f"maker {text}") for trades in data.trades],
        by_strategy={f"maker {text}": [Table(f"own {text}", ["a", "b"], [[text, "1"]] * 2)]},
        selected=f"maker {text}",
        home="index.html",
        fans=[replace(fan, target=f"fan{i} {text}") for i, fan in enumerate(data.fans)],
        heatmap=replace(data.heatmap, strategy=f"fitted {text}", span=f"span {text}"),
        provenance={f"key {text}": f"value {text}"},
    )


FIELDS = ("title", "subtitle", "note", "table", "head", "second", "s0", "s3", "cell", "remark",
          "trader", "maker", "own", "fan0", "fan1", "fitted", "span", "key", "value")  # fmt: skip


def skeleton(page):
    """Elements and their attributes, with the values of those that never hold foreign text."""
    foreign = {"aria-label", "data-strategy"}
    return [
        (n.tag, sorted((k, None if k in foreign else v) for k, v in n.attributes.items()))
        for n in page.walk()
    ]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_becomes_more_than_text(make_data, read, text):
    harmless = read(render_report(with_text(make_data, "word")))
    hostile = read(render_report(with_text(make_data, text)))
    assert skeleton(hostile) == skeleton(harmless)
    # Scripts and style stay byte for byte.
    assert hostile.all("script")[1].text == harmless.all("script")[1].text
    assert hostile.one("style").text == harmless.one("style").text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_text_comes_back_as_it_was(make_data, read, text):
    page = read(render_report(with_text(make_data, text)))
    body = page.one("main").text
    for name in FIELDS:
        assert f"{name} {clean(text)}" in body, name
    explored = json.loads(page.by_id("report-data").text)
    assert explored["curves"][0]["name"] == f"s0 {clean(text)}"
    labels = [n.attributes["aria-label"] for n in page.walk() if "aria-label" in n.attributes]
    assert f"table {clean(text)}" in labels


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_index_keeps_text_as_text(tmp_path, read, text):
    def page_of(word):
        table = Table(f"t {word}", ["symbol", word], [[f"a {word}", word]], word, frozenset({word}))
        links = {f"a {word}": "A.html"}
        return read(write_index(tmp_path / "index.html", f"i {word}", table, links).read_text())

    page = page_of(text)
    assert skeleton(page) == skeleton(page_of("word"))
    assert page.one("h1").text == f"i {clean(text)}"
    assert page.one("a").text == f"a {clean(text)}"


def test_ordinary_text_is_unchanged():
    for text in ("BTC-USD", "R&D <x>", "naïve ± −5 %", "שלום", "🚀", "tab\tand\nline"):
        assert clean(text) == text


def test_what_cleaning_replaces():
    assert clean("\x00\x1b\x7f") == "␀␛␡"
    assert clean("\x85\x9f\u202a\u202e\u2066\u2069\udfff\ufffe") == "\ufffd" * 8
    assert clean("a\r\nb\rc") == "a\nb\nc"
    assert clean(12) == "12"
    clean("".join(map(chr, range(0x11000)))).encode()  # nothing is left that UTF-8 lacks


def test_clipping_keeps_the_limit():
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdef", 5) == "abcd…"
    assert len(clip("x" * 1_000, 10)) == 10


def test_json_cannot_end_its_element_and_means_the_same():
    data = {"</script><!--": ["]]>", "&", "\u2028", "é", 1.5, None]}
    text = embed_json(data)
    assert not set("<>&\u2028é") & set(text)
    assert json.loads(text) == data
    with pytest.raises(ValueError, match="JSON"):
        embed_json({"x": float("nan")})
