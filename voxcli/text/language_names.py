"""Names of languages, in English and in the language itself, with their codes (BCP 47)."""

_NAMES = """
af afrikaans afr
am amharic amh አማርኛ
ar arabic ara العربية عربي
az azerbaijani aze azərbaycanca
be belarusian bel беларуская
bg bulgarian bul български
bn bengali bangla ben বাংলা
bs bosnian bos bosanski
ca catalan cat català catala valencian
cs czech ces cze čeština cestina česky
cy welsh cym wel cymraeg
da danish dan dansk
de german deu ger deutsch
el greek ell gre ελληνικά ελληνικα
en english eng englisch anglais inglés inglese inglês 英语 英語
en-us american american-english us-english
en-gb british british-english uk-english
eo esperanto epo
es spanish spa español espanol castellano castilian
et estonian est eesti
eu basque eus baq euskara
fa persian farsi fas per فارسی
fi finnish fin suomi
fr french fra fre français francais
ga irish gle gaeilge
gd scottish-gaelic gla gàidhlig
gu gujarati guj ગુજરાતી
hak hakka 客家话 客家話
he hebrew heb עברית
hi hindi hin हिन्दी हिंदी
hr croatian hrv hrvatski
hu hungarian hun magyar
hy armenian hye arm հայերեն
id indonesian ind bahasa-indonesia
is icelandic isl ice íslenska islenska
it italian ita italiano
ja japanese jpn 日本語 日语 nihongo
ka georgian kat geo ქართული
kk kazakh kaz қазақша
kn kannada kan ಕನ್ನಡ
ko korean kor 한국어 조선말 韩语 hangugeo
ku kurdish kur kurdî
la latin lat latina
lt lithuanian lit lietuvių lietuviu
lv latvian lav latviešu latviesu
mk macedonian mkd mac македонски
ml malayalam mal മലയാളം
mr marathi mar मराठी
ms malay msa may bahasa-melayu
my burmese myanmar mya bur မြန်မာ
nb norwegian nor nob norsk bokmål bokmal no
ne nepali nep नेपाली
nl dutch nld dut nederlands flemish vlaams
pa punjabi pan ਪੰਜਾਬੀ
pl polish pol polski
pt portuguese por português portugues
pt-br brazilian brazilian-portuguese brasileiro
ro romanian ron rum română romana moldovan
ru russian rus русский
si sinhala sin සිංහල
sk slovak slk slo slovenčina slovencina
sl slovenian slovene slv slovenščina slovenscina
sq albanian sqi alb shqip
sr serbian srp српски srpski
sv swedish swe svenska
sw swahili swa kiswahili
ta tamil tam தமிழ்
te telugu tel తెలుగు
th thai tha ไทย ภาษาไทย
tr turkish tur türkçe turkce
uk ukrainian ukr українська
ur urdu urd اردو
uz uzbek uzb oʻzbekcha
vi vietnamese vie tiếng-việt
yue cantonese 粤语 粵語 广东话 廣東話
zh chinese mandarin zho chi 中文 汉语 漢語 普通话 普通話 国语 國語 putonghua
"""
"""One language a line: its code, then its names and its codes of three letters."""

_CODES = {name: line.split()[0] for line in _NAMES.strip().splitlines() for name in line.split()[1:]}


def language_code(name: str) -> str | None:
    """Return the code of a language that is given by its name; None if it is not a name that is known."""
    return _CODES.get("-".join(name.casefold().split()))


def three_letter_code(language: str) -> str | None:
    """Return the code of ISO 639-2 of a language that is given by its code, such as "eng" for "en-GB"."""
    base = language.casefold().replace("_", "-").partition("-")[0]
    names = next((line.split()[1:] for line in _NAMES.strip().splitlines() if line.split()[0] == base), [])
    return next((name for name in names if len(name) == 3 and name.isascii()), base if len(base) == 3 else None)


def language_names() -> list[str]:
    """Return all names."""
    return sorted(_CODES)
