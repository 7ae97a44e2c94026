"""Abbreviations, a table for each language, and the words that begin a sentence after them.

The tables are used together, because a text may mix languages and its language is not known at its start. So a table
leaves out abbreviations that are common words of another language, such as "set" (Portuguese for September).
"""

from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Abbreviations:
    """The abbreviations of one language, without their last full stop. Only titles are told by their case."""

    titles: frozenset[str] = frozenset()
    """Always followed by a name."""
    never_last: frozenset[str] = frozenset()
    """Always followed by another word."""
    before_numbers: frozenset[str] = frozenset()
    """Do not end a sentence if a number follows."""
    maybe_last: frozenset[str] = frozenset()
    """End a sentence only if the next word is one that begins sentences."""
    pairs: frozenset[tuple[str, ...]] = frozenset()
    """Two words that are one abbreviation, such as "et al.", of which the second is a word too. As `maybe_last`."""
    starters: frozenset[str] = frozenset()
    """Words that begin a sentence, and hardly ever a name."""


def _pairs(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(pair.split()) for pair in text.split(","))


LANGUAGES = {
    "en": Abbreviations(
        titles=_words(
            "Mr Mrs Ms Mx Dr Drs Prof Profs Rev Hon Gen Col Maj Capt Cpt Lt Sgt Gov Sen Rep Pres Mt Ft Messrs Adm Cmdr "
            "Comdr Cpl Pvt Brig Insp Supt Amb Atty Fr Esq Mses Sens Reps Gens"
        ),
        never_last=_words("e.g i.e eg ie vs cf viz approx esp incl excl aka a.k.a"),
        before_numbers=_words(
            "no nos nr n° fig figs eq eqs vol vols pp p ch chap chaps sec secs sect art abs ed para paras pt pts ver v "
            "app ex ext tel apt rm bk col par tab max min c ca circa § jan feb mar apr jun jul aug sep sept oct nov dec"
        ),
        maybe_last=_words(
            "st ste inc ltd co cos corp bros jr sr dept univ ave blvd rd ph.d m.d b.a m.a b.sc m.sc etc est assn assoc "
            "intl natl govt mfg hwy pkwy sq mon tue tues thu thur thurs fri calif mass ariz conn fla ill minn miss "
            "tenn wash wis llc plc ibid"
        ),
        pairs=_pairs("et al,op cit,loc cit"),
        starters=_words(
            "A After All Also Although An And Another Are As At Because Before But By Could Did Does Each Even Every "
            "Finally First For From Has Have He Her Here His How However I If In Instead Is It Its Later Many Maybe "
            "Meanwhile More Most My Next No Nobody Not Nothing Now On Once One Only Or Our Perhaps She Should Since So "
            "Some Soon Still Such That The Their Then There These They This Those Though Thus To Today Tomorrow Under "
            "Unless Until Was We Well Were What When Where Whether Which While Who Why With Would Yes Yesterday Yet "
            "You Your"
        ),
    ),
    "de": Abbreviations(
        titles=_words("Hr Hrn Fr Frl Fam Dipl Ing Mag Fa Hl Prof Dr"),
        never_last=_words(
            "bzw z.b d.h u.a d.i o.ä u.ä s.o s.u evtl ggf ggfs inkl exkl vgl sog zzgl abzgl ca bspw bes insb insbes "
            "allg geb gest verh gesch hrsg hg gem lt dt engl frz lat griech ital zzt zz z.t u.u i.d.r o.g m.e v.a "
            "ursprüngl ehem einschl mind u.z tägl wöch mtl jährl städt staatl kath ev röm ggü betr bzgl i.a i.v"
        ),
        before_numbers=_words(
            "abb abs art anm bd bde kap tel tab nr nrn str s ss sp z ziff rn jg aufl hausnr plz okt dez mrz beisp bsp "
            "abschn § §§ par pos"
        ),
        maybe_last=_words(
            "usw usf jh jhs jhd jhdt jahrh chr mio mrd tsd std min sek ff hbf bhf gmbh kg ag e.v u.s.w u.s.f u.v.m "
            "u.dgl dgl o.dgl etc evang wg qm"
        ),
        pairs=_pairs("v chr,n chr"),
        starters=_words(
            "Der Die Das Er Sie Es Ich Wir Ihr Ein Eine Einen Dann Danach Dort Dies Diese Dieser Dieses Auch Aber Und "
            "Oder Doch Nun Jetzt Hier Heute Gestern Morgen Als Wenn Weil Wer Wie Was Wo Warum Im Am Auf Aus Bei Nach "
            "Seit Mit Für Zu Zum Zur Nur Noch Man Alle Alles Viele Später Kein Keine Sein Seine Ihre Mein Meine Unser "
            "Unsere Deshalb Daher Damit Trotzdem Leider Vielleicht Schon Beide Mehr Niemand"
        ),
    ),
    "fr": Abbreviations(
        titles=_words("MM Mme Mmes Mlle Mlles Mgr Dr Pr Sté Vve"),
        never_last=_words("p.ex c.-à-d c-à-d env cf"),
        before_numbers=_words("chap éd fig tél réf art n° nº vol pp p bd av janv févr avr juil déc sect al apt bât ap"),
        maybe_last=_words("etc cie hab arr suiv sq c.q.f.d boul"),
        pairs=_pairs("p ex,par ex,av j.-c,apr j.-c"),
        starters=_words(
            "Le La Les Un Une Il Elle Ils Elles On Nous Vous Je Ce Cette Ces Cela Mais Et Ou Puis Ensuite Alors Dans "
            "En Au Aux Sur Pour Par Avec Sans Quand Si Qui Que Leur Leurs Notre Nos Tout Tous Toutes Après Avant Ainsi "
            "Enfin Cependant Depuis Aujourd Hier Demain Ici Voici Voilà"
        ),
    ),
    "es": Abbreviations(
        titles=_words(
            "Sr Sra Srta Sres Sras Dra Dña Ud Uds Vd Vds Lic Ing Arq Prof Profa Mons Gral Cnel Tte Sgto Hno Hna Sto "
            "Sta Mtro Mtra Excmo Excma Ilmo Ilma EE JJ FF CC RR DD"
        ),
        never_last=_words("p.ej aprox pág.e"),
        before_numbers=_words(
            "pág págs pag núm núms n.º nº cap caps art arts fig figs vol tel tfno tlf av avda c/ ctra km apdo ene abr "
            "ago dic ed párr"
        ),
        maybe_last=_words(
            "etc uu oo aa hh ee.uu jj.oo ff.aa cc.oo rr.hh cía izq dcha s.a s.l a.c d.c avda av admón depto dpto"
        ),
        pairs=_pairs("p ej,por ej"),
        starters=_words(
            "El La Los Las Un Una Él Ella Ellos Ellas Yo Tú Nosotros Usted Ustedes Este Esta Esto Ese Esa Eso Pero Y O "
            "Entonces Luego Después Antes Ahora Hoy Ayer Mañana En Con Sin Para Por Cuando Si Qué Quién Cómo Dónde "
            "También Su Sus Mi Nuestro Nuestra Todo Todos Muchos Además Aunque Allí Aquí Desde Hasta Nadie Nada"
        ),
    ),
    "it": Abbreviations(
        titles=_words(
            "Sig Sigg Sig.ra Sig.na Sig.re Dott Dott.ssa Dr.ssa Prof Prof.ssa Proff Ing Avv Arch Geom Rag On Cav Comm "
            "Mons Egr Gent Spett Ill.mo Gent.mo Gent.ma Egr.gio Card P.zza V.le C.so"
        ),
        never_last=_words("p.es ad.es cfr"),
        before_numbers=_words("pag pagg cap capp art artt fig figg vol voll tav tel nn n sec secc genn febbr sett ott"),
        maybe_last=_words("ecc s.p.a s.r.l a.c d.c p.zza v.le f.lli c.so"),
        pairs=_pairs("ad es,p es,per es,av cr"),
        starters=_words(
            "Il Lo La Gli Le Un Uno Una Lui Lei Loro Noi Voi Questo Questa Questi Quello Quella Ma Poi Quindi Allora "
            "Dopo Prima Ora Oggi Ieri Domani Nel Nella Con Senza Per Quando Se Chi Che Come Dove Perché Anche Suo Sua "
            "Tutto Tutti Molti Inoltre Qui Non Era È"
        ),
    ),
    "pt": Abbreviations(
        titles=_words(
            "Sr Sra Srs Sras Srta Dr Dra Drs Dras Prof Profa Exmo Exma Ilmo Ilma Eng Engª Engº Arq Pe Cel Gal Maj Ten "
            "Sgt Des Rev Sto Sta Exmos Exmas V.Ex.ª V.Exa"
        ),
        never_last=_words("p.ex aprox"),
        before_numbers=_words(
            "pág págs pag cap caps art arts fig figs vol tel nº núm séc sécs av apto bl cj fev abr ago dez obs tb"
        ),
        maybe_last=_words("etc ltda cia s.a a.c d.c av trav lgo pça rod"),
        pairs=_pairs("p ex,por ex"),
        starters=_words(
            "O A Os As Um Uma Ele Ela Eles Elas Eu Nós Você Vocês Este Esta Isto Esse Essa Isso Mas E Ou Então Depois "
            "Antes Agora Hoje Ontem Amanhã Em No Na Nos Nas Com Sem Para Por Quando Se Quem Que Como Onde Também Seu "
            "Sua Todo Todos Muitos Além Aqui Ali Não"
        ),
    ),
    "nl": Abbreviations(
        titles=_words("dhr mevr mw mej mr dr ir ing drs prof ds Dhr Mevr Mw Ir Ds"),
        never_last=_words("bijv bv nl zgn resp excl evt vgl d.w.z m.a.w o.a t.o.v i.p.v m.b.t o.l.v t/m"),
        before_numbers=_words("nr nrs blz tel afd hfst art mrt okt bijl p pp fig afb"),
        maybe_last=_words("enz e.d e.a a.u.b jl jr mln mld b.v n.v etc"),
        starters=_words(
            "De Het Een Hij Zij Ze Wij We Ik Jij Je Jullie Dit Dat Deze Die Maar En Of Toen Daarna Dan Nu Vandaag "
            "Gisteren Morgen Hier Daar In Op Met Voor Bij Na Als Wanneer Wie Wat Waar Waarom Hoe Ook Zijn Haar Ons "
            "Onze Alle Veel Niet Er Geen"
        ),
    ),
    "sv": Abbreviations(
        never_last=_words("t.ex bl.a d.v.s dvs s.k f.eks fx m.m.a jfr jf"),
        before_numbers=_words("kl nr sid s kap tlf"),
        maybe_last=_words("osv m.m m.fl mfl o.s.v e.kr f.kr kr"),
    ),
    "pl": Abbreviations(
        titles=_words("prof dr inż mgr hab ks płk gen św"),
        never_last=_words("np m.in tzn tzw ul ww wg"),
        before_numbers=_words("str nr rys tab godz poz"),
        maybe_last=_words("itd itp r w zł tys mln mld"),
    ),
    "ru": Abbreviations(
        titles=_words("г-н г-жа проф акад ул им пл просп св гр"),
        never_last=_words("см ср напр т.е т.н т.к"),
        before_numbers=_words("стр рис гл табл п пп ст тел д кв"),
        maybe_last=_words("др пр г гг в вв тыс млн млрд руб коп э т.д т.п"),
        starters=_words("Он Она Оно Они Мы Вы Я Ты Это Этот Эта Но И А В На С Потом Затем Когда Если Как Что Кто"),
    ),
}


