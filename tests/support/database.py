"""Reads the meter's database the way a user would: read-only, while it is being written."""

import pathlib
import sqlite3

TOKEN_COLUMNS = ("input_tokens", "output_tokens", "thinking_tokens", "cache_read_tokens",
                 "cache_write_5m_tokens", "cache_write_1h_tokens")


class Database:
    def __init__(self, path):
        self.path = pathlib.Path(path)

    def query(self, sql, *arguments):
        """Rows as dictionaries; none while the file or the table does not exist yet."""
        if not self.path.exists():
            return []
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=5)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, arguments)]
        except sqlite3.OperationalError as error:
            if "no such table" in str(error) or "unable to open" in str(error):
                return []
            raise
        finally:
            connection.close()

    def requests(self):
        return self.query("SELECT requests.*, projects.* , requests.id AS id FROM requests "
                          "LEFT JOIN projects ON projects.id = requests.project_id "
                          "ORDER BY requested_at")

    def misses(self):
        return self.query("SELECT * FROM misses")

    def miss_reasons(self):
        return [miss["reason"] for miss in self.misses()]


def row_key(row):
    """What must be equal between a row of the meter and a line of the provider's ledger."""
    return (row["endpoint"], row["model"] or row.get("requested_model") or "",
            *(row[column] or 0 for column in TOKEN_COLUMNS))


def ledger_key(line):
    return (line["endpoint"], line["model"] or line.get("requested_model") or "",
            *(line[column] for column in TOKEN_COLUMNS))
