"""The page on data: its code blocks run, its message is the real one, and it names every source, option and repair."""

import re
from pathlib import Path

import attrs

from framework.data import BUILT_IN
from framework.data.ingest import REPAIRS, ReadOptions
from framework.data.sources.synthetic import SyntheticOptions

PAGE = (Path(__file__).parent.parent / "docs" / "data.md").read_text()


def test_every_code_block_runs_and_prints_what_the_page_says(capsys):
    namespace = {"__name__": "docs_data"}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, namespace)
        printed = capsys.readouterr().out
        promised = [line.removeprefix("# ") for line in block.splitlines() if line.startswith("# ")]
        for line in promised:
            assert line in printed
        for comment in re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE):
            assert comment in printed


def test_the_page_names_every_source_option_and_repair():
    options = [field.name for kind in (ReadOptions, SyntheticOptions) for field in attrs.fields(kind)]
    for name in (*BUILT_IN, *options, *REPAIRS):
        assert f"`{name}`" in PAGE, name
