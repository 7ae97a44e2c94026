"""Mandarin phonemes in Kokoro's alphabet, by way of pinyin.

pypinyin tells the reading of each character from the words around it. The rules for tones that change in speech, for
light syllables and for the suffix 儿 are our own. The table of initials and finals follows the notation that misaki
(hexgrad) wrote for the model's training, after pinyin-to-ipa (Stefan Taubert, MIT).
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pypinyin import Style, lazy_pinyin
from pypinyin.seg import mmseg

BREAK = "|"
"""Between two syllables: a place where a piece may end. Not a phoneme."""

HAN = "\u3400-\u4dbf\u4e00-\u9fff〇\uf900-\ufaff\U00020000-\U0003ffff"


def _table(pairs: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in pairs.split())


_INITIALS = _table("""
    b:p p:pʰ m:m f:f d:t t:tʰ n:n l:l g:k k:kʰ h:x j:ʨ q:ʨʰ x:ɕ zh:ꭧ ch:ꭧʰ sh:ʂ r:ɻ z:ʦ c:ʦʰ s:s
""")
_FINALS = _table("""
    a:a0 ai:ai0 an:a0n ang:a0ŋ ao:au0 e:ɤ0 ei:ei0 en:ə0n eng:ə0ŋ i:i0 ia:ja0 ian:jɛ0n iang:ja0ŋ iao:jau0 ie:je0
    in:i0n iu:jou0 iou:jou0 ing:i0ŋ iong:jʊ0ŋ ong:ʊ0ŋ ou:ou0 u:u0 ui:wei0 ua:wa0 uai:wai0 uan:wa0n un:wə0n uang:wa0ŋ
    ueng:wə0ŋ uo:wo0 o:wo0 v:y0 ve:ɥe0 van:ɥɛ0n vn:y0n ue:ɥe0
""")
"""0 stands for the tone."""
_WHOLE = _table("""
    er:ɚ0 o:ɔ0 ê:ɛ0 yo:jɔ0 n:ə0n ng:ə0ŋ m:ə0m hm:xə0m hng:xə0ŋ zhi:ꭧɨ0 chi:ꭧʰɨ0 shi:ʂɨ0 ri:ɻɨ0 zi:ʦɨ0 ci:ʦʰɨ0 si:sɨ0
    lo:lwo0
""")
"""Syllables that are not an initial and a final; those without a vowel get one, as the model knows none."""
_GLIDES = (
    *(("yu", "v"), ("yi", "i"), ("ya", "ia"), ("ye", "ie"), ("yo", "io")),
    *(("wu", "u"), ("wa", "ua"), ("wo", "uo"), ("wei", "ui"), ("weng", "ueng"), ("wen", "un")),
)
"""How syllables without an initial begin, and the final that is meant."""
_TONES = ("", "→", "↗", "↓", "↘", "")

_ERHUA_FINALS = _table("""
    ai0:a0 ei0:ə0 a0n:a0 ə0n:ə0 jɛ0n:ja0 i0n:jə0 wai0:wa0 wei0:wə0 wa0n:wa0 wə0n:wə0 ɥɛ0n:ɥa0 y0n:ɥə0 ɨ0:ə0 i0:jə0
    y0:ɥə0 i0ŋ:jə0ŋ
