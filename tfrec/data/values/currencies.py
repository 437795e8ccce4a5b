"""What stands around a number: currencies, units of pieces, blanks between thousands."""

from __future__ import annotations

import re
import unicodedata

_SYMBOLS = "元|円|원|zł|kč|kr\\.?|rs\\.?|rmb|ft"
_CODES = (
    "aed|ars|aud|bgn|brl|cad|chf|clp|cny|cop|czk|dkk|egp|eur|gbp|hkd|huf|idr|ils|inr|jpy|krw|mxn|myr|nok|nzd|"
    "php|pln|ron|rub|sar|sek|sgd|thb|try|twd|uah|usd|vnd|zar"
)
_DOLLARS = re.compile(r"\b(us|r|a|c|ca|hk|nz|s|mx|nt)(?=\$)")
_CURRENCY = re.compile(rf"^({_SYMBOLS}|{_CODES})(?=[\s\d+-])|(?<=[\s\d])({_SYMBOLS}|{_CODES})$")
_PIECES = re.compile(r"(?<=\d)\s*(pcs?|pieces?|stk|stck|st|stück|szt|ea|each|units?|uds?|pz|шт|件|个|個)\.?$")
_NO_CENTS = re.compile(r"(?<=[.,])[-–—]+$")  # 5,-
_GROUPS_OF_BLANKS = re.compile(r"(?<=\d)[ '’](?=\d{3}(\D|$))")


def without_currency(text: str) -> str:
    """Remove currencies, "pcs" and blanks: "€ 1 234,5" is "1234,5"."""
    text = unicodedata.normalize("NFKC", text).lower().replace("−", "-")
    text = _NO_CENTS.sub("00", _DOLLARS.sub("", text))
    text = "".join(sign for sign in text if unicodedata.category(sign) != "Sc").strip()
    text = re.sub(r"^([+-]?)\s+", r"\1", _CURRENCY.sub("", _PIECES.sub("", text)).strip())
    if re.fullmatch(r"\(.+\)|.+-", text):  # a negative number as accountants write it
        text = "-" + text.strip("()-")
    return _GROUPS_OF_BLANKS.sub("", text)
