"""Names of columns that mean the same in any layout, folded."""

from __future__ import annotations

import re

_WORDS: dict[str, str] = {
    "timestamp": "timestamp datetime opentime date time gmttime localtime begin starttime "
    "windowstart bartime mts tradedate tradingdate time(utc) timestamp(utc) time(eet) "
    "timestart tsevent starttimestamp candlebegintime opentimeutc unix unixtimestamp epoch ticks "
    "day dtyyyymmdd データ日付 日期 时间 交易日期 交易时间 日時 日付 日付け 날짜 일자 date/time "
    "dateymd datemdy datedmy tanggal dato dátum päivämäärä "
    "ημερομηνία التاريخ תאריך ngày วันที่ तारीख "
    "дата datum data fecha tarih datetime(utc) date(utc) "
    "zeit uhrzeit zeitstempel datum/zeit hora fecha/hora fechayhora data/hora heure date/heure ora "
    "godzina время датаивремя saat tarih/saat 時刻 時間 日期时间 시간 tijd čas tradedt traddt "
    "dates quotedate pricedate tradingday localdate timestamputc date&time ts dt "
    "päivä pvm den deň zi יום ngàygiaodịch วัน tarikh kuupäev datums дата/час дататавремя "
    "ημερ/νία ngày/giờ waktu "
    "date-time exchangedate date1 time-stamp tradingdate(utc)",
    "open": "open openprice 开盘 开盘价 始値 otwarcie eröffnung eröffn eröffnungskurs "
    "erster apertura ouverture ouv abertura açılış откр открытие 開盤 開盤價 시가 "
    "openingprice öppning avaus "
    "åpning åbning nyitó pembukaan άνοιγμα الفتح פתיחה mở เปิด खोलें 開市 開市價 priceopen "
    "开盘价(元) 開盤價(元) prezzoapertura pxopen openprc "
    "openbid openask 오픈 öppen åben açilis acilis açılışfiyatı giámởcửa opnpric "
    "avauskurssi otevření otevírací otvorenie nyitóár nyitás deschidere відкриття відкр "
    "відкритття ανοιγμα افتتاح الافتتاح سعرالافتتاح שערפתיחה ราคาเปิด mởcửa giámở buka "
    "hargapembukaan öppningskurs åpningskurs åbningskurs отваряне openingskurs "
    "öffnen abrir aperto",
    "high": "high highprice 最高 最高价 高値 najwyzszy najwyższy hoch tageshoch máximo maximo max "
    "máxima massimo yüksek макс максимум 最高價 고가 高 hoog högst ylin høy tertinggi υψηλό الأعلى "
    "גבוה cao สูง अधिक pricehigh highestprice "
    "最高价(元) prezzomassimo pxhigh askhi plushaut haut hochkurs tageshöchst höchst högsta høj "
    "máx enyüksek enyuksek giácaonhất hghpric "
    "ylinkurssi päivänylin nejvyšší najvyššia legmagasabb maximum maxim найвища υψηλότερη "
    "υψηλοτερο μέγιστο ανώτατο أعلى اعلى الاعلى שערגבוה สูงสุด ราคาสูงสุด caonhất giácao "
    "hargatertinggi högstakurs høyest høyeste højeste найвисока "
    "élevé elevé eleve alto alta",
    "low": "low lowprice 最低 最低价 安値 najnizszy najniższy tief tagestief mínimo minimo min "
    "mínima düşük мин минимум 最低價 저가 低 laag lägst alin lav terendah χαμηλό "
    "الأدنى נמוך thấp ต่ำ कम pricelow lowestprice "
    "最低价(元) prezzominimo pxlow bidlo plusbas bas tiefkurs tagestiefst tiefst lägsta mín "
    "endüşük enduşük "
    "giáthấpnhất lwpric "
    "мін alinkurssi päivänalin nejnižší najnižšia legalacsonyabb minimum minim найнижча "
    "χαμηλότερη χαμηλοτερο ελάχιστο κατώτατο أدنى ادنى الادنى שערנמוך ต่ำสุด ราคาต่ำสุด "
    "thấpnhất giáthấp hargaterendah lägstakurs lavest laveste найниска "
    "faible niedrig basso baixo baja bajo baixa",
    "close": "close closeprice close/last last lastprice price 收盘 收盘价 終値 zamkniecie "
    "zamknięcie schlusskurs schluss zuletzt cierre último ultimo clôture clot clôt dernier "
    "fechamento şimdi "
    "цена закрытие 收盤 收盤價 종가 收市 收市價 laatst ostatnio senaste viimeisin "
    "siste seneste utolsó "
    "terakhir τελευταία السعر שער lầncuối ล่าสุด सीएमपी closingprice priceclose "
    "收盘价(元) prezzochiusura pxlast trdprc1 prc laatste slotkoers stängning luk lukkekurs slutt "
    "fecho chiusura kapanış kapanis giáđóngcửa penutupan letzterpreis latest clspric "
    "päätöskurssi päätös viimeisinkurssi zavírací zavření uzavření závěr zatvorenie záver "
    "posledná poslední záró záróár zárás închidere ultimul ultim закриття остання κλείσιμο "
    "κλεισιμο الإغلاق إغلاق اغلاق الاغلاق سعرالإغلاق סגירה שערסגירה שערנעילה נעילה ราคาปิด "
    "ปิด đóngcửa giáđóng tutup hargapenutupan slutkurs sluttkurs stängningskurs senast "
    "затваряне "
    "fermer fermeture fechar chiudi cerrar",
    "volume": "volume vol stuecke stücke volumen wolumen tickvol tickvolume shares "
    "sharestraded quantity qty volumetraded totaltradequantity totaltradedquantity "
    "tottrdqty noofshares numberofshares hac объём объем wol määrä όγκος حجم נפח kl ปริมาณ "
    "मात्रा 交易量 totalvolume "
    "volumetotal tradevolume volumetraded tradedvolume totalvol 売買高 売買高(株) "
    "umsatz(stück) umsatzinstück pxvolume acvoluns acvol1 lasttradedvolume "
    "成交股數 거래량 成交量 成交量(手) "
    "成交量(股) 成交量(万股) 成交量(萬股) 出来高 "
    "volumefrom basevolume volumebtc volume(btc) vol(btc) "
    "volym volum hacim stück objem khốilượng ttltradgvol "
    "volyymi kappalemäärä objemobchodů objemobchodov mennyiség forgalom(db) volumul обсяг "
    "обсягторгів об'єм обʼєм الحجم حجمالتداول الكمية מחזורביחידות ปริมาณการซื้อขาย "
    "ปริมาณซื้อขาย khốilượnggiaodịch kl(cp) volumeperdagangan totalvolym antal обем "
    "ttltrdqnty umsatzstück umsatz(stk) tradedqty qtytraded",
    "adj close": "adjusted adjcls 調整後終値 調整後終値(円) 수정종가 后复权收盘价 前复权收盘价 "
    "clôtureajustée clotureajustée coursajusté bereinigterschluss bereinigterschlusskurs "
    "adjschlusskurs cierreajustado cierreajust cierreaj chiusuraaggiustata "
    "chiusurarettificata fechamentoajustado fechamentoaj fechoajustado aangepastslot "
    "justeradstängning düzeltilmişkapanış скоррзакрытие 调整后收盘价 調整後收盤價 调整收盘价 "
    "수정종가(원)",
    "symbol": "symbol ticker code tscode instrument instrumentid sym secid contract pair "
    "stockcode 股票代码 代码 证券代码 tckrsymb",
    "split": "stocksplits stocksplit splitratio splitfactor splitcoefficient splits",
}

