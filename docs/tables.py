"""Write the tables of the documents that follow from the code; with ``--check``, say if one is old."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import xgapfill

HERE = Path(__file__).parent


def methods_table() -> str:
    """The methods of the package, one row each."""
    heads = ["verb", "what it does", "take it when", "needs", "with `cond=`", "returns", "core-seconds per window"]
    rows = [heads, ["---"] * len(heads)]
    for name, row in xgapfill.list_methods().iterrows():
        said = row.summary.rstrip(".")
        rows.append([f"`{name}`", said, row.suits, row.needs, row.predictors, row.gives, row.core_seconds])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def products_table() -> str:
    """The products that the tests fill, with the lines to type."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from products import PRODUCTS

    rows = [["product", "opened by", "filled by"], ["---"] * 3]
    rows += [[each.name, f"`{each.opened}`", f"`{each.line(each.verb)}`"] for each in PRODUCTS]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def variables_table() -> str:
    """The variables of the catalogue, with names that are recognised."""
    from xgapfill.variables.catalogue import CATALOGUE

    rows = [["variable", "names such as", "filled as", "units"], ["---"] * 4]
    rows += [[each.long_name, each.examples, each.transform, each.units or "kept"] for each in CATALOGUE]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


TABLES = {"methods": methods_table, "products": products_table, "variables": variables_table}


def renewed(text: str, name: str) -> str:
    """Text of a page with its table as the code has it now."""
    first, last = f"<!-- {name}: python docs/tables.py -->\n", f"<!-- end of {name} -->\n"
    table = first + TABLES[name]() + last
    return re.sub(f"{re.escape(first)}.*?{re.escape(last)}", lambda _: table, text, flags=re.DOTALL)


def main(arguments: list[str]) -> int:
    """Rewrite the pages, or compare them."""
    pages = {name: HERE / f"{name}.md" for name in TABLES}
    texts = {name: page.read_text(encoding="utf-8") for name, page in pages.items()}
    old = [name for name, text in texts.items() if renewed(text, name) != text]
    if "--check" in arguments:
        for name in old:
            print(f"{pages[name].name} is old: run python docs/tables.py", file=sys.stderr)
        return int(bool(old))
    for name in old:
        pages[name].write_text(renewed(texts[name], name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
