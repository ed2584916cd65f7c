"""Months, halves of the day and years as other languages write them, in the form English has."""

from __future__ import annotations

import re

import pandas as pd

from marketsim.bars.date_words import WEEKDAYS, plain_words
from marketsim.bars.eras import plain_years
from marketsim.bars.periods import first_days

# Abbreviations and names by month, as sites of some thirty languages write them. No word means two
# months: Croatian, whose listopada is Polish for November, is left out.
_MONTHS = {
    "Jan": "januar janvier janv enero ene janeiro gennaio gen januari stycznia sty ocak oca "
    "январь января янв tammikuuta tammikuu tammi ledna leden led január ianuarie ian "
    "січня січень січ ιανουαρίου ιανουάριος ιαν يناير ינואר בינואר januára jaanuar януари "
    "มกราคม",
    "Feb": "februar février fevrier févr fév febrero fevereiro fev febbraio februari lutego lut "
    "şubat şub февраль февраля фев helmikuuta helmikuu helmi února únor úno február "
    "februarie лютого лютий лют φεβρουαρίου φεβρουάριος φεβ فبراير פברואר בפברואר "
    "februára veebruar февруари กุมภาพันธ์",
    "Mar": "märz mrz mär mars marzo março marco maart mrt marca mart март марта мар maaliskuuta "
    "maaliskuu maalis března březen bře március márc martie березня березень берез "
    "μαρτίου μάρτιος μαρ مارس מרץ מרס במרץ maret marec märts มีนาคม",
    "Apr": "avril avr abril abr aprile april kwietnia kwi nisan nis апрель апреля апр huhtikuuta "
    "huhtikuu huhti dubna duben dub április ápr aprilie квітня квітень квіт απριλίου "
    "απρίλιος απρ أبريل ابريل אפריל באפריל apríla aprill април เมษายน",
    "May": "mai mayo maio maggio mag mei maja maj mayıs май мая toukokuuta toukokuu touko května "
    "květen kvě május máj травня травень трав μαΐου μάιος μαΐ مايو מאי במאי mája พฤษภาคม",
    "Jun": "juni juin junio junho giugno giu czerwca cze haziran haz июнь июня июн kesäkuuta "
    "kesäkuu kesä června červen čvn június jún iunie червня червень черв ιουνίου ιούνιος "
    "ιουν يونيو יוני ביוני júna junij juuni юни มิถุนายน",
    "Jul": "juli juillet juil julio julho luglio lug lipca lip temmuz tem июль июля июл "
    "heinäkuuta heinäkuu heinä července červenec čvc július júl iulie липня липень лип "
    "ιουλίου ιούλιος ιουλ يوليو יולי ביולי júla julij juuli julai юли กรกฎาคม",
    "Aug": "août aout agosto ago augustus augusti sierpnia sie ağustos ağu август августа авг "
    "elokuuta elokuu elo srpna srpen srp augusztus серпня серпень серп αυγούστου "
    "αύγουστος αυγ أغسطس اغسطس אוגוסט באוגוסט agustus agt avgust ogos augusta สิงหาคม",
    "Sep": "septembre sept septiembre setembro settembre set września wrz eylül eyl сентябрь "
    "сентября сент сен syyskuuta syyskuu syys září zář szeptember szept septembrie "
    "вересня вересень верес σεπτεμβρίου σεπτέμβριος σεπ سبتمبر ספטמבר בספטמבר septembra "
    "septembar септември กันยายน",
    "Oct": "oktober okt octobre octubre outubro out ottobre ott października paź ekim eki "
    "октябрь октября окт lokakuuta lokakuu loka října říjen říj október octombrie жовтня "
    "жовтень жовт οκτωβρίου οκτώβριος οκτ أكتوبر اكتوبر אוקטובר באוקטובר októbra oktobar "
    "oktoober октомври ตุลาคม",
    "Nov": "novembre noviembre novembro listopada lis kasım kas ноябрь ноября ноя нояб "
    "marraskuuta marraskuu marras listopadu noiembrie листопада листопад листоп νοεμβρίου "
    "νοέμβριος νοε نوفمبر נובמבר בנובמבר novembra novembar ноември พฤศจิกายน",
    "Dec": "dezember dez décembre déc diciembre dic dezembro dicembre grudnia gru aralık ara "
    "декабрь декабря дек joulukuuta joulukuu joulu prosince prosinec decembrie грудня "
    "грудень груд δεκεμβρίου δεκέμβριος δεκ ديسمبر דצמבר בדצמבר desember desembar "
    "decembar decembra disember detsember декември ธันวาคม",
}
_ENGLISH = {word.casefold(): month for month, words in _MONTHS.items() for word in words.split()}
_BY_LENGTH = sorted(" ".join(_MONTHS.values()).split(), key=len, reverse=True)
_MONTH = re.compile(
    rf"(?<![^\W\d_])(?P<word>{'|'.join(_BY_LENGTH)})(?![^\W\d_])\.?",
    re.IGNORECASE,
)
_OF = re.compile(r" +d[eo]l? +", re.IGNORECASE)  # 4 de marzo de 2024
_SHORT_ENGLISH = re.compile(
    r"(?<![^\W\d_])(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b\.?", re.IGNORECASE
)
_HALVES = {"上午": "AM", "下午": "PM", "午前": "AM", "午後": "PM", "오전": "AM", "오후": "PM"}
_HALF = re.compile(rf" ?(?P<half>{'|'.join(_HALVES)}) ?(?P<clock>\d{{1,2}}:\d{{2}}(?::\d{{2}})?)")
_DOTTED_HALF = re.compile(r"(?<=[\d ])([ap])\. ?m\.?(?![^\W\d_])", re.IGNORECASE)
_DOT_AND_BLANK = re.compile(r"(?<=\d)\. +(?=\d{1,4}(?![\d:])|[^\W\d_])")  # 4. März, 4. 3. 2024
_LAST_DOT = re.compile(r"^(\d{1,4}\.\d{1,2}\.\d{1,4})\.(?= |$)")  # 2024.03.04.
_DAY_DOT = re.compile(r"(?:(?<=[A-Za-z] \d)|(?<=[A-Za-z] \d\d))\.$")  # 2024 Jan 2.
_LETTER = re.compile(r"[^\W\d_]")
_DOT = re.compile(r"\d\.(?: |$)", re.MULTILINE)
_FOREIGN = re.compile(
    rf"{_MONTH.pattern}|{_HALF.pattern}|{_DOTTED_HALF.pattern}|\d\.(?: |$)",
    re.IGNORECASE | re.MULTILINE,
)


