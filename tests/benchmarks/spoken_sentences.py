"""Sentences that voices are measured with: ten of each language, with numbers, names and questions.

They are this project's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text, and how it is read aloud."""

    text: str
    readings: tuple[str, ...]
    """Several where a listener writes the same sound in several ways."""


def _sentence(text: str, *readings: str) -> Sentence:
    return Sentence(text, readings or (text,))


MANDARIN = (
    _sentence("今天下午三点，我们在学校门口见面，好吗？"),
    _sentence("李明买了2斤苹果和5个橘子，一共花了38块6。", "李明买了两斤苹果和五个橘子，一共花了三十八块六。"),
    _sentence("这家银行的行长每天都步行去上班。"),
    _sentence("请问，去火车站要坐几路公共汽车？"),
    _sentence("2026年11月27日，北京下了第一场雪。", "二零二六年十一月二十七日，北京下了第一场雪。"),
    _sentence("他一边听音乐，一边把衣服洗得干干净净。"),
    _sentence("小女孩儿在花园里追一只白色的蝴蝶。"),
    _sentence("我不知道她为什么还没把书还给图书馆。"),
    _sentence("奶奶说，饺子要趁热吃，凉了就不好吃了。"),
    _sentence("新版本是3.2，比上一版快了40%。", "新版本是三点二，比上一版快了百分之四十。"),
)
MIXED = (
    _sentence("今天我用 Python 写了一个小程序。"),
    _sentence("请把 PDF 文件发到我的邮箱。"),
    _sentence("这个 API 每天能处理一万次请求。"),
    _sentence("他在 Google 工作了三年，现在是 CEO。"),
    _sentence("我的新手机支持蓝牙和 WiFi。", "我的新手机支持蓝牙和wifi", "我的新手机支持蓝牙和wi fi"),
    _sentence("周末我们去看了一场 NBA 的比赛。"),
    _sentence("你的 iPhone 充好电了吗？"),
    _sentence("她的英文名字叫 Emily，中文名字叫王小雨。"),
    _sentence("这台电脑有16GB的内存。", "这台电脑有十六gb的内存"),
    _sentence("我们下周开一个 meeting，讨论 AI 的项目。"),
)
ENGLISH = (
    _sentence("Could you tell me where the nearest library is?"),
    _sentence(
        "The train to Manchester leaves at 9:45 from platform 6.",
        "the train to manchester leaves at nine forty five from platform six",
        "the train to manchester leaves at 9.45 from platform six",
    ),
    _sentence("My sister Laura bought three tickets for the concert on Friday."),
    _sentence("It rained all morning, so we stayed at home and played cards."),
    _sentence(
        "The museum was founded in 1887 and has over 12,000 paintings.",
        "the museum was founded in eighteen eighty seven and has over twelve thousand paintings",
    ),
    _sentence("Why did nobody answer the telephone last night?"),
    _sentence("Dr. Wilson lives in a small village near Oxford.", "doctor wilson lives in a small village near oxford"),
    _sentence(
        "She paid $24.50 for a bottle of olive oil.",
        "she paid twenty four dollars and fifty cents for a bottle of olive oil",
        "she paid twenty four dollars fifty for a bottle of olive oil",
    ),
    _sentence("Breakfast is served until half past ten, isn't it?"),
    _sentence("The quick answer is no, but the long answer is rather more interesting."),
)
SPANISH = (
    _sentence(
        "¿Dónde está la estación de trenes más cercana?",
        "dónde está la estación de trenes más cercana",
        "donde está la estación de trenes más cercana",
    ),
    _sentence("Mi hermano Carlos trabaja en un hospital de Madrid."),
    _sentence(
        "Ayer compramos 3 kilos de naranjas.",
        "ayer compramos tres kilos de naranjas",
        "ayer compramos 3 kilos de naranjas",
    ),
    _sentence("Hace mucho frío, así que ponte el abrigo."),
    _sentence(
        "La película empieza a las nueve de la noche.",
        "la película empieza a las nueve de la noche",
        "la película empieza a las 9 de la noche",
    ),
    _sentence("Quisiera un café con leche y una tostada, por favor."),
    _sentence("Los niños jugaban en el jardín mientras llovía."),
    _sentence("¿Cuánto cuesta este libro de historia?"),
    _sentence("El próximo verano viajaremos a Colombia con unos amigos."),
    _sentence("No recuerdo el nombre de aquella canción."),
)
FRENCH = (
    _sentence(
        "Bonjour, où se trouve la gare, s'il vous plaît ?",
        "bonjour où se trouve la gare s'il vous plaît",
        "bonjour ou se trouve la gare s'il vous plaît",
    ),
    _sentence("Ma sœur travaille dans une petite librairie à Lyon."),
    _sentence(
        "Nous avons acheté 3 baguettes et du fromage.",
        "nous avons acheté trois baguettes et du fromage",
        "nous avons acheté 3 baguettes et du fromage",
    ),
    _sentence("Il fait très froid ce matin, prends ton manteau."),
    _sentence(
        "Le film commence à neuf heures du soir.",
        "le film commence à neuf heures du soir",
        "le film commence à 9 heures du soir",
    ),
    _sentence("Est-ce que tu as vu le nouveau musée ?"),
    _sentence("Les enfants jouent dans le jardin derrière la maison."),
    _sentence("Je voudrais une table pour deux personnes."),
    _sentence("L'été prochain, nous irons en Bretagne avec des amis."),
    _sentence("Pourquoi personne ne répond au téléphone ?"),
)
ITALIAN = (
    _sentence("Scusi, dov'è la stazione dei treni?"),
    _sentence("Mia sorella lavora in una piccola libreria a Torino."),
    _sentence(
        "Abbiamo comprato 3 chili di arance.",
        "abbiamo comprato tre chili di arance",
        "abbiamo comprato 3 chili di arance",
    ),
    _sentence("Fa molto freddo, mettiti il cappotto."),
    _sentence("Il film comincia alle nove di sera."),
    _sentence("Vorrei un caffè e un bicchiere d'acqua, per favore."),
    _sentence("I bambini giocavano nel giardino dietro la casa."),
    _sentence("Quanto costa questo libro di storia?"),
    _sentence("La prossima estate andremo in Sicilia con alcuni amici."),
    _sentence("Perché nessuno risponde al telefono?"),
)
PORTUGUESE = (
    _sentence("Onde fica a estação de trem mais próxima?"),
    _sentence("Minha irmã trabalha em uma livraria no Rio de Janeiro."),
    _sentence(
        "Ontem compramos 3 quilos de laranjas.",
        "ontem compramos três quilos de laranjas",
        "ontem compramos 3 quilos de laranjas",
    ),
    _sentence("Está muito frio hoje, leve um casaco."),
    _sentence("O filme começa às nove horas da noite."),
    _sentence("Eu gostaria de um café com leite, por favor."),
    _sentence("As crianças brincavam no jardim enquanto chovia."),
    _sentence("Quanto custa este livro de história?"),
    _sentence("No próximo verão vamos viajar com alguns amigos."),
    _sentence("Por que ninguém atende o telefone?"),
)
HINDI = (
    _sentence("नमस्ते, आप कैसे हैं?"),
    _sentence("मेरा भाई दिल्ली में काम करता है।"),
    _sentence("आज मौसम बहुत अच्छा है।"),
    _sentence("यह किताब कितने की है?"),
    _sentence("बच्चे बगीचे में खेल रहे हैं।"),
    _sentence("मुझे एक कप चाय चाहिए।"),
    _sentence("हम कल सुबह बाज़ार जाएँगे।", "हम कल सुबह बाजार जाएंगे"),
    _sentence("रेलवे स्टेशन कहाँ है?", "रेलवे स्टेशन कहां है"),
    _sentence("उसने 3 किलो आम खरीदे।", "उसने तीन किलो आम खरीदे"),
    _sentence("मेरी बहन स्कूल में पढ़ाती है।"),
)

SENTENCES: Mapping[str, tuple[Sentence, ...]] = {
    "zh": MANDARIN,
    "zh-en": MIXED,
    "en": ENGLISH,
    "es": SPANISH,
    "fr": FRENCH,
    "it": ITALIAN,
    "pt-br": PORTUGUESE,
    "hi": HINDI,
}
"""By language; "zh-en" is Mandarin with English words."""
