"""Run notebooks in place, so that their outputs are committed: python tests/run_notebooks.py [--flags 'slow cuda'] nbs/02*.ipynb

Cells that nbdev_test would skip (flags of settings.ini, `eval: false`) keep the outputs they have.
"""
import argparse
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbdev.clean import nbdev_clean
from nbdev.config import get_config


def skipped(source: str, flags: set[str]) -> bool:
    "Whether nbdev_test would skip this cell."
    directives = set(re.findall(r"^#\s*\|\s*(.+?)\s*$", source, flags=re.M))
    return "eval: false" in directives or bool(directives & (set(get_config().tst_flags.split()) - flags))


class InPlace(NotebookClient):
    "A client that leaves skipped cells as they are."
    flags: set[str] = set()

    async def async_execute_cell(self, cell, cell_index, **kwargs):
        if cell.cell_type == "code" and skipped(cell.source, self.flags):
            return cell
        return await super().async_execute_cell(cell, cell_index, **kwargs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--flags", default="")
    args = parser.parse_args()
    failed = False
    for path in args.notebooks:
        nb, start = nbformat.read(path, 4), time.time()
        client = InPlace(nb, timeout=1800, kernel_name="python3", resources={"metadata": {"path": path.parent}})
        client.flags = set(args.flags.split())
        try:
            client.execute()
            nbformat.write(nb, path)
            nbdev_clean(str(path))
        except CellExecutionError as e:
            failed = True
            print(e, file=sys.stderr)
        print(f"{path}: {time.time() - start:.1f} s", flush=True)
    sys.exit(failed)
