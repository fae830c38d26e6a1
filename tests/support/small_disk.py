"""A disk that can be filled, for a home."""

import contextlib
import resource
import subprocess


class SmallDisk:
    """The home on a disk that can be filled: a small tmpfs, where mounting is permitted; else the
    process may not write to any file beyond what it has (RLIMIT_FSIZE), which fails its writes."""

    MIB = 40

    def __init__(self, home):
        self.home = home
        home.mkdir(parents=True, mode=0o700)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.MIB}m,mode=0700",
                                  "tmpfs", str(home)], capture_output=True, check=False)
        self.kind = "tmpfs" if mounted.returncode == 0 else "rlimit"

    def fill(self, process):
        if self.kind == "rlimit":
            return resource.prlimit(process.pid, resource.RLIMIT_FSIZE,
                                    (4096, resource.RLIM_INFINITY))
        with (self.home / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(b"x" * size)
        return None

    def free(self, process):
        if self.kind == "rlimit":
            return resource.prlimit(process.pid, resource.RLIMIT_FSIZE,
                                    (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return (self.home / "filler").unlink()

    def close(self):
        if self.kind == "tmpfs":
            subprocess.run(["umount", "-l", str(self.home)], check=False)
