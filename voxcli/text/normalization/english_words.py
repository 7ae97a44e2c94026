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

MEASURED_SHORT_FORMS = {
    "Fig.": "Figure",
    "Figs.": "Figures",
    "fig.": "figure",
    "pp.": "pages",
    "p.": "page",
    "Vol.": "Volume",
    "vol.": "volume",
    "Ch.": "Chapter",
    "ch.": "chapter",
    "Sec.": "Section",
    "Eq.": "Equation",
    "approx.": "approximately",
    "ca.": "circa",
    "max.": "maximum",
    "min.": "minimum",
    "Rs.": "rupees",
}
"""Short forms that are sure only before a number."""

ROMAN_CONTEXTS = _words(
    "War Chapter Part Volume Act Scene Book Section Phase Type Class Stage Level Bowl Title Article Appendix Episode "
    "Unit Figure Table Fantasy Apollo Vatican Grade Category Schedule Amendment"
)
"""Words after which a Roman numeral counts: World War II, Super Bowl LIX, Final Fantasy VII."""
REGNAL_NAMES = _words(
    "Louis Henry Elizabeth George Charles Edward James William Richard Paul Benedict Pius Philip Frederick Ferdinand "
    "Catherine Napoleon Nicholas Alexander Ramses Ramesses Peter Leo Gregory Robert Otto Wilhelm Innocent Clement "
    "Urban Alfonso Gustav Christian Haakon Felipe Carlos Constantine Ptolemy Mehmed Murad Sixtus Julius Darius Xerxes "
    "Ivan Mary Francis Henri Juan Pedro Umberto Victor Emmanuel Rama Olav Harald"
)
"""Names of kings, queens and popes."""

CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "US$": ("US dollar", "US dollars", "cent", "cents"),
    "C$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "CA$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "A$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "AU$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "NZ$": ("New Zealand dollar", "New Zealand dollars", "cent", "cents"),
    "HK$": ("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
    "NT$": ("New Taiwan dollar", "New Taiwan dollars", "cent", "cents"),
    "S$": ("Singapore dollar", "Singapore dollars", "cent", "cents"),
    "R$": ("real", "reais", "centavo", "centavos"),
    "USD": ("US dollar", "US dollars", "cent", "cents"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "CHF": ("Swiss franc", "Swiss francs", "", ""),
    "CNY": ("yuan", "yuan", "", ""),
    "RMB": ("yuan", "yuan", "", ""),
    "JPY": ("yen", "yen", "", ""),
    "INR": ("rupee", "rupees", "", ""),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "", ""),
    "¢": ("cent", "cents", "", ""),
}
"""Sign to unit and hundredth, each singular and plural."""
CURRENCY_WORDS = (
    "(?:US|Canadian|Australian|Hong Kong) dollars?|dollars?|bucks|USD|CAD|AUD|euros?|EUR|"
    "pounds?|GBP|yen|JPY|rupees?|won|cents?"
)
"""What is sometimes written after a sign that says it already."""
PLURALS = "people|users|views|followers|subscribers|downloads|dollars|euros|pounds|copies|viewers|customers|parameters"
PER = {
    "lb": "pound",
    "kg": "kilogram",
    "oz": "ounce",
    "g": "gram",
    "hr": "hour",
    "h": "hour",
    "mo": "month",
    "yr": "year",
}
"""Units after a slash."""
DECADE_WORDS = ("the", "her", "his", "their", "my", "your", "our", "early", "mid", "late", "mid-")

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
    g gram|kg kilogram|mg milligram|µg microgram|μg microgram|lb pound|oz ounce
    l liter|L liter|ml milliliter|mL milliliter
    s second|sec second|ms millisecond|min minute|mins minute|h hour|hr hour|hrs hour
    KB kilobyte|MB megabyte|GB gigabyte|TB terabyte|W watt|kW kilowatt|MW megawatt|V volt|kV kilovolt
    kWh kilowatt hour|mAh milliampere hour|dB decibel|px pixel|x time|° degree|m² square meter|km² square kilometer
    m³ cubic meter|ha hectare|kJ kilojoule|kcal kilocalorie|PB petabyte|GW gigawatt|MWh megawatt hour|ns nanosecond
    μs microsecond|µs microsecond|μm micrometer|µm micrometer|kPa kilopascal|Pa pascal|mA milliampere|Ω ohm
    cm² square centimeter|cm³ cubic centimeter
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
    "lbs": ("pound", "pounds"),
    "kgs": ("kilogram", "kilograms"),
    "tbsp": ("tablespoon", "tablespoons"),
    "tsp": ("teaspoon", "teaspoons"),
    "gal": ("gallon", "gallons"),
    "qt": ("quart", "quarts"),
    "deg": ("degree", "degrees"),
    "sq ft": ("square foot", "square feet"),
    "ft²": ("square foot", "square feet"),
    "psi": ("pound per square inch", "pounds per square inch"),
    "rpm": ("revolution per minute", "revolutions per minute"),
    "bpm": ("beat per minute", "beats per minute"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "m/s²": ("meter per second squared", "meters per second squared"),
    "GB/s": ("gigabyte per second", "gigabytes per second"),
    "MB/s": ("megabyte per second", "megabytes per second"),
    "kbps": ("kilobit per second", "kilobits per second"),
    "hp": ("horsepower", "horsepower"),
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
