"""Headers, dates and footers in many languages: each is the same bars as in plain English."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars
from marketsim.bars.dates import can_be_date
from marketsim.errors import BarsError, FileFormatError

DAYS = pd.bdate_range("2023-03-01", periods=240)
MINUTES = pd.date_range("2024-01-30 09:30", periods=240, freq="min")
HEAD = "Date;Open;High;Low;Close;Volume"

HEADERS = {
    "fi": "Päivämäärä;Avauskurssi;Ylin;Alin;Päätöskurssi;Volyymi",
    "cs": "Datum;Otevření;Nejvyšší;Nejnižší;Zavření;Objem obchodů",
    "sk": "Dátum;Otvorenie;Maximum;Minimum;Zatvorenie;Objem",
    "hu": "Dátum;Nyitó;Maximum;Minimum;Záró;Mennyiség",
    "ro": "Data;Deschidere;Maxim;Minim;Închidere;Volum",
    "uk": "Дата;Відкриття;Макс.;Мін.;Закриття;Обсяг",
    "el": "Ημερομηνία;Άνοιγμα;Υψηλό;Χαμηλό;Κλείσιμο;Όγκος",
    "ar": "التاريخ;الافتتاح;الأعلى;الأدنى;الإغلاق;حجم التداول",
    "he": "תאריך;פתיחה;גבוה;נמוך;נעילה;נפח",
    "th": "วันที่;ราคาเปิด;ราคาสูงสุด;ราคาต่ำสุด;ราคาปิด;ปริมาณ",
    "vi": "Ngày;Mở cửa;Cao nhất;Thấp nhất;Đóng cửa;Khối lượng",
    "id": "Tanggal;Pembukaan;Tertinggi;Terendah;Penutupan;Volume",
    "da": "Dato;Åbningskurs;Højeste;Laveste;Slutkurs;Volumen",
    "no": "Dato;Åpningskurs;Høyest;Lavest;Sluttkurs;Volum",
    "sv": "Datum;Öppningskurs;Högstakurs;Lägstakurs;Stängningskurs;Volym",
}


def text_of(times, write_time, head=HEAD):
    rows = [f'"{write_time(t)}";10.5;12.25;9.75;11.25;{i + 7}' for i, t in enumerate(times)]
    return "\n".join([head, *rows]) + "\n"


def check(bars, times):
    np.testing.assert_array_equal(bars.local_times, times.to_numpy())
    for name, value in (("open", 10.5), ("high", 12.25), ("low", 9.75), ("close", 11.25)):
        assert (getattr(bars, name) == value).all()
    np.testing.assert_array_equal(bars.volume, np.arange(len(times)) + 7)


@pytest.mark.parametrize("language", HEADERS)
def test_names_of_columns(write, language):
    path = write("A.csv", text_of(DAYS, lambda t: f"{t:%Y-%m-%d}", HEADERS[language]))
    check(read_bars(path), DAYS)


MONTHS = {
    "fi": "{d}. {m} {y}|tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta "
    "heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta",
    "cs": "{d}. {m} {y}|ledna února března dubna května června července srpna září října "
    "listopadu prosince",
    "sk": "{d}. {m} {y}|januára februára marca apríla mája júna júla augusta septembra októbra "
    "novembra decembra",
    "hu": "{y}. {m} {d}.|január február március április május június július augusztus szeptember "
    "október november december",
    "ro": "{d} {m} {y}|ianuarie februarie martie aprilie mai iunie iulie august septembrie "
    "octombrie noiembrie decembrie",
    "uk": "{d} {m} {y} р.|січня лютого березня квітня травня червня липня серпня вересня жовтня "
    "листопада грудня",
    "ru": "{d} {m} {y} г.|янв. февр. мар. апр. мая июн. июл. авг. сент. окт. нояб. дек.",
    "el": "{d} {m} {y}|Ιανουαρίου Φεβρουαρίου Μαρτίου Απριλίου Μαΐου Ιουνίου Ιουλίου Αυγούστου "
    "Σεπτεμβρίου Οκτωβρίου Νοεμβρίου Δεκεμβρίου",
    "ar": "{d} {m} {y}|يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
    "he": "{d} {m} {y}|בינואר בפברואר במרץ באפריל במאי ביוני ביולי באוגוסט בספטמבר באוקטובר "
    "בנובמבר בדצמבר",
    "th": "{d} {m} {y}|มกราคม กุมภาพันธ์ มีนาคม เมษายน พฤษภาคม มิถุนายน กรกฎาคม สิงหาคม กันยายน "
    "ตุลาคม พฤศจิกายน ธันวาคม",
    "id": "{d} {m} {y}|Januari Februari Maret April Mei Juni Juli Agustus September Oktober "
    "November Desember",
    "no": "{d}. {m} {y}|januar februar mars april mai juni juli august september oktober november "
    "desember",
    "vi": "{d} tháng {n}, {y}|" + "x " * 12,
}


@pytest.mark.parametrize("language", MONTHS)
def test_names_of_months(write, language):
    form, words = MONTHS[language].split("|")
    months = words.split()
    check(
        read_bars(
            write(
                "A.csv",
                text_of(
                    DAYS,
                    lambda t: form.format(d=t.day, m=months[t.month - 1], n=t.month, y=t.year),
                ),
            )
        ),
        DAYS,
    )


def ordinal(day):
    return f"{day}{'th' if 10 < day < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


ENERO = ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"]
LUNES = ["lunes", "martes", "miércoles", "jueves", "viernes"]
WORDS = {
    "short German": lambda t: f"{['Mo', 'Di', 'Mi', 'Do', 'Fr'][t.weekday()]} {t:%d.%m.%Y}",
    "dotted German": lambda t: f"{['Mo', 'Di', 'Mi', 'Do', 'Fr'][t.weekday()]}., {t:%d.%m.%Y}",
    "French": lambda t: f"{['lun.', 'mar.', 'mer.', 'jeu.', 'ven.'][t.weekday()]} {t:%d/%m/%Y}",
    "Spanish": lambda t: f"{LUNES[t.weekday()]}, {t.day} de {ENERO[t.month - 1]} de {t.year}",
    "ordinal": lambda t: f"{t:%B} {ordinal(t.day)}, {t.year}",
    "ordinal first": lambda t: f"{ordinal(t.day)} of {t:%B} {t.year}",
    "ordinal and weekday": lambda t: f"{t:%a} {ordinal(t.day)} {t:%b} {t.year}",
    "Chinese": lambda t: f"{t:%Y年%m月%d日} 星期{'一二三四五'[t.weekday()]}",
    "Japanese": lambda t: f"{t:%Y/%m/%d}({'月火水木金'[t.weekday()]})",
    "Korean": lambda t: f"{t:%Y.%m.%d}({'월화수목금'[t.weekday()]})",
    "apostrophe": lambda t: f"{t.day} {t:%b} '{t:%y}",
}


@pytest.mark.parametrize("kind", WORDS)
def test_words_beside_dates(write, kind):
    check(read_bars(write("A.csv", text_of(DAYS, WORDS[kind]))), DAYS)


@pytest.mark.parametrize(
    "form", ["%d.%m.%Y %H:%M Uhr", "%d.%m.%Y, %H:%M Uhr", "%d/%m/%Y %Hh%M", "%d/%m/%Y à %H:%M"]
)
def test_words_beside_clocks(write, form):
    check(read_bars(write("A.csv", text_of(MINUTES, lambda t: f"{t:{form}}"))), MINUTES)


@pytest.mark.parametrize(
    "offset", [" UTC+8", " UTC+08:00", " GMT+8", " (UTC+8)", " +8", "+08:00[Asia/Shanghai]"]
)
def test_offsets_of_any_spelling(write, offset):
    path = write("A.csv", text_of(MINUTES, lambda t: f"{t:%Y-%m-%d %H:%M:%S}{offset}"))
    np.testing.assert_array_equal(
        read_bars(path).timestamps, (MINUTES - pd.Timedelta(hours=8)).to_numpy()
    )


def test_a_month_that_is_a_weekday_too_stays_a_month():
    assert can_be_date("mar 5 2024") and can_be_date("Mar. 5, 2024")
    check_days = pd.Series(pd.date_range("2024-03-01", periods=20))
    frame = pd.DataFrame({"date": check_days.dt.strftime("mar %d, %Y"), "open": 1.0, "high": 2.0,
                          "low": 1.0, "close": 2.0, "volume": 5})  # fmt: skip
    assert (read_bars(frame).timestamps == check_days.to_numpy()).all()


FOOTERS = [
    "Total 1234", "Total;1234", "Total;;;;;123456", "Average;10.1;12.2;9.3;10.2;5",
    "Source: X, downloaded 2024-02-01", "Downloaded on 2024-02-01 10:00:00", "240 rows",
    "-- 240 records --", "Copyright 2024", "合计 240", "Last updated: 02/01/2024; 10:30 AM",
    "2024-02-01 export by user", "*** END ***", "\x1a",
]  # fmt: skip


@pytest.mark.parametrize("footer", FOOTERS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_footers_with_digits(write, footer, end):
    text = text_of(DAYS, lambda t: f"{t:%Y-%m-%d}")
    check(read_bars(write("A.csv", text + footer + end)), DAYS)


@pytest.mark.parametrize("row", ["NaT;1;2;1;2;5", "N/A;1;2;1;2;5", "Feb 30, 2024;1;2;1;2;5",
                                 "2024-02-1x;1;2;1;2;5", "2024-02-0"])  # fmt: skip
def test_rows_that_are_no_footers_stay(write, row):
    text = text_of(DAYS, lambda t: f"{t:%Y-%m-%d}") + row + "\n"
    path = write("A.csv", text)
    with pytest.raises((BarsError, FileFormatError)):
        read_bars(path)
