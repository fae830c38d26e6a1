"""Where processes keep their ledgers: a folder in memory for each home, see
common/base/memory_folder.h. Tests clean it up behind processes that were killed."""

import os
import pathlib
import shutil


def folder(home):
    print_of = 14695981039346656037
    for byte in os.path.realpath(home).encode():
        print_of = (print_of ^ byte) * 1099511628211 % 2**64
    return pathlib.Path(f"/dev/shm/halton-meter-{os.geteuid()}/ledgers-{print_of:016x}")


def ledgers(home, kind):
    """kind: edge or daemon."""
    return sorted(folder(home).glob(f"{kind}-ledger.*"))


def forget(home):
    shutil.rmtree(folder(home), ignore_errors=True)