def _all(field: str) -> frozenset[str]:
    return frozenset().union(*(getattr(language, field) for language in LANGUAGES.values()))


TITLES = _all("titles")
NEVER_LAST = _all("never_last")
BEFORE_NUMBERS = _all("before_numbers")
MAYBE_LAST = _all("maybe_last")
PAIRS: frozenset[tuple[str, ...]] = frozenset().union(*(language.pairs for language in LANGUAGES.values()))
STARTERS = _all("starters")

_PARTS_OF_NAMES = _words(
    "Le La Les Un Una Uno El Los Las Lo Gli Il De Der Die Das Den Des Del Het Een Er Es Am An Im On Si Se Sa Su Mi Ma "
    "Mon Man Sein Seine Morgen Ons Na No Nos Nas O Os E Y Em Al Du Da Dan Ons Voor Op Ne Na Ou Par Sur Chi Che"
)
STARTERS_AFTER_INITIALS = (STARTERS - _PARTS_OF_NAMES) | LANGUAGES["en"].starters
"""Ursula K. Le Guin is a name."""

AFTER_ORDINALS = _words(
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember Jan Feb Apr Jun Jul Aug Sept "
    "Okt Nov Dez Jahrhundert Jahrhunderts Jh Jhd Weltkrieg Weltkriegs Klasse Platz Stock Etage Tag Tage Tages Woche "
    "Mal Auflage Kapitel Band Armee Liga Bundesliga Runde Jahr Jahres Generation Staffel Folge Teil Akt Satz Semester "
    "Sinfonie Symphonie Geburtstag Buch Lebensjahr Stunde Minute Advent Monat Schuljahr Sitzung Ausgabe "
    "Internationale Dynastie Bezirk Halbjahr Quartal Versuch Rang Mann Grad Person"
)
"""German writes the third of October "3. Oktober"."""