def in_english(texts: pd.Series) -> tuple[pd.Series, str]:
    """Cells with months, halves of the day and years as English writes them, and what was found.

    Args:
        texts: [row] of str.

    Returns:
        The cells, the same object where nothing was found; and words for a note, "" for none.

    """
    texts, era = plain_years(texts)
    texts, period = first_days(texts)
    said = [words for words in (era, period) if words]
    texts = _with_colons(plain_words(texts))
    joined = "\n".join(texts)
    if _SPACED.search(joined):  # 2024- 03- 25 and 2024년 3월 25일, as sites of Korea write them
        texts = texts.str.replace(_KOREAN, r"\1-\2-\3", regex=True)
        texts = texts.str.replace(_CHINESE, r"\1年\2月\3日", regex=True)
        texts = texts.str.replace(r"(?<=\d)([-/]) (?=\d)", r"\1", regex=True)
        joined = "\n".join(texts)
    if "GMT" in joined:  # of JavaScript: GMT-0500 (Eastern Standard Time)
        texts = texts.str.replace(r"(?<=[+-]\d{4}) \([^()]*\)$", "", regex=True)
    foreign = _FOREIGN if _LETTER.search(joined) else _DOT
    if not foreign.search(joined):
        return texts, ", ".join(said)
    if _MONTH.search(joined):
        texts = texts.str.replace(_OF, " ", regex=True)
        texts = texts.str.replace(
            _MONTH, lambda match: _ENGLISH[match["word"].casefold()], regex=True
        )
        texts = texts.str.replace(_SHORT_ENGLISH, lambda match: match[1], regex=True)
        said.append("names of months in another language")
    texts = texts.str.replace(_HALF, lambda m: f" {m['clock']} {_HALVES[m['half']]}", regex=True)
    texts = texts.str.replace(_DOTTED_HALF, lambda match: f"{match[1].upper()}M", regex=True)
    texts = texts.str.replace(
        _DOT_AND_BLANK, lambda m: "." if m.string[m.end()].isdigit() else " ", regex=True
    )
    texts = texts.str.replace(_LAST_DOT, r"\1", regex=True)
    return texts.str.replace(_DAY_DOT, "", regex=True), ", ".join(said)


