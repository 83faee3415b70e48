"""Tables as Parquet files, for pandas, polars and other programs. Needs the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from manager.errors import ConfigError
from negotiation.replies.reader import well_formed
from negotiation.runs.columns import Columns, Row

ROWS = 10_000
"""Rows that are held in memory and written together."""


def write_parquet(path: Path, columns: Columns, rows: Iterable[Row], about: Mapping[str, str]) -> None:
    """Write a table to a new file.

    Args:
        columns: The type of each column. All may be empty, whatever the rows hold.
        rows: What to write; each has exactly these columns.
        about: Metadata of the file's schema, as texts.

    Raises:
        ConfigError: PyArrow is not installed, or the file exists or cannot be written.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as missing:
        raise ConfigError(
            f"--parquet needs PyArrow ({missing}); install it with `pip install 'parley[parquet]'`"
        ) from None

    types = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        datetime: pa.timestamp("us", tz="UTC"),
        list: pa.list_(pa.string()),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()], metadata=dict(about))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file, parquet.ParquetWriter(file, schema) as writer:
            for some in _batches(rows):
                writer.write_table(pa.Table.from_pylist(some, schema))
    except FileExistsError:
        raise ConfigError(f"{path}: already exists; move it away or choose another path") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while some := [{name: _writable(value) for name, value in row.items()} for row in islice(left, ROWS)]:
        yield some


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    return [well_formed(each) for each in value] if isinstance(value, list) else value
