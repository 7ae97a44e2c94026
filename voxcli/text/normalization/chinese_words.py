"""Chinese words beside numbers: measure words, units and currencies."""

import re


def _alternatives(words: str) -> str:
    return "|".join(map(re.escape, sorted(words.split(), key=len, reverse=True)))


MEASURES = (
    _alternatives(
        # Of time, not 月, 日 and 世纪, whose numbers count on: 二月二日.
        "天 周 小时 钟头 分钟 秒钟 秒 刻钟 星期 礼拜 夜 晚 宿 岁 "
        # Of money, length, weight and the like.
        "元 块 毛 角 分 美元 美金 欧元 英镑 日元 港币 港元 韩元 人民币 万 千 百 亿 兆 "
        "米 千米 公里 厘米 毫米 微米 纳米 分米 英里 英尺 英寸 海里 光年 里 尺 寸 丈 亩 公顷 平方 平米 立方 "
        "克 千克 公斤 毫克 微克 斤 两 吨 磅 盎司 升 毫升 加仑 度 摄氏度 华氏度 伏 瓦 千瓦 安 毫安 赫兹 兆赫 千赫 分贝 "
        "卡 千卡 大卡 焦 帕 字节 像素 码 折 股 "
        # Of things and people.
        "个 位 名 人 条 件 只 支 枝 张 把 辆 台 本 头 匹 棵 朵 座 所 家 间 栋 幢 套 双 "
        "对 副 群 批 排 堆 瓶 杯 碗 盒 袋 箱 包 罐 桶 盘 壶 口 滴 颗 粒 根 枚 架 艘 列 "
        "发 针 剂 片 贴 餐 桌 席 束 串 丝 缕 阵 份 成 户 组 队 伙 帮 则 笔 桩 起 宗 扇 "
        "道 门 篇 首 幅 段 句 行 页 字 节 章 课 卷 集 部 册 幕 种 类 项 样 款 方 面 层 "
        "处 室 厅 卫 居 床 案 单 筐 捆 摞 沓 叠 代人 者 国 地 侧 边 端 岸 旁 校 省 市 县 "
        "村 州 大类 大块 小块 大步 小步 课时 学期 学分 词 列车 车 船 床位 样东西 大 层楼 "
        # Of actions and results.
        "步 遍 趟 回 场 下 声 眼 顿 番 轮 届 圈 局 盘 球 票 胜 负 平 拍 拳 脚 口气 跳 连胜 连败 连冠"
    )
    + "|次(?![方元]|函数|曲线|大战|世界大战|型)|年(?![级代])|时(?![代候期间])|倍|点|季(?!度)"
)
"""A pattern of the words before which 2 is 两. Before any other word it is 二: 二号, 二楼, 二等, 二班, 二维."""

UNITS = {
    "km²": "平方公里",
    "m²": "平方米",
    "㎡": "平方米",
    "m³": "立方米",
    "cm²": "平方厘米",
    "cm³": "立方厘米",
    "km": "公里",
    "KM": "公里",
    "cm": "厘米",
    "CM": "厘米",
    "mm": "毫米",
    "μm": "微米",
    "µm": "微米",
    "nm": "纳米",
    "m": "米",
    "kg": "千克",
    "KG": "千克",
    "Kg": "千克",
    "mg": "毫克",
    "μg": "微克",
    "µg": "微克",
    "g": "克",
    "t": "吨",
    "ml": "毫升",
    "mL": "毫升",
    "L": "升",
    "kWh": "千瓦时",
    "kW": "千瓦",
    "KW": "千瓦",
    "MW": "兆瓦",
    "W": "瓦",
    "kV": "千伏",
    "V": "伏",
    "mAh": "毫安时",
    "mA": "毫安",
    "Hz": "赫兹",
    "kHz": "千赫兹",
    "MHz": "兆赫兹",
    "GHz": "吉赫兹",
    "dB": "分贝",
    "kcal": "千卡",
    "kJ": "千焦",
    "kPa": "千帕",
    "MPa": "兆帕",
    "Pa": "帕",
    "min": "分钟",
    "h": "小时",
    "ms": "毫秒",
    "s": "秒",
    "°C": "摄氏度",
    "℃": "摄氏度",
    "°F": "华氏度",
    "℉": "华氏度",
    "°": "度",
    "rpm": "转每分钟",
    "lb": "磅",
    "oz": "盎司",
    "ft": "英尺",
    "px": "像素",
    "mmHg": "毫米汞柱",
}
SPEEDS = {"km/h": "每小时{}公里", "m/s": "每秒{}米", "Mbps": "每秒{}兆比特", "Gbps": "每秒{}吉比特", "fps": "每秒{}帧"}
UNIT = _alternatives(" ".join((*UNITS, *SPEEDS)))

_YUAN, _DOLLAR, _HONG_KONG, _TAIWAN = "元 块钱 块 人民币", "美元 美金 美刀", "港元 港币", "新台币 台币"
_EURO, _POUND, _YEN, _WON = "欧元", "英镑", "日元 日圆 円", "韩元 韩币"
CURRENCIES = {
    "US$": _DOLLAR,
    "HK$": _HONG_KONG,
    "NT$": _TAIWAN,
    "RMB": _YUAN,
    "CNY": _YUAN,
    "USD": _DOLLAR,
    "HKD": _HONG_KONG,
    "EUR": _EURO,
    "GBP": _POUND,
    "JPY": _YEN,
    "$": _DOLLAR,
    "¥": f"{_YUAN} {_YEN}",
    "￥": f"{_YUAN} {_YEN}",
    "€": _EURO,
    "£": _POUND,
    "₩": _WON,
}
"""Sign or code to the words that say the same, the usual one first."""
CURRENCY = _alternatives(" ".join(CURRENCIES))
CURRENCY_WORD = _alternatives(" ".join(CURRENCIES.values()))