_ALL_ALIKE = re.compile(
    r"(\d{4})([-:_])(\d{2})\2(\d{2})[-:_ T](\d{1,2})[-:_.](\d{2})(?:[-:_.](\d{2}))?"
)  # 2024-01-02-09-30-00, 2024:01:02 09:30:00
_DOTTED_CLOCK = re.compile(
    r"(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4})[ T](\d{1,2})\.(\d{2})(?:\.(\d{2}))?"
)  # 02.01.2024 09.30.00
_C_TIME = re.compile(
    r"(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}:\d{2}:\d{2})((?: UTC| GMT)?) (\d{4})"
)  # Tue Jan  2 09:30:00 2024


def _with_colons(texts: pd.Series) -> pd.Series:
    """Times whose marks are those of dates, and those of C, in a usual form."""
    first = texts.iloc[0] if len(texts) else ""
    for pattern, write in (
        (_ALL_ALIKE, lambda m: f"{m[1]}-{m[3]}-{m[4]} {m[5]}:{m[6]}:{m[7] or '00'}"),
        (_DOTTED_CLOCK, lambda m: f"{m[1]} {m[2]}:{m[3]}:{m[4] or '00'}"),
        (_C_TIME, lambda m: f"{m[2]} {m[1]} {m[5]} {m[3]}{m[4]}"),
    ):
        if pattern.fullmatch(first) and texts.str.fullmatch(pattern).all():
            return texts.str.replace(pattern, write, regex=True)
    return texts


_KOREAN = re.compile(r"(\d{4})년 ?(\d{1,2})월 ?(\d{1,2})일")
_CHINESE = re.compile(r"(\d{4})年 ?(\d{1,2})月 ?(\d{1,2})日")
_SPACED = re.compile(r"\d[-/] \d|\d년|\d[年月] \d")

_ENGLISH_WORD = re.compile(
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?",
    re.IGNORECASE,
)


_PERIOD = re.compile(
    r"(?:(?:fy|cy)? ?\d{2,4}[-_ /]?)?[qhwm]\d{1,2}(?:[-_ /]?(?:fy|cy)? ?\d{2,4})?"
    r"|[1-4]q[-_ /]?\d{2,4}|(?:fy|cy) ?\d{2,4}"
    r"|(?:day|week|wk|kw|month|quarter|year|period|session|phase|fold|batch|part|step|cluster|regime"
    r"|group|bin)[-_ ]?#?\d+"
)  # 2024Q1, Q1 2024, 1Q24, FY2024, 2024W05


def is_calendar_word(word: str) -> bool:
    """Whether a word is a month, a day of the week, or one of numbered periods or parts."""
    folded = word.strip().casefold().rstrip(".")
    return (
        bool(_PERIOD.fullmatch(folded))
        or bool(_ENGLISH_WORD.fullmatch(folded))
        or folded in _ENGLISH
        or folded in WEEKDAYS
    )
