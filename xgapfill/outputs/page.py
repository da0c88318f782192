"""One self-contained HTML page: sections of text, tables and pictures, and maps with a slider over dates."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Strip:
    """Maps of one field, a PNG for each date.

    Attributes
    ----------
    title : str
    pictures : tuple of bytes
    texts : tuple of str
        What each picture shows, for readers who do not see it.
    colours : tuple of str
        Colours from low to high, or of each category.
    ends : tuple of str
        Text at the lowest and the highest colour, or of each category.
    """

    title: str
    pictures: tuple[bytes, ...]
    texts: tuple[str, ...]
    colours: tuple[str, ...]
    ends: tuple[str, ...]

    @property
    def legend(self) -> str:
        """Legend of the colours."""
        if len(self.ends) == len(self.colours):
            keys = zip(self.colours, map(html.escape, self.ends), strict=True)
            return "".join(f'<span class="key"><i style="background:{each}"></i>{text}</span>' for each, text in keys)
        bar = f'<i class="bar" style="background:linear-gradient(to right,{",".join(self.colours)})"></i>'
        low, high = (html.escape(text) for text in self.ends)
        return f'<span class="key">{low}{bar}{high}</span>'


def section(title: str, *parts: str, number: str = "") -> str:
    """Section with a heading; `number` is its anchor."""
    anchor = f' id="{number}"' if number else ""
    return f"<section{anchor}><h2>{html.escape(title)}</h2>{''.join(parts)}</section>"


def paragraph(text: str) -> str:
    """Paragraph of plain text."""
    return f"<p>{html.escape(text)}</p>"


def listing(rows: Sequence[str]) -> str:
    """List of plain texts."""
    return f"<ul>{''.join(f'<li>{html.escape(row)}</li>' for row in rows)}</ul>"


def definitions(rows: Mapping[str, str]) -> str:
    """Table of names and texts."""
    cells = (
        f'<tr><th scope="row">{html.escape(str(name))}</th><td class="text">{html.escape(str(text))}</td></tr>'
        for name, text in rows.items()
    )
    return f"<table>{''.join(cells)}</table>"


def table(frame: pd.DataFrame, caption: str) -> str:
    """Table of numbers and texts; missing ones are empty."""
    head = "".join(f'<th scope="col">{html.escape(str(name))}</th>' for name in frame.columns)
    body = []
    for name, row in frame.iterrows():
        cells = "".join(f"<td>{html.escape(_text(value))}</td>" for value in row)
        body.append(f'<tr><th scope="row">{html.escape(str(name))}</th>{cells}</tr>')
    top = f"<caption>{html.escape(caption)}</caption><thead><tr><td></td>{head}</tr></thead>"
    return f'<div class="wide"><table>{top}<tbody>{"".join(body)}</tbody></table></div>'


def picture(png: bytes, text: str, caption: str) -> str:
    """Picture with its text for readers who do not see it."""
    img = f'<img src="{uri(png)}" alt="{html.escape(text)}">'
    return f"<figure>{img}<figcaption>{html.escape(caption)}</figcaption></figure>"


def slider(strips: Sequence[Strip], dates: Sequence[str], first: int) -> str:
    """Maps of all strips at one date, and a slider over the dates; it starts at date number `first`."""
    figures = ""
    for k, strip in enumerate(strips):
        shown, text = uri(strip.pictures[first]), html.escape(strip.texts[first])
        image = f'<img class="map" id="map{k}" src="{shown}" alt="{text}">'
        figures += f"<figure>{image}<figcaption><b>{html.escape(strip.title)}</b> {strip.legend}</figcaption></figure>"
    maps = [[uri(each) for each in strip.pictures] for strip in strips]
    data = json.dumps({"dates": list(dates), "maps": maps, "texts": [list(strip.texts) for strip in strips]})
    date, last = html.escape(dates[first]), len(dates) - 1
    box = f'type="range" id="date" min="0" max="{last}" value="{first}" aria-describedby="shown"'
    control = f'<label for="date">Date</label> <input {box} aria-valuetext="{date}"> '
    control += f'<output id="shown" for="date">{date}</output>'
    control = f'<p class="control">{control}</p>'
    safe = data.replace("<", "\\u003c")
    return f'{control}<div class="maps">{figures}</div><script type="application/json" id="data">{safe}</script>'


def page(title: str, lead: str, sections: Sequence[str]) -> str:
    """The whole page."""
    parts = "".join(sections)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    head += f"<title>{html.escape(title)}</title>"
    icon = '<link rel="icon" href="data:,">'
    top = f"<header><h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p></header>"
    return (
        f'<!doctype html><html lang="en"><head>{head}{icon}<style>{STYLE}</style></head><body>{top}<main>{parts}</main>'
        f"<script>{SCRIPT}</script></body></html>"
    )


def uri(png: bytes) -> str:
    """Data URI of a PNG."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]
    if number != number:
        return ""
    return f"{number:.0f}" if number == int(number) and abs(number) >= 1 else f"{number:.3g}"


STYLE = """
:root{color-scheme:light}
body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:72rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem;margin:.2rem 0}h2{font-size:1.2rem;border-bottom:1px solid #bbb;margin-top:2rem}
table{border-collapse:collapse;font-size:.9rem;margin:.5rem 0}caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{padding:.15rem .6rem;text-align:right;border-bottom:1px solid #ddd}th[scope=row],td.text{text-align:left}
th[scope=row]{font-weight:500}.wide{overflow-x:auto}
figure{margin:.5rem 0;display:inline-block;vertical-align:top}figure img{max-width:100%}
figcaption{font-size:.85rem;color:#333}
.maps{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:.5rem 1rem}
.maps figure{margin:0}.map{width:100%;image-rendering:pixelated;border:1px solid #999;background:#fff}
.control{position:sticky;top:0;background:#fff;padding:.4rem 0;margin:0}.control input{width:min(36rem,60%)}
.key{white-space:nowrap;margin-right:.6rem}
.key i{display:inline-block;width:.8em;height:.8em;margin:0 .3em;border:1px solid #999}
.key i.bar{width:7em}
input:focus-visible{outline:3px solid #0072b2}
@media print{.control input{display:none}section{break-inside:avoid}body{max-width:none;padding:0}}
"""

SCRIPT = """
(function(){
var box=document.getElementById("data");if(!box)return;
var all=JSON.parse(box.textContent),control=document.getElementById("date"),shown=document.getElementById("shown");
function show(){var k=+control.value;shown.textContent=all.dates[k];control.setAttribute("aria-valuetext",all.dates[k]);
all.maps.forEach(function(one,m){var img=document.getElementById("map"+m);img.src=one[k];img.alt=all.texts[m][k];});}
control.addEventListener("input",show);show();
})();
"""