""")
"""Finals before the suffix 儿, where they change (Y. R. Chao, A Grammar of Spoken Chinese)."""
_ENDING = re.compile("|".join(sorted(_ERHUA_FINALS, key=len, reverse=True)).join(("(?:", ")\\Z")))

_NEUTRAL_WORDS = """
    妈妈 爸爸 哥哥 弟弟 姐姐 妹妹 爷爷 奶奶 叔叔 舅舅 姥姥 婆婆 公公 宝宝 娃娃 太太 星星 猩猩 谢谢 看看 说说 听听
    想想 试试 走走 坐坐 等等 尝尝 问问 聊聊 笑笑 东西 知道 朋友 先生 学生 医生 衣服 漂亮 喜欢 时候 明白 告诉 休息
    玻璃 耳朵 眼睛 头发 葡萄 钥匙 事情 消息 客气 关系 麻烦 认识 打算 新鲜 热闹 舒服 聪明 便宜 暖和 凉快 清楚 豆腐
    骆驼 萝卜 窗户 月亮 云彩 名字 故事 干净 行李 护士 大夫 丈夫 亲戚 姑娘 师傅 木头 石头 骨头 舌头 馒头 罐头 枕头
    前头 后头 外头 里头 上头 苗头 念头 拳头 砖头 锄头 丫头 早上 晚上 桌上 地上 身上 手上 路上 天上 墙上 脸上 楼上
    街上 这里 那里 哪里 家里 屋里 手里 心里 夜里 城里 嘴里 眼里 水里 院里 脑袋 脾气 力气 运气 福气 口袋 困难 粮食
    蘑菇 棉花 庄稼 苍蝇 商量 收拾 打听 打扮 打扰 耽误 使唤 吩咐 嘱咐 答应 招呼 称呼 应付 对付 琢磨 折腾 唠叨 哆嗦
    糊涂 马虎 老实 结实 厉害 精神 意思 主意 本事 比方 部分 买卖 生意 下巴 胳膊 指甲 屁股 嘴巴 尾巴 哑巴 篱笆 火候
    胡同 伙计 伙食 家伙 记号 架势 见识 将就 讲究 街坊 戒指 咳嗽 阔气 老婆 老爷 冷清 利落 连累 溜达 蛤蟆 冒失 眉毛
    迷糊 名堂 模糊 能耐 念叨 女婿 奴才 佩服 枇杷 铺盖 欺负 敲打 俏皮 勤快 热和 软和 洒脱 丧气 扫帚 烧饼 舍得 牲口
    石榴 拾掇 首饰 疏忽 爽快 思量 算计 岁数 踏实 体面 跳蚤 挑剔 铁匠 停当 妥当 唾沫 挖苦 委屈 稳当 窝囊 稀罕 媳妇
    喜鹊 吓唬 相声 乡下 小气 笑话 心思 兄弟 秀才 学问 秧歌 养活 吆喝 妖精 衙门 约莫 张罗 帐篷 招牌 折磨 芝麻 直溜
    转悠 壮实 状元 自在 字号 作坊
"""
"""Words whose last syllable is light."""
_KEPT_WORDS = """
    女儿 男儿 婴儿 幼儿 少儿 胎儿 孤儿 健儿 育儿 侄儿 宠儿 弃儿 患儿 产儿 吾儿 我儿 麟儿 混血儿 幸运儿 孙儿 儿子
    儿童 儿女 儿歌 儿科 儿媳 儿戏 儿孙 儿茶 儿时 儿郎 儿臣 生儿 妻儿 托儿 低能儿 爱儿 娇儿 乞儿 弄潮儿