_CLOSES = ("close", "closeprice", "closing", "closingprice", "last", "lastprice", "price")
_ADJUSTED = {
    pattern.format(adjusted, close)
    for adjusted in ("adj", "adjusted", "splitadjusted", "adjustment")
    for close in _CLOSES
    for pattern in ("{}{}", "{1}{0}", "{1}({0})", "({}){}", "{}({})", "{1}[{0}]", "{1}-{0}",
                    "{}-{}", "{1}/{0}")
}  # fmt: skip
_WORDS["adj close"] += " " + " ".join(sorted(_ADJUSTED))

GENERIC: dict[str, str] = {
    name.casefold(): role for role, names in _WORDS.items() for name in names.split()
}
"""Folded name to role."""

WEAK = frozenset({"last", "lastprice", "latest", "price", "ts", "dt", "dates", "max", "min",
                  "quantity", "qty", "shares",
                  "openbid", "openask", "data", "begin", "volumen",
                  "高", "低", "kl", "cao",
                  "alto", "alta", "antal", "baja", "bajo", "baixa", "buka",
                  "den", "deň", "maxim", "maximum", "minim",
                  "minimum", "pvm",
                  "päivä", "päätös", "senast", "tutup", "ultim", "uzavření", "zi", "záver", "závěr",
                  "יום", "ปิด", "วัน"})  # fmt: skip
"""Names that count only where no other column has the role."""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


STARTS = _set(
    "start starttimestamp timeperiodstart beginsat startsat openedat startdate candledatetimeutc "
    "klineopentime snapshottime snapshottimeutc candletime bartimestamp"
)
"""Folded names of times at which a bar starts, where no other column holds the time."""


SETTLES = _set(
    "settle settlement settlementprice settleprice settlprice sett 结算价 結算價 清算値段"
)
"""Folded names of settlement prices: the close of a future where no column is the last price."""


