#!/usr/bin/env python3
"""Starts a pair in a temporary home, times it and reads its memory: measure.py --bin FOLDER.

Start time: from the start of the process to the first answer on its control socket.
"""

import argparse
import os
import pathlib
import shutil
import sys
import tempfile


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="folder of the three binaries")
    os.environ["HM_BIN_DIR"] = parser.parse_args().bin
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "support"))
    import pair as pairs

    folder = pathlib.Path(tempfile.mkdtemp(prefix="halton-meter-measure-"))
    pair = pairs.Pair(folder)
    try:
        # The second start is the usual one: the first makes the CA and the database.
        for _ in range(2):
            pair.start()
            sizes = {"edge": pair.resident_kib(pair.edge),
                     "daemon": pair.resident_kib(pair.interceptor)}
            pair.stop()
        for name, label in (("edge", "edge"), ("daemon", "interceptor")):
            print(f"  {label:<12} ready after {pair.start_ms[name]:5.0f} ms, "
                  f"{sizes[name] / 1024:6.1f} MiB resident")
    finally:
        pair.kill_all()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