"""
"""Words in which 儿 is a syllable of its own."""
_NEUTRAL = re.compile("|".join(_NEUTRAL_WORDS.split()))
_KEPT = re.compile("|".join(sorted(_KEPT_WORDS.split(), key=len, reverse=True)))
_REPEATED = re.compile(f"([{HAN}])([一不])\\1")
_NUMERALS = frozenset("零〇一二三四五六七八九十百千万亿两")
_COUNTS_AFTER = frozenset("月号日楼")
"""After 一 that is an ordinal: 一月, 一号."""


@dataclass(slots=True)
class _Syllable:
    """One character and its reading."""

    character: str
    sound: str
    """Pinyin without the tone, ü as v; empty if the character has no reading."""
    tone: int
    """1 to 4; 5 is the neutral tone."""
    word: int
    """Number of the word that it belongs to."""
    with_er: bool = False
    """Whether the suffix 儿 has become a part of it."""


def mandarin_phonemes(run: str, *, asks: bool = False) -> tuple[str, str]:
    """Return the phonemes of Han characters, and the characters that have no reading.

    Args:
        run: Han characters alone.
        asks: whether a question mark follows.
    """
    syllables = _readings(run, asks)
    unread = "".join(syllable.character for syllable in syllables if not syllable.sound)
    syllables = [syllable for syllable in syllables if syllable.sound]
    _lighten(run, syllables)
    syllables = list(_with_suffixes(run, syllables))
    _change_tones(syllables)
    return "".join(_joined(syllables)), unread


def phonemes_of_pinyin(written: str) -> str:
    """Return the phonemes of syllables such as "ni3 hao3", whose tones are said as they are written."""
    syllables = []
    for number, syllable in enumerate(written.split()):
        sound, tone = syllable[:-1].replace("ü", "v"), int(syllable[-1])
        erhua = sound.endswith("r") and sound != "er"
        syllables.append(_Syllable("", sound.removesuffix("r") if erhua else sound, tone, number, with_er=erhua))
    return "".join(_joined([syllable for syllable in syllables if _written(syllable.sound)]))


def _joined(syllables: list[_Syllable]) -> Iterator[str]:
    """Yield phonemes, and what is between two syllables: a space behind a light one, which has no mark of its tone.

    Without it, 的邮箱 would sound as one word that begins with 丢.
    """
    before: _Syllable | None = None
    for syllable in syllables:
        if before:
            yield " " if before.tone == 5 and syllable.tone != 5 else BREAK
        yield _phonemes(syllable)
        before = syllable


def _no_reading(characters: str) -> Any:
    return [""] * len(characters)  # which the library takes as well as one for all


def _readings(run: str, asks: bool) -> list[_Syllable]:
    syllables = []
    for number, word in enumerate(mmseg.seg.cut(run)):
        read = lazy_pinyin([word], style=Style.TONE3, neutral_tone_with_five=True, v_to_u=False, errors=_no_reading)
        for character, reading in zip(word, read, strict=True):
            sound, tone = (reading[:-1], int(reading[-1])) if reading[-1:].isdecimal() else (reading, 5)
            if character == "嗯":
                tone = 2 if asks else 4
            sound = sound.replace("ü", "v")
            syllables.append(_Syllable(character, sound if _written(sound) else "", tone, number))
    return syllables


def _lighten(run: str, syllables: list[_Syllable]) -> None:
    """Give light syllables the neutral tone: 朋友, 看一看, 好不好."""
    if len(run) != len(syllables):  # some have no reading
        return
    for match in _NEUTRAL.finditer(run):
        syllables[match.end() - 1].tone = 5
    for match in _REPEATED.finditer(run):
        if match[1] not in _NUMERALS:
            syllables[match.start(2)].tone = 5


def _with_suffixes(run: str, syllables: list[_Syllable]) -> Iterator[_Syllable]:
    """Join the suffix 儿 to the syllable before it, except where it is a syllable of its own: 女儿."""
    kept = {match.start() + match[0].index("儿") for match in _KEPT.finditer(run)}
    before: _Syllable | None = None
    for place, syllable in enumerate(syllables):
        suffix = syllable.character == "儿" and before and not before.with_er and before.sound != "er"
        if suffix and before and place not in kept:
            before.with_er = True
            continue
        if before:
            yield before
        before = syllable
    if before:
        yield before


def _change_tones(syllables: list[_Syllable]) -> None:
    """Apply the rules for 一, for 不, and for two third tones."""
    for place, syllable in enumerate(syllables):
        before = syllables[place - 1] if place else None
        after = syllables[place + 1] if place + 1 < len(syllables) else None
        if syllable.character == "不" and syllable.tone != 5:
            syllable.tone = 2 if after and after.tone == 4 else 4
        elif syllable.character == "一" and syllable.tone != 5:
            falling = after and (after.tone == 4 or after.character == "个")
            syllable.tone = 1 if _counts(before, after) else 2 if falling else 4
    sizes = Counter(syllable.word for syllable in syllables)
    for after, syllable in pairwise(reversed(syllables)):
        bound = syllable.word == after.word or sizes[syllable.word] == 1
        if syllable.tone == after.tone == 3 and bound:
            syllable.tone = 2


def _counts(before: _Syllable | None, after: _Syllable | None) -> bool:
    """Whether 一 is read as the number: 第一, 十一, 一九九一, 一月."""
    if before and (before.character in _NUMERALS or before.character in "第初"):
        return True
    return after is None or after.character in _COUNTS_AFTER or after.character in "零〇一二三四五六七八九两"


def _phonemes(syllable: _Syllable) -> str:
    written = _written(syllable.sound)
    if syllable.with_er:
        written = _ENDING.sub(lambda ending: _ERHUA_FINALS[ending[0]], written) + "ɚ"
    return written.replace("0", _TONES[syllable.tone])


def _written(sound: str) -> str:
    if sound in _WHOLE:
        return _WHOLE[sound]
    initial = next((sound[:size] for size in (2, 1) if sound[:size] in _INITIALS), "")
    final = sound[len(initial) :]
    if not initial:
        final = next((new + sound[len(old) :] for old, new in _GLIDES if sound.startswith(old)), sound)
    elif initial in "jqx" and final.startswith("u"):
        final = f"v{final[1:]}"
    return _INITIALS.get(initial, "") + _FINALS[final] if final in _FINALS else ""
