"""Tables as Parquet files, for pandas, polars and other programs. Needs the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from manager.errors import ConfigError
from negotiation.replies.reader import well_formed
from negotiation.runs.exports.columns import Columns, Row

ROWS = 10_000
"""Rows that are held in memory and written together."""


def write_parquet(tables: Mapping[Path, tuple[Columns, Iterable[Row]]], about: Mapping[str, str]) -> None:
    """Write tables to new files, all of them or none.

    Args:
        tables: For each file the type of each column, of which all may be empty, and rows with exactly these columns.
        about: Metadata of the files' schemas, as texts.

    Raises:
        ConfigError: PyArrow is not installed, a file exists or cannot be written, or a value does not fit its column.
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
    refuse_existing(tables)
    parts = {path: path.with_name(f"{path.name}.part") for path in tables}
    try:
        for path, (columns, rows) in tables.items():
            schema = pa.schema([(name, types[kind]) for name, kind in columns.items()], metadata=dict(about))
            path.parent.mkdir(parents=True, exist_ok=True)
            with parts[path].open("wb") as file, parquet.ParquetWriter(file, schema) as writer:
                for some in _batches(rows):
                    writer.write_table(pa.Table.from_pylist(some, schema))
        for path, part in parts.items():
            part.rename(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: a value does not fit its column ({error})") from None
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink()


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raise ConfigError if one of these files exists, before anything is written."""
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path}: already exists; move it away or choose another path")


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while some := [{name: _writable(value) for name, value in row.items()} for row in islice(left, ROWS)]:
        yield some


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    return [well_formed(each) for each in value] if isinstance(value, list) else value
