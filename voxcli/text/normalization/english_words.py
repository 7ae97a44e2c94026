"""English names of short forms, units, months and currencies."""


def _words(text: str) -> list[str]:
    return text.split()


MONTHS = _words(
    "January February March April May June July August September October November December "
    "Jan Feb Mar Apr Jun Jul Aug Sept Sep Oct Nov Dec"
)
"""Full names first, so that a pattern of alternatives matches the longest."""

SHORT_FORMS = {
    "Dr.": "Doctor",
    "Mr.": "Mister",
    "Mrs.": "Missus",
    "Prof.": "Professor",
    "vs.": "versus",
    "e.g.": "for example",
    "i.e.": "that is",
    "etc.": "et cetera",
}
"""Unambiguous ones only, unlike St."""

CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
}
"""Unit and hundredth, each singular and plural."""

SCALES = {
    "thousand": "thousand",
    "million": "million",
    "billion": "billion",
    "trillion": "trillion",
    "bn": "billion",
    "k": "thousand",
    "K": "thousand",
    "m": "million",
    "M": "million",
    "b": "billion",
    "B": "billion",
}
"""Multipliers of an amount of money."""

_REGULAR = """
    m meter|km kilometer|cm centimeter|mm millimeter|nm nanometer|mi mile|yd yard
    g gram|kg kilogram|mg milligram|µg microgram|μg microgram|lb pound|lbs pound|oz ounce
    l liter|L liter|ml milliliter|mL milliliter
    s second|sec second|ms millisecond|min minute|mins minute|h hour|hr hour|hrs hour
    B byte|KB kilobyte|MB megabyte|GB gigabyte|TB terabyte|W watt|kW kilowatt|MW megawatt|V volt|kV kilovolt
    kWh kilowatt hour|mAh milliampere hour|dB decibel|px pixel|x time|° degree|m² square meter|km² square kilometer
    m³ cubic meter|cm² square centimeter|cm³ cubic centimeter
"""
_OTHERS = {
    "ft": ("foot", "feet"),
    "%": ("percent", "percent"),
    "‰": ("per mille", "per mille"),
    "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "℃": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "℉": ("degree Fahrenheit", "degrees Fahrenheit"),
    "mph": ("mile per hour", "miles per hour"),
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"),
    "fps": ("frame per second", "frames per second"),
    "Mbps": ("megabit per second", "megabits per second"),
    "Gbps": ("gigabit per second", "gigabits per second"),
}

UNITS = _OTHERS | {
    symbol: (name, f"{name}s")
    for line in _REGULAR.strip().splitlines()
    for symbol, _, name in (entry.strip().partition(" ") for entry in line.split("|"))
}
"""Symbol to its name, singular and plural. Without the inch, whose symbol is a common word."""


def full_month(name: str) -> str:
    """Return the full name of a month, from its full or short name."""
    return next(month for month in MONTHS if month.startswith(name))
