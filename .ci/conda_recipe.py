"""Print the conda-forge recipe of a release: ``python .ci/conda_recipe.py dist/xgapfill-0.2.0.tar.gz > recipe.yaml``.

Version and dependencies are those of the project file, the hash is that of the sdist.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = {"cf-xarray": "cf_xarray", "dask": "dask-core", "lazy-loader": "lazy_loader", "torch": "pytorch"}
RECIPE = """\
# yaml-language-server: $schema=https://raw.githubusercontent.com/prefix-dev/recipe-format/main/schema.json
schema_version: 1

context:
  name: xgapfill
  version: "{version}"
  python_min: "{python}"

package:
  name: ${{{{ name }}}}
  version: ${{{{ version }}}}

source:
  url: https://pypi.org/packages/source/${{{{ name[0] }}}}/${{{{ name }}}}/{sdist}
  sha256: {sha256}

build:
  number: 0
  noarch: python
  script: ${{{{ PYTHON }}}} -m pip install . -vv --no-deps --no-build-isolation
  python:
    entry_points:
      - xgapfill = xgapfill.cli:main

requirements:
  host:
    - python ${{{{ python_min }}}}.*
    - hatchling >={hatchling}
    - pip
  run:
    - python >=${{{{ python_min }}}}
{run}

tests:
  - python:
      imports:
        - xgapfill
      pip_check: true
      python_version: ${{{{ python_min }}}}.*
  - script:
      - xgapfill --version
      - xgapfill methods

about:
  homepage: https://pypi.org/project/xgapfill
  summary: {summary}
  license: BSD-3-Clause
  license_file: LICENSE

extra:
  recipe-maintainers:
    - xgapfill
"""


def recipe(sdist: Path) -> str:
    """Text of the recipe."""
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = whole["project"]
    run = []
    for line in project["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)(?:\[.*\])?(>=[\d.]+)", line).groups()
        run.append(f"    - {NAMES.get(name, name)} {bound}")
    return RECIPE.format(
        version=project["version"],
        python=project["requires-python"].removeprefix(">="),
        sdist=sdist.name.replace(project["version"], "${{ version }}"),
        sha256=hashlib.sha256(sdist.read_bytes()).hexdigest(),
        hatchling=whole["build-system"]["requires"][0].partition(">=")[2],
        run="\n".join(run),
        summary='"' + project["description"] + '"',
    )


if __name__ == "__main__":
    print(recipe(Path(sys.argv[1])), end="")
