"""Units and signs of numbers that are written as text: $1,200, 3.5 %, 12 km/h, (40), 40-."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_CURRENCY = (
    r"(?:[A-Z]{0,2}\p{Sc}|USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RUB|TRY|BRL|MXN|ZAR|KRW|SGD"
    r"|HKD|Fr\.|Rs\.?|kr\.?)"
)
_KNOWN = (
    r"(?:[%‰]|°[CFK]?|[kmcn\x{b5}]?m[²³23]?|[km]?g|lbs?|oz|mi|ft|yd|m?[lL]|[kMGT]?B|[kM]?Wh?|kWh|[mk]?V|m?A|[kMG]?Hz|mph|km/h"
    r"|m/s|ms|s|sec|min|h|hrs?|d|yrs?|bps?|pts?|px)"
)
_WORD = r"\s[\p{L}][\p{L}/²³.]*"
MAX_LETTERS = 15
"""Of a word that is a unit; not in the pattern, which would take four times as long to compile."""
_NUMBER = r"(?:\d(?:[\d.,' \x{00a0}\x{2009}\x{202f}\x{2019}]*[\d.,])?|[.,]\d+)(?:[eE][+-]?\d+)?"
_PATTERN = (
    rf"^(?P<open>\(?)(?P<sign>[+-]?)\s*(?P<before>{_CURRENCY}?)\s*(?P<inner>[+-]?)(?P<number>{_NUMBER})"
    rf"(?P<after>(?:\s?{_CURRENCY}|\s?{_KNOWN}|{_WORD})?)(?P<behind>-?)(?P<close>\)?)$"
)
"""A number with a currency before it, or a unit behind it. Other words before a number are codes, such as PAL1011."""
PLAIN = r"^[\d.,eE+-]*$"


def split_units(texts: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Numbers with at most a minus before them, and the unit of each; what is no number stays as it is.

    Returns
    -------
    plain : texts, such as -1,200.5
    units : "" where there is none
    """
    plain, units = texts.copy(), pd.Series("", texts.index, dtype="str")
    values = pa.array(texts, pa.large_string(), from_pandas=True)
    # A minus behind a number has no other mark that would distinguish it from a plain one.
    needs = pc.or_(pc.invert(pc.match_substring_regex(values, PLAIN)), pc.match_substring_regex(values, r"\d-$"))
    hits = pc.fill_null(needs, False).to_numpy(zero_copy_only=False)
    if not hits.any():
        return plain, units
    # The minus of typesetters is another letter.
    found = pc.extract_regex(pc.replace_substring(values.filter(pa.array(hits)), "\u2212", "-"), _PATTERN)
    parts = pd.DataFrame({field.name: pc.struct_field(found, field.name).to_pandas() for field in found.type})
    is_number = parts["number"].notna() & (parts["open"].eq("(") == parts["close"].eq(")"))
    is_number &= parts["after"].str.strip().str.len() <= MAX_LETTERS
    is_negative = parts[["sign", "inner", "behind"]].eq("-").any(axis=1) | parts["open"].eq("(")
    numbers = parts["number"].where(~is_negative, "-" + parts["number"])
    at = texts.index[hits]
    plain.loc[at] = numbers.where(is_number, texts[hits].to_numpy()).to_numpy()
    units.loc[at] = (parts["before"] + parts["after"]).str.strip().where(is_number, "").to_numpy()
    return plain, units