SYMBOLS = _set(
    "name stockname stock stocksymbol actsymbol tradingsymbol securitycode securityname security "
    "scrip scripcode asset assetname coin coinname token crypto cryptoname market product "
    "productid underlying company companyname issuer isin cusip ric wkn figi index indexname "
    "brandname etf fund future currencypair symbolname tickersymbol papel ativo valeur "
    "wertpapier 股票名称 名称 证券名称 证券简称 股票简称 證券名稱 銘柄 銘柄名 종목명"
)
"""Folded names of columns that hold symbols where their values differ, and are words."""

SPLITS = _set(
    "split 分割 分割比率 株式分割 株式分割比率 拆股 拆分 拆股比例 拆细 분할 액면분할 aktiensplit "
    "splitfactors splitcoeff splitvalue"
)
"""Folded names of columns that hold factors of splits where numbers stand in them."""

FACTORS = _set(
    "adjfactor adjustmentfactor adjustfactor factor cumfactor cumulativefactor cfacpr cfacshr "
    "splitadjfactor priceadjfactor adjratio 复权因子 後復權因子 adjcoef facpr facshr "
    "backadjustfactor foreadjustfactor sharesoutstanding"
)
"""Folded names of columns of factors that adjust prices, which step as prices do."""

FIGURES = _set(
    "vwap wap average trades tradecount numberoftrades nooftrades count turnover amount "
    "quotevolume quoteassetvolume value adjclose spread tickvolume openint openinterest oi nr "
    "no num number id index rank row rownumber bid ask change chg dividends dividend splits "
    "precision digits scale marketcap marketcapitalization sharesoutstanding session year month "
    "day hour minute second expiry strike signal position confirm flag status isclosed ignore"
)
"""Folded names of columns that hold figures of the bar other than its volume."""


_THINGS = (
    "security stock share scrip asset company symbol ticker sec product underlying coin token fund "
    "index instrument pair item issue currency"
)
_NUMBERED = "id code no nr num number key"

CODES = _set(
    "isin orderbookid cusip wkn sedol permno permco gvkey stkcd secucode conid instrumenttoken "
    "valor valoren "
    "windcode sid uid codneg 基金代码 指数代码 合约代码 证券代碼 股票代號 證券代號 銘柄コード "
    "コード 종목코드 expiry expirydate expiration expirationdate expirymonth maturity maturitydate "
    "contractmonth contractdate contractcode delivery deliverymonth deliverydate lasttradedate "
    "lasttradingday strike strikeprice 交割月份 限月 交割年月"
) | {thing + number for thing in _THINGS.split() for number in _NUMBERED.split()}
"""Folded names of columns that hold symbols where their values differ, numbers or not."""

DESCRIPTIVE = _set(
    "session source provider vendor feed exchange venue currency unit sector industry country "
    "status state flag type kind side signal action trend direction regime phase season set split "
    "dataset fold sample subset part label tag class category event events note notes remark "
    "remarks comment comments description info month monat mois mes weekday wochentag day dayname "
    "dayofweek monthname quarter quartal year jahr period interval frequency timeframe resolution "
    "timezone tz adjustment adjusted quality holiday series per "
    "batch file filename pattern candle color colour position result rating cluster "
    "halted suspended tradestatus isst"
)
"""Folded names of columns of words that describe the rows of one symbol."""

DESCRIPTIONS = _set(
    "buy sell hold long short flat up down bull bear bullish bearish neutral true false yes no "
    "train training test testing validation valid val pre post regular premarket postmarket "
    "afterhours extended open closed final preliminary provisional estimated actual ok bad good "
    "low medium high q1 q2 q3 q4 h1 h2 spring summer autumn fall winter am pm"
)
"""Words that describe a row, and are no symbols."""

_OF_VOLUME = re.compile(
    r"volume\(?(?:ma|sma|ema|avg|average|mean|chang|chg|delta|ratio|weighted|osc)"
)


_VOLUME_UNIT = re.compile(
    r"[(\[]\s*(?:in\s+)?(?:"
    r"(?P<thousand>'?0{3}'?s?|1,?000'?s?|thousands?|k|тыс\.?|tsd\.?|천주|千株)|"
    r"(?P<million>'?0{6}'?s?|millions?|mln\.?|mio\.?|mm?|млн\.?|百万)|"
    r"(?P<myriad>万股|万|萬股|만주))\s*[)\]]\s*$",
    re.IGNORECASE,
)


def volume_unit(name: object) -> int:
    """Shares per unit of a volume, by the name of its column.

    Example:
        >>> volume_unit("Volume (000)"), volume_unit("Vol (mln)"), volume_unit("Volume")
        (1000, 1000000, 1)
    """
    found = _VOLUME_UNIT.search(str(name))
    units = {"thousand": 1_000, "million": 1_000_000, "myriad": 10_000}
    return 1 if found is None or found.lastgroup is None else units[found.lastgroup]


def is_volume(name: str) -> bool:
    """Whether a folded name is a volume, as "Volume BTC" is, and no figure made of it."""
    return name.startswith(("volume", "vol(")) and not _OF_VOLUME.match(name)
