"""Language of a text, from its scripts and its most common words.

It decides how the numbers of a text are read. A number alone says nothing of its language, so the language of the whole
text is handed down to each of its sentences.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

CHINESE, ENGLISH, JAPANESE, KOREAN = "zh", "en", "ja", "ko"
UNKNOWN_SCRIPT = "und"
"""The code for an undetermined language: a script without a code here, or foreign letters."""

_MIN_KANA = 0.2
"""Share of kana in the letters of a Japanese text, whose single sentences may have kanji only."""
_SAMPLE = 4000
"""Characters of each piece of text that are looked at: enough to be sure, and quick for a whole book."""

_SCRIPTS = {
    "CYRILLIC": "ru",
    "GREEK": "el",
    "ARABIC": "ar",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
    "LAO": "lo",
    "MYANMAR": "my",
    "KHMER": "km",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
}
"""First word of a letter's Unicode name to the most widely spoken language of the script."""

# Only words that are common in running text or beside numbers, and no word of two languages that decides between them.
_WORDS = {
    ENGLISH: "the of and to in is that it was for on are with as he his they at be this have from or had by but "
    "not what all were we when your can said there an each which she do how their if will up about out "
    "many then them these so some her would make him has more could see no who its now my than been did "
    "get may i you me us our after before only between over under until since ago per least most every "
    "am please page chapter years days hours weeks months meet call cost costs room version step minutes "
    "seconds percent miles people dollars o'clock die man con via war hat son van men sur pour par plus "
    "era circa cent ten saw sale come den bar pro mal into where why also just very any other first last "
    "next new old good great says here today tomorrow yesterday being having does done",
    "de": "der die das und ist nicht ein eine einen einem einer eines ich du er sie es wir ihr den dem des im "
    "in am an um zu zum zur von vom mit auf für als auch aus bei nach wie aber oder wenn nur noch schon "
    "sind war hat haben habe wird werden kann sich mich mir uhr jahr jahre jahren tag tage tagen stunde "
    "stunden minuten sekunden prozent grad seit bis über unter etwa rund januar februar märz mai juni "
    "juli oktober dezember straße seite kapitel nummer kostet wohnt gibt dass kein keine sehr hier dort "
    "heute morgen gestern mal ab pro",
    "fr": "le la les un une des du de et est en que qui dans pour pas sur au aux par avec ce cette ces il elle "
    "nous vous ils elles je tu on ne se son sa ses mais ou où plus sont était été fait j'ai c'est d'un "
    "d'une l'an heure heures jour jours an ans année années mois semaine semaines seconde secondes cent "
    "janvier février mars avril juin juillet août septembre octobre novembre décembre rue chapitre numéro "
    "coûte environ depuis ici hier demain",
    "es": "el la los las un una unos unas de del en que es por para con no se su sus al lo como más pero este "
    "esta son fue ha hay tiene tengo muy ya hoy hora horas día días año años mes meses semana semanas "
    "minutos segundos ciento enero febrero marzo abril mayo junio julio agosto septiembre octubre "
    "noviembre diciembre calle página capítulo número cuesta desde hasta sobre kilómetros grados",
    "it": "il lo la gli le un una uno di del della dei delle è che in non per con si su al alla sono da dal "
    "dalla ma come più anche questo questa ha ho hanno era ore ora giorno giorni anno anni mese mesi "
    "settimana settimane minuti secondi cento gennaio febbraio marzo aprile maggio giugno luglio agosto "
    "settembre ottobre novembre dicembre via pagina capitolo numero costa circa oggi ieri alle nel nella "
    "chilometri gradi",
    "pt": "os as um uma uns umas de do da dos das em que é por para com não se seu sua ao à no na nos nas como "
    "mais mas ou este esta são foi tem tenho há muito já hoje hora horas dia dias ano anos mês meses "
    "semana semanas minutos segundos cento janeiro fevereiro março abril maio junho julho agosto setembro "
    "outubro novembro dezembro rua página capítulo número custa cerca desde até quilômetros graus reais",
    "nl": "de het een en van in is dat op te zijn met voor niet aan er om als dan maar ook bij uit naar door "
    "nog wel hij ze zij wij ik je jij heeft heb hebben was wordt worden kan uur jaar jaren dag dagen "
    "minuten seconden weken maanden procent graden januari februari maart april mei juni juli augustus "
    "oktober straat bladzijde hoofdstuk nummer kost ongeveer sinds tot over vandaag gisteren morgen deze "
    "dit",
    "sv": "och det att som är en ett på för med av den till inte har var om jag han hon vi år dagar timmar "
    "klockan från kronor kostar procent",
    "da": "og det at som er en et på for med af den til ikke har var om jeg han hun vi år dage timer klokken "
    "fra kroner koster procent",
    "no": "og det at som er en et på for med av den til ikke har var om jeg han hun vi år dager timer klokken "
    "fra kroner koster prosent",
    "fi": "ja on ei se että hän oli ovat mutta kun niin kuin myös vuotta päivää tuntia minuuttia kello euroa "
    "prosenttia",
    "pl": "na do się nie jest to że jak ale po od za lub dla lat lata dni godzin godziny godzinie minut roku "
    "złotych procent ulica",
    "cs": "je na se to že do jak ale po od za nebo pro let roku dní hodin minut korun procent ulice má jsem",
    "ro": "și în la de cu nu este care pe pentru din mai ani zile ore minute lei sunt",
    "hu": "az és hogy nem egy van is volt csak de év éves nap óra perc forint százalék",
    "tr": "ve bir bu da de için ile çok ne var yok gibi daha ama yıl gün saat dakika lira yüzde saniye yaşında",
    "id": "dan yang di ke dari ini itu dengan untuk tidak adalah pada saya ada tahun hari jam menit rupiah "
    "persen orang",
    "vi": "và là của có không được cho một những các với này trong người năm ngày giờ phút đồng tháng phần tôi",
    "sw": "na ya wa kwa ni katika la za hii hiyo yake watu siku saa mwaka miaka dakika",
    "tl": "ang ng sa mga na ay at ito ko ako siya para hindi taon araw oras piso",
}
_FOREIGN_LETTERS = re.compile("[äöüßñãõåøæłąęśźżćńőűğşıěřůčžșțơưđ¿¡ÄÖÜẞÑÃÕÅØÆŁĄĘŚŹŻĆŃŐŰĞŞİĚŘŮČŽȘȚƠƯĐ]")
"""Letters of names in English text at most. Not é and ï, which English borrows: café, naïve."""
_LATIN_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ]+(?:['’][A-Za-zÀ-ÖØ-öø-ɏ]+)?")
_IN_NAME = re.compile(r"[A-ZÀ-ÖØ-Þ][\w'’]* +(?=[A-ZÀ-ÖØ-Þ])|\b[A-ZÀ-ÖØ-Þ]{2,}(?![a-z])")
"""Words as in Los Angeles and LA, which are the same in every language."""
_ADDRESS = re.compile(r"(?<![A-Za-z0-9._-])[A-Za-z0-9._-]{1,200}(?:[@/]|\.(?=[a-z]))[A-Za-z0-9._/-]+")
"""An address on the web, whose com is no word of Portuguese."""
_ENGLISH_ENDING = re.compile(r"(?:[a-z]{3}(?:ing|ed|ly)|[a-z]['’](?:s|t|re|ve|ll|d))\Z")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff〇\U00020000-\U0003ffff]")
_KANA = re.compile("[\u3041-\u309f\u30a1-\u30ff\uff66-\uff9f]")
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")


class TextLanguage:
    """The language of a text that may still be arriving, from what has arrived so far."""

    def __init__(self) -> None:
        self._han = self._kana = self._hangul = self._words = 0
        self._others: Counter[str] = Counter()
        self._evidence: Counter[str] = Counter()

    def feed(self, text: str) -> None:
        text = text[:_SAMPLE]
        self._words += len(_LATIN_WORD.findall(text))
        self._evidence.update(_evidence(text))
        if text.isascii():
            return
        self._han += len(_HAN.findall(text))
        self._kana += len(_KANA.findall(text))
        self._hangul += len(_HANGUL.findall(text))
        self._others.update(filter(None, map(_language_of_letter, text)))

    @property
    def language(self) -> str | None:
        """Code of the language, such as "zh"; None if there are no letters, and "und" in a script without a code."""
        if self._kana and self._kana > _MIN_KANA * (self._kana + self._han) and self._kana >= self._words:
            return JAPANESE
        scripts = Counter({CHINESE: self._han, KOREAN: self._hangul, ENGLISH: self._words}) + self._others
        if not scripts:
            return None
        script = scripts.most_common(1)[0][0]
        return _latin(self._evidence) or ENGLISH if script == ENGLISH else script


def language_of(text: str) -> str | None:
    """Return the code of a text's language, such as "zh"; None if it has no letters."""
    language = TextLanguage()
    language.feed(text)
    return language.language


def latin_language(text: str, *, least_words: int = 1) -> str | None:
    """Return the language that the common words of a text in Latin letters tell; None if they tell none.

    Args:
        least_words: number of its common words that is needed. Above 1, English needs more than any other language.
    """
    evidence = _evidence(text)
    language = _latin(evidence)
    if language is None or least_words == 1:
        return language
    tied = any(weight >= evidence[language] for other, weight in evidence.items() if other != language)
    return None if evidence[language] < 2 * least_words or (language == ENGLISH and tied) else language


def base_language(language: str | None) -> str | None:
    """Return the code of a language without its region, with one code for all names of Chinese."""
    if language is None:
        return None
    base = language.strip().lower().replace("_", "-").partition("-")[0]
    return CHINESE if base in ("cmn", "yue", "chinese", "mandarin", "cantonese") else base


def _evidence(text: str) -> Counter[str]:
    """Weigh the common words of each language in a text. Foreign letters weigh little, and for no language yet."""
    found: Counter[str] = Counter()
    known = _known_words()
    for word in _LATIN_WORD.findall(_IN_NAME.sub("", _ADDRESS.sub("", text))):
        languages = known.get(word.lower(), ()) if word != "i" else ()
        for language in languages:
            found[language] += 2
        if not languages and _ENGLISH_ENDING.search(word):
            found[ENGLISH] += 1
        if _FOREIGN_LETTERS.search(word):
            found[UNKNOWN_SCRIPT] += 1
    return found


def _latin(evidence: Counter[str]) -> str | None:
    """Return the language with the most evidence: English if it has as much as another."""
    foreign = evidence[UNKNOWN_SCRIPT]
    weights = {language: weight for language, weight in evidence.items() if language != UNKNOWN_SCRIPT}
    if not weights:
        return UNKNOWN_SCRIPT if foreign > 2 else None
    others = [language for language in weights if language != ENGLISH]
    best = max(others, key=weights.__getitem__, default=ENGLISH)
    return best if weights[best] + foreign > weights.get(ENGLISH, 0) else ENGLISH


@lru_cache(maxsize=1)
def _known_words() -> dict[str, tuple[str, ...]]:
    known: dict[str, tuple[str, ...]] = {}
    for language, words in _WORDS.items():
        for word in dict.fromkeys(words.split()):
            known[word] = (*known.get(word, ()), language)
    return known


@lru_cache(maxsize=4096)
def _language_of_letter(char: str) -> str | None:
    """Return the language of a letter's script, None for Latin, Han, kana, Hangul and what is no letter."""
    if not char.isalpha() or _HAN.match(char) or _KANA.match(char) or _HANGUL.match(char):
        return None
    script = unicodedata.name(char, "").partition(" ")[0]
    if script in ("LATIN", "FULLWIDTH", "MODIFIER", "CJK", "BOPOMOFO", "FEMININE", "MASCULINE", "KATAKANA-HIRAGANA"):
        return None
    return _SCRIPTS.get(script, UNKNOWN_SCRIPT)
