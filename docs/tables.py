"""Write the tables of the documents that follow from the code; with ``--check``, say if one is old."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import xgapfill

PAGE = Path(__file__).parent / "methods.md"
MARKS = "<!-- methods: python docs/tables.py -->\n", "<!-- end of methods -->\n"


def methods_table() -> str:
    """The methods of the package, one row each."""
    heads = ["verb", "what it does", "take it when", "needs", "with `cond=`", "returns", "core-seconds per window"]
    rows = [heads, ["---"] * len(heads)]
    for name, row in xgapfill.list_methods().iterrows():
        said = row.summary.rstrip(".")
        rows.append([f"`{name}`", said, row.suits, row.needs, row.predictors, row.gives, row.core_seconds])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def main(arguments: list[str]) -> int:
    """Rewrite the page, or compare it."""
    text = PAGE.read_text(encoding="utf-8")
    first, last = map(re.escape, MARKS)
    new = re.sub(f"{first}.*?{last}", lambda _: MARKS[0] + methods_table() + MARKS[1], text, flags=re.DOTALL)
    if "--check" in arguments:
        if new != text:
            print(f"{PAGE.name} is old: run python docs/tables.py", file=sys.stderr)
        return int(new != text)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
