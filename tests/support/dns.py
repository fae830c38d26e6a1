"""Name service, and a full disk, for tests: a library that stands before the system's functions in
the processes under test (fault_shim.c), steered through files that may be changed at any time."""

import contextlib
import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).with_name("fault_shim.c")


class Dns:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.rules, self.library = self.folder / "rules", self.folder / "fault_shim.so"
        if not self.library.exists():
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
                            "-o", self.library, SOURCE, "-ldl"], check=True)
        self._names = {}
        self._write()

    @property
    def environment(self):
        return {"LD_PRELOAD": str(self.library), "HM_TEST_DNS": str(self.rules),
                "HM_TEST_DISK_FULL": str(self.folder / "disk-full")}

    @contextlib.contextmanager
    def disk_full(self, below=""):
        """No regular file can be written; with a folder: none below that."""
        fresh = self.folder / "disk-full.new"
        fresh.write_text(str(below))
        fresh.rename(self.folder / "disk-full")
        try:
            yield
        finally:
            (self.folder / "disk-full").unlink()

    def set(self, name, action, family="*"):
        """action: 'addr ADDRESS...', 'none', 'again', 'hang'. Family '4' or '6' goes before '*'."""
        self._names[name, family] = action
        self._write()

    def _write(self):
        lines = [f"{name} {family} {action}\n"
                 for (name, family), action in sorted(self._names.items(), reverse=True)]
        fresh = self.rules.with_suffix(".new")
        fresh.write_text("".join(lines))
        fresh.rename(self.rules)
