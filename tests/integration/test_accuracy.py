"""docs/accuracy.md says what the golden cases really cover."""

import subprocess
import sys

import pair as pairs


def test_the_page_is_what_the_cases_say():
    checked = subprocess.run([sys.executable, pairs.ROOT / "scripts/accuracy.py", "--check"],
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
