"""Words around a date that say nothing of it: days of the week, ordinals, "Uhr" and the like."""

from __future__ import annotations

import re

import pandas as pd

_NAMES = (
    "montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag mo di mi do fr sa so "
    "lundi mardi mercredi jeudi vendredi samedi dimanche lun mar mer jeu ven sam dim lunes "
    "martes miércoles jueves viernes sábado domingo lu ma mié mie jue vie sáb sab dom lunedì "
    "martedì mercoledì giovedì venerdì sabato domenica gio segunda terça quarta quinta sexta "
    "seg ter qua qui sex maandag dinsdag woensdag donderdag vrijdag zaterdag zondag wo vr za zo "
    "poniedziałek wtorek środa czwartek piątek sobota niedziela pon wt śr czw pt sob niedz "
    "måndag tisdag onsdag torsdag fredag lördag söndag mån tis ons tor fre lör sön mandag "
    "tirsdag lørdag søndag man tir lør søn понедельник вторник среда четверг пятница суббота "
    "воскресенье пн вт ср чт пт сб вс понеділок вівторок середа четвер п'ятниця нд pondělí "
    "úterý středa čtvrtek pátek neděle po út st čt pá ne hétfő kedd szerda csütörtök péntek "
    "szombat vasárnap maanantai tiistai keskiviikko torstai perjantai lauantai sunnuntai ke to "
    "pe la su ti pazartesi salı çarşamba perşembe cuma cumartesi pazar pzt sal çar per cum "
    "senin selasa rabu kamis jumat sabtu minggu luni marți miercuri joi vineri"
)
WEEKDAYS = frozenset(_NAMES.split())
"""Names and abbreviations of days of the week in languages other than English."""

_DATE = (
    r"\d{1,2}(?:\.|er|º|st|nd|rd|th)? ?(?:d[eo]l? |of )?[^\W\d_]{3,}"
    r"|\d{1,2}[./-] ?\d{1,2}[./-] ?\d{2,4}|\d{4}[-./年]"
)
_FIRST = re.compile(
    rf"^(?:{'|'.join(sorted(WEEKDAYS, key=len, reverse=True))})[.,]* *(?:den )?(?={_DATE})",
    re.IGNORECASE,
)
_LAST = re.compile(
    r" ?(?:[(（][月火水木金土日월화수목금토일一二三四五六][)）]|(?:星期|周|週)[一二三四五六日天]"
    r"|[월화수목금토일]요일)(?=[ T]|$)"
)
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)(?: of)?(?=[ ,])", re.IGNORECASE)
_OF = re.compile(r"(?<=\d) of (?=[A-Z])")
_CLOCK = re.compile(r"(?<=[\d,]) (?:Uhr|à|um|o godz\.|kl\.|ore|alle|klo)(?= |$)", re.IGNORECASE)
_HOURS = re.compile(r"(?<=[ T])(\d{1,2}) ?[hH] ?(\d{2})(?:m(?:in)?)?(?!\d)")
_YEAR = re.compile(r"(?<=\d{4}) ?(?:г|р)\.?(?=[ ,]|$)|(?<= )'(?=\d{2}$)")
_OFFSET = re.compile(r" ?\(?(UTC|GMT)? ?([+-])(\d{1,2})(?::?(\d{2}))?\)?$")
_ON_CLOCK = re.compile(
    r":\d{2}(?:[.,]\d+)?(?: ?[AP]M)? ?\(?(?:UTC|GMT)? ?[+-]\d{1,2}(?::?\d{2})?\)?$"
)
_JAVA = re.compile(r"(?<=[\dZ])\[[A-Za-z_/+-]+\]$")
_VIETNAM = re.compile(r"^(?:ngày )?(\d{1,2}),? tháng (\d{1,2}),? (?:năm )?(\d{4})", re.IGNORECASE)
_HINT = re.compile(
    r"[^\W\d_]|[+-]\d{1,2}\)?$|'\d\d$", re.MULTILINE
)  # letters, or an offset that stands short


def plain_words(texts: pd.Series) -> pd.Series:
    """Cells without words around their dates, and with whole offsets.

    Args:
        texts: [row] of str.

    Returns:
        The cells, the same object where there are no such words.

    """
    joined = "\n".join(texts)
    if not _HINT.search(joined):
        return texts
    lines = re.compile
    for pattern, write in (
        (_FIRST, ""),
        (_LAST, ""),
        (_VIETNAM, lambda m: f"{m[3]}-{int(m[2]):02}-{int(m[1]):02}"),
        (_ORDINAL, ""),
        (_OF, " "),
        (_CLOCK, ""),
        (_HOURS, r"\1:\2"),
        (_YEAR, ""),
        (_JAVA, ""),
    ):
        if lines(pattern.pattern, pattern.flags | re.MULTILINE).search(joined):
            texts = texts.str.replace(pattern, write, regex=True)
    if texts.str.contains(_ON_CLOCK).any():
        texts = texts.map(_whole_offset)
    return texts


def _whole_offset(cell: str) -> str:
    """A cell whose offset has hours of two digits and minutes."""
    if not _ON_CLOCK.search(cell):
        return cell
    return _OFFSET.sub(lambda m: f"{m[2]}{int(m[3]):02}:{m[4] or '00'}", cell)
