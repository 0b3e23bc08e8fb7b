"""Opens every page of the built site in Chromium, at three widths, light and dark, and reports what is wrong.

A page must not scroll sideways, nothing in its text may stick out of its column, its links must lead somewhere, and the
browser must not report an error or load anything from the network. `make check-pages` runs it.

    python docs/check_pages.py docs/_build [--chromium /usr/bin/chromium] [--pictures FOLDER] [--only methods]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse
from urllib.request import url2pathname

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

WIDTHS = (1400, 900, 420)  # a laptop, a tablet, a phone
THEMES = ("light", "dark")
SEARCHES = {"install": "Installation", "safetensors": "From a checkpoint", "NHWC": "Which norm?"}  # and what is found

# Elements that scroll inside themselves may be wider than their column.
STICKING_OUT = """() => {
    const article = document.querySelector(".bd-article") || document.body;
    const limit = Math.max(article.getBoundingClientRect().right, 0) + 1;
    const scrolls = (e) => { for (; e && e !== article; e = e.parentElement)
        if (["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX)) return true; return false; };
    return [...article.querySelectorAll("*")]
        .filter((e) => e.getBoundingClientRect().right > limit && !scrolls(e) && e.className !== "headerlink")
        .map((e) => e.tagName.toLowerCase() + " " + (e.textContent || "").trim().slice(0, 40)).slice(0, 3);
}"""


def main() -> int:
    options = _options()
    site = options.site.resolve()
    files = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    pages = [path for path in files if options.only in str(path.relative_to(site))]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        problems = [
            f"{page.relative_to(site)}: {what}" for page in pages for what in _problems(browser, page, options.pictures)
        ]
        problems += _failed_searches(browser, site / "search.html")
    print("\n".join(problems))
    print(f"{len(pages)} pages, {len(problems)} problems")
    return bool(problems) or not pages


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--pictures", type=Path, help="keep a screenshot of every page, width and theme there")
    parser.add_argument("--only", default="", metavar="TEXT", help="only pages whose path has this text")
    return parser.parse_args()


def _problems(browser: Browser, path: Path, pictures: Path | None) -> Iterator[str]:
    """Yields what is wrong with a page."""
    tab = browser.new_page()
    messages: list[str] = []
    tab.on("console", lambda message: message.type == "error" and messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("request", lambda request: _is_local(request.url) or messages.append(f"loads {request.url}"))
    tab.goto(path.as_uri())
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 1000})
        found = tab.evaluate("document.documentElement.scrollWidth")
        if found > width:
            yield f"{found} pixels wide in a window of {width}"
        yield from (f"at {width}, sticks out: {what}" for what in tab.evaluate(STICKING_OUT))
        for theme in THEMES:
            tab.emulate_media(color_scheme=theme)
            if pictures:
                pictures.mkdir(parents=True, exist_ok=True)
                tab.screenshot(path=pictures / f"{path.parent.name}-{path.stem}-{width}-{theme}.png", full_page=True)
    yield from dict.fromkeys(messages)
    yield from _dead_links(tab, path)
    tab.close()


def _failed_searches(browser: Browser, path: Path) -> Iterator[str]:
    """Yields the words whose search does not find their page."""
    tab = browser.new_page()
    for word, title in SEARCHES.items():
        tab.goto(f"{path.as_uri()}?q={word}")
        try:
            tab.get_by_role("link", name=title).and_(tab.locator("#search-results a")).first.wait_for(timeout=10_000)
        except TimeoutError:
            yield f"search.html: {word!r} does not find {title!r}"
    tab.close()


def _is_local(url: str) -> bool:
    return urlparse(url).scheme in ("file", "data")


def _dead_links(tab: Page, path: Path) -> Iterator[str]:
    """Yields the links to files of the site, and to places in them, that do not exist."""
    for link in set(tab.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")):
        file, place = urldefrag(link)
        if urlparse(file).scheme == "file":
            target = Path(url2pathname(unquote(urlparse(file).path)))
            if not target.is_file():
                yield f"no such page: {target}"
            elif place and target.suffix == ".html" and f'id="{unquote(place)}"' not in target.read_text():
                yield f"no such place: {target.name}#{place}"


if __name__ == "__main__":
    sys.exit(main())
