"""Writes the Parquet files that packages/train reads in its tests, with Apache Arrow: every codec, several row groups,
conversations, and what is not as expected. Usage: python parquet_files.py FOLDER"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)


def write(name, columns, **options):
    pq.write_table(pa.table(columns), folder / f"{name}.parquet", **options)


def text(i):
    return f"Row {i} says: ÄÖÜ 😀 " + "and so on " * (i % 7)


for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
    write(codec, {"id": range(10), "text": [text(i) for i in range(10)]}, compression=codec)

# Row groups of 8; a null and an empty text among the rows.
rows = [None if i == 3 else "" if i == 11 else text(i) for i in range(20)]
write("groups", {"text": rows, "id": range(20)}, row_group_size=8, data_page_version="2.0")

conversations = [
    [{"role": "user", "content": f"What is {i} + {i}?"}, {"role": "assistant", "content": str(i + i)}] for i in range(5)
]
conversations.append([{"role": "wizard", "content": "?"}])
write("messages", {"messages": conversations})

write("empty", {"text": pa.array([], pa.string())})
write("other_column", {"body": ["one", "two"], "id": [1, 2]})
write("numbers", {"text": [1, 2, 3]})
write("bad_utf8", {"text": pa.array([b"good", b"bad \xff\xfe", b"good again"], pa.binary())})
