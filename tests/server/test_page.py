"""The page at `/`: its files, and what they may load. What it does is tried in a browser, in tests/server/page."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import voxcli
from tests.server.running import Running, running, serving
from tests.server.tone import ToneEngine

FOLDER = Path(voxcli.__file__).parent / "server" / "web"
OF_THE_DOCUMENTATION = {"docs.css", "docs.js"}
MOST_BYTES = 60 * 1024
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LINK = re.compile(r"""(?:\s(?:href|src)=["']?|(?:from |URL\()["'])([^"'{}\s>]+)""")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ToneEngine(), trusted_proxies=("127.0.0.1",)) as server:
        yield server


def source(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


def scripts() -> list[str]:
    return sorted(path.name for path in FOLDER.glob("*.js"))


def test_every_file_is_served_as_what_it_is(server: Running) -> None:
    kinds = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    for path in FOLDER.iterdir():
        if path.name != "index.html":
            answer = httpx.get(f"{server.url}/web/{path.name}")
            assert answer.headers["content-type"].split(";")[0] == kinds[path.suffix]
            assert answer.content == path.read_bytes()
    for name in ("index.html", "nothing.js", "../pages.py", "%2e%2e%2fpages.py"):
        assert httpx.get(f"{server.url}/web/{name}").status_code == 404


def test_the_files_of_the_page_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in FOLDER.iterdir() if path.name not in OF_THE_DOCUMENTATION}
    assert sum(sizes.values()) <= MOST_BYTES, sizes


def test_links_lead_to_files_that_are_there_and_none_leads_elsewhere() -> None:
    for path in FOLDER.iterdir():
        text = source(path.name)
        assert not re.search(r"""["'(](?:https?:)?//""", text.replace('"http://www.w3.org/2000/svg"', ""))
        for link in LINK.findall(text):
            name = link.removeprefix("web/").removeprefix("./")
            assert (FOLDER / name).is_file() or link == "docs", (path.name, link)


def test_nothing_in_the_page_needs_a_looser_policy(server: Running) -> None:
    for url in (server.url, server.url + "/docs"):
        answer = httpx.get(url, headers=BROWSER)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert not re.search(r"<style|<script>|\sstyle=|\son[a-z]+=|javascript:", answer.text)
        assert answer.headers["x-content-type-options"] == "nosniff"
    for name in scripts():
        assert not re.search(r"\beval\(|new Function|innerHTML|insertAdjacentHTML|document\.write", source(name))


def test_a_browser_that_has_a_file_is_not_sent_it_again(server: Running) -> None:
    for path in ("/", "/web/app.js"):
        first = httpx.get(server.url + path, headers=BROWSER)
        again = httpx.get(server.url + path, headers={**BROWSER, "if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        other = httpx.get(server.url + path, headers={**BROWSER, "if-none-match": '"other"'})
        assert other.content == first.content


def test_programs_get_json_where_people_get_the_page(server: Running) -> None:
    assert httpx.get(server.url, headers=BROWSER).text.startswith("<!doctype html>")
    for headers in ({}, {"accept": "*/*"}, {"accept": "application/json"}):
        assert httpx.get(server.url, headers=headers).json()["name"] == "voxcli"


@pytest.mark.parametrize(("headers", "base"), [({}, "./"), ({"x-forwarded-prefix": "/voice"}, "/voice/")])
def test_links_start_where_the_page_is_offered(server: Running, headers: dict[str, str], base: str) -> None:
    page = httpx.get(server.url, headers={**BROWSER, **headers}).text
    assert f'<base href="{base}">' in page
    assert not re.search(r'(?:src|href)="/(?!voice/)', page)


def test_links_of_the_documentation_are_right_behind_a_slash() -> None:
    with serving(ToneEngine()) as url:
        for path in ("/docs", "/docs/"):
            for link in re.findall(r'(?:href|src)="([^"]*)"', httpx.get(url + path).text):
                assert httpx.get(httpx.URL(url + path).join(link)).status_code == 200


def texts() -> dict[str, tuple[str, str]]:
    """Return the texts of the page in English and Chinese, by their keys."""
    lines = source("texts.js").partition("const LINES = `\n")[2].partition("\n`;")[0].splitlines()
    return {key: (english, chinese) for key, english, chinese in (line.split("|") for line in lines)}


def test_every_text_is_there_in_both_languages_and_nothing_else() -> None:
    used = set(re.findall(r'data-(?:t|title|aria-label|placeholder)="?(\w+)', source("index.html")))
    code = "".join(source(name) for name in scripts() if name != "texts.js")
    used |= {key for key in texts() if re.search(rf"'{key}'|\b{key}:", code)}
    assert used == set(texts())
    for key, (english, chinese) in texts().items():
        assert english
        assert re.findall(r"\{\d\}", english) == re.findall(r"\{\d\}", chinese), key
        assert re.search(r"[\u4e00-\u9fff]", chinese) or key == "other_language"
        assert not re.search(r"[\u4e00-\u9fff]", english) or key == "other_language"


def test_every_element_that_a_script_names_is_in_the_page() -> None:
    ids = set(re.findall(r"\bid=(\w+)", source("index.html")))
    for name in scripts():
        assert set(re.findall(r"\bui\.(\w+)", source(name))) <= ids, name


def test_every_remark_on_a_clip_has_chinese_words() -> None:
    quality = (FOLDER.parents[1] / "audio" / "clip_quality.py").read_text("utf-8")
    kinds = set(re.findall(r'(?:yield |\(\(|^            )"(\w+)",', quality, re.MULTILINE))
    chinese = source("texts.js").partition("const REMARKS = `\n")[2].partition("\n`;")[0]
    assert kinds == set(re.findall(r"^(\w+)\|\|[^|]+$", chinese, re.MULTILINE))
