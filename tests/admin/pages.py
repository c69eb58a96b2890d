"""Reading the admin's pages as a person does: elements, their texts and their attributes."""

from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from django.http import HttpResponseBase

_INLINE = {"a", "b", "code", "em", "label", "small", "span", "strong"}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass
class Element:
    """One element; `text` is what stands in it and in all that it contains, with single spaces."""

    tag: str
    attributes: dict[str, str]
    # All texts of the page, and which of them stand in this element.
    of_page: list[str]
    first: int
    end: int | None = None

    @property
    def texts(self) -> list[str]:
        return self.of_page[self.first : self.end]

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())


class Page(HTMLParser):
    """A page's elements in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[Element] = []
        self._texts: list[str] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _INLINE:
            self.handle_data(" ")
        here = len(self._texts)
        element = Element(tag, {name: value or "" for name, value in attrs}, self._texts, here)
        self.elements.append(element)
        if tag in _VOID:
            element.end = here
        else:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _INLINE:
            self.handle_data(" ")
        if not any(element.tag == tag for element in reversed(self._open)):
            return
        while True:
            closed = self._open.pop()
            closed.end = len(self._texts)
            if closed.tag == tag:
                break

    def handle_data(self, data: str) -> None:
        self._texts.append(data)

    def all(self, tag: str = "", css: str = "", **attributes: str) -> list[Element]:
        """The elements of a tag, of a class, with these attributes (`data_testid` stands for `data-testid`)."""
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        return [
            element
            for element in self.elements
            if (not tag or element.tag == tag)
            and (not css or css in element.classes)
            and wanted.items() <= element.attributes.items()
        ]

    def one(self, tag: str = "", css: str = "", **attributes: str) -> Element:
        """The only such element."""
        found = self.all(tag, css, **attributes)
        assert len(found) == 1, f"{len(found)} elements {tag or 'of any tag'} {css} {attributes}"
        return found[0]

    def has(self, tag: str = "", css: str = "", **attributes: str) -> bool:
        return bool(self.all(tag, css, **attributes))

    @property
    def text(self) -> str:
        """All that a person reads on the page's main part."""
        return self.one("main").text

    @property
    def messages(self) -> list[str]:
        """What the page says about the request before."""
        return [element.text for element in self.elements if element.tag == "li" and element.classes & _MESSAGES]

    @property
    def rows(self) -> list[list[str]]:
        """The texts of the cells of every table row of the main part."""
        rows: list[list[str]] = []
        main = self.elements.index(self.one("main"))
        for element in self.elements[main:]:
            if element.tag == "tr":
                rows.append([])
            elif element.tag in ("td", "th") and rows:
                rows[-1].append(element.text)
        return rows

    def row(self, first: str) -> list[str]:
        """The cells of the row that begins with this text, without it."""
        found = [cells[1:] for cells in self.rows if cells and cells[0] == first]
        assert len(found) == 1, f"{len(found)} rows begin with {first!r}: {self.rows}"
        return found[0]


def form_data(page: Page, form_id: str) -> dict[str, list[str]]:
    """What a browser sends for a form as it stands there, without its buttons."""
    start = page.elements.index(page.one("form", id=form_id))
    rest = page.elements[start + 1 :]
    end = next((number for number, element in enumerate(rest) if element.tag == "form"), len(rest))
    data: dict[str, list[str]] = {}
    select = ""
    for element in rest[:end]:
        said = element.attributes
        if element.tag == "select":
            select = said.get("name", "")
        elif element.tag == "option" and select and "selected" in said:
            data.setdefault(select, []).append(said["value"])
        elif element.tag == "textarea":
            data[said["name"]] = ["".join(element.texts).strip()]
        elif element.tag == "input" and said.get("name") and _is_sent(said):
            data.setdefault(said["name"], []).append(said.get("value", "on" if "checked" in said else ""))
    return data


def _is_sent(said: dict[str, str]) -> bool:
    if said.get("type") in ("checkbox", "radio"):
        return "checked" in said
    return said.get("type") not in ("submit", "button", "file")


_MESSAGES = {"success", "info", "warning", "error"}


def read(client: Any, url: str, data: Any = None) -> Page:
    """The page at `url`, which must be there."""
    answer = client.get(url, data)
    assert answer.status_code == 200, f"{url}: {answer.status_code}"
    return page_of(answer)


def page_of(answer: HttpResponseBase) -> Page:
    """The page of an answer of the test client."""
    return Page(answer.content.decode())  # type: ignore[attr-defined]


def links_of(answer: HttpResponseBase) -> list[str]:
    """Where the links of an answer of the test client lead."""
    return [link.attributes.get("href") or "" for link in page_of(answer).all("a")]
