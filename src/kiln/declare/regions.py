"""The usual regions of ECS: their names and zones, as DescribeRegions and DescribeZones of ECS have them.

A script that was written for one of them finds it here without a setting. Each
has its zones from ``a`` to the last that ECS has there; which of the letters
between are open to whom changes from year to year, so all of them are.
"""

from __future__ import annotations

import re
import string

from kiln.ground.values import dataclass

#: The languages that names are told in; the first where none is asked for, as in ECS.
LANGUAGES = ("zh-CN", "en-US", "ja")


@dataclass(frozen=True)
class Region:
    """A region and its name in each of LANGUAGES."""

    id: str
    names: tuple[str, str, str]
    last_zone: str

    @property
    def zones(self) -> tuple[str, ...]:
        """``cn-hangzhou-a`` and on; ``us-east-1a`` and on where the region's ID ends in a number."""
        dash = "" if self.id[-1].isdigit() else "-"
        letters = string.ascii_lowercase
        return tuple(f"{self.id}{dash}{letter}" for letter in letters[: letters.index(self.last_zone) + 1])

    def name_in(self, language: str) -> str:
        """``华东1（杭州）``, ``China (Hangzhou)``."""
        return self.names[LANGUAGES.index(language)]

    def zone_name_in(self, language: str, zone: str) -> str:
        """``杭州 可用区H``, ``Hangzhou Zone H``."""
        name = self.name_in(language)
        inner = re.search(r"[（(]([^）)-]+)", name)
        city = inner[1].strip() if inner else name
        between = {"zh-CN": "可用区", "en-US": "Zone ", "ja": "ゾーン"}[language]
        return f"{city} {between}{zone[-1].upper()}"


#: In the order of ECS. Source: "Regions and zones" of Alibaba Cloud's documentation.
USUAL_REGIONS = {
    region.id: region
    for region in (
        Region("cn-qingdao", ("华北1（青岛）", "China (Qingdao)", "中国 (青島)"), "c"),
        Region("cn-beijing", ("华北2（北京）", "China (Beijing)", "中国 (北京)"), "l"),
        Region("cn-zhangjiakou", ("华北3（张家口）", "China (Zhangjiakou)", "中国 (張家口)"), "c"),
        Region("cn-huhehaote", ("华北5（呼和浩特）", "China (Hohhot)", "中国 (フフホト)"), "b"),
        Region("cn-wulanchabu", ("华北6（乌兰察布）", "China (Ulanqab)", "中国 (ウランチャブ)"), "c"),
        Region("cn-hangzhou", ("华东1（杭州）", "China (Hangzhou)", "中国 (杭州)"), "k"),
        Region("cn-shanghai", ("华东2（上海）", "China (Shanghai)", "中国 (上海)"), "n"),
        Region("cn-nanjing", ("华东5（南京-本地地域）", "China (Nanjing - Local Region)", "中国 (南京)"), "a"),
        Region("cn-fuzhou", ("华东6（福州-本地地域）", "China (Fuzhou - Local Region)", "中国 (福州)"), "a"),
        Region("cn-wuhan-lr", ("华中1（武汉-本地地域）", "China (Wuhan - Local Region)", "中国 (武漢)"), "a"),
        Region("cn-shenzhen", ("华南1（深圳）", "China (Shenzhen)", "中国 (深セン)"), "f"),
        Region("cn-heyuan", ("华南2（河源）", "China (Heyuan)", "中国 (河源)"), "b"),
        Region("cn-guangzhou", ("华南3（广州）", "China (Guangzhou)", "中国 (広州)"), "b"),
        Region("cn-chengdu", ("西南1（成都）", "China (Chengdu)", "中国 (成都)"), "b"),
        Region("cn-hongkong", ("中国香港", "China (Hong Kong)", "中国 (香港)"), "d"),
        Region("ap-northeast-1", ("日本（东京）", "Japan (Tokyo)", "日本 (東京)"), "c"),
        Region("ap-northeast-2", ("韩国（首尔）", "South Korea (Seoul)", "韓国 (ソウル)"), "b"),
        Region("ap-southeast-1", ("新加坡", "Singapore", "シンガポール"), "c"),
        Region(
            "ap-southeast-3", ("马来西亚（吉隆坡）", "Malaysia (Kuala Lumpur)", "マレーシア (クアラルンプール)"), "c"
        ),
        Region("ap-southeast-5", ("印度尼西亚（雅加达）", "Indonesia (Jakarta)", "インドネシア (ジャカルタ)"), "c"),
        Region("ap-southeast-6", ("菲律宾（马尼拉）", "Philippines (Manila)", "フィリピン (マニラ)"), "b"),
        Region("ap-southeast-7", ("泰国（曼谷）", "Thailand (Bangkok)", "タイ (バンコク)"), "b"),
        Region("us-east-1", ("美国（弗吉尼亚）", "US (Virginia)", "米国 (バージニア)"), "b"),
        Region("us-west-1", ("美国（硅谷）", "US (Silicon Valley)", "米国 (シリコンバレー)"), "b"),
        Region("na-south-1", ("墨西哥", "Mexico", "メキシコ"), "a"),
        Region("eu-west-1", ("英国（伦敦）", "UK (London)", "英国 (ロンドン)"), "b"),
        Region("eu-central-1", ("德国（法兰克福）", "Germany (Frankfurt)", "ドイツ (フランクフルト)"), "c"),
        Region("me-east-1", ("阿联酋（迪拜）", "UAE (Dubai)", "UAE (ドバイ)"), "a"),
        Region("me-central-1", ("沙特（利雅得）", "SAU (Riyadh - Partner Region)", "サウジアラビア (リヤド)"), "b"),
    )
}

_LONGEST_ID = 50


def is_region_id(text: str) -> bool:
    """Whether a region may be called so: ``cn-qingdao-env17-d01``. Where IDs are lists and paths it must stay whole."""
    return len(text) <= _LONGEST_ID and re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", text) is not None


def zones_of(region: str) -> tuple[str, ...]:
    """The zones of a region; one that is an operator's own has one."""
    usual = USUAL_REGIONS.get(region)
    return (region + "-a",) if usual is None else usual.zones


def region_name(region: str, language: str) -> str:
    """A region's name for people; that of an operator's own is its ID."""
    usual = USUAL_REGIONS.get(region)
    return region if usual is None else usual.name_in(language)


def zone_name(region: str, zone: str, language: str) -> str:
    """A zone's name for people; that of an operator's own region is its ID."""
    usual = USUAL_REGIONS.get(region)
    return zone if usual is None else usual.zone_name_in(language, zone)
