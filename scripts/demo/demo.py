#!/usr/bin/env python3
"""The built-in demonstration: a simulated provider over real TLS, real clients, the real report.

demo.py --bin FOLDER. Needs no network and no key. Everything lives in a temporary home folder that
is removed at the end; the user's own database is not touched. Standard library only.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SUPPORT = HERE.parents[1] / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

import certificates  # noqa: E402
import simulated_provider  # noqa: E402

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens")


def environment(home):
    """Ours, without whatever proxy or CA is set here: the demonstration stays on this machine."""
    drop = ("proxy", "ca_bundle", "ssl_cert", "halton", "node_extra", "xdg_runtime")
    kept = {name: value for name, value in os.environ.items()
            if not any(word in name.lower() for word in drop)}
    return kept | {"HALTON_METER_HOME": str(home), "DEMO_SUPPORT": str(SUPPORT)}


def write_config(home, provider):
    lines = ["[upstream]", f'ca_file = "{provider.ca_file}"', "[upstream.connect_to]"]
    lines += [f'"{host}:443" = "{provider.address}"' for host in certificates.PROVIDER_HOSTS]
    (home / "config.toml").write_text("\n".join(lines) + "\n")


def compare(report, ledger):
    """Lines that set the report beside the provider's own ledger, and whether they agree."""
    totals = report["totals"]
    pairs = [("calls", totals["requests"], len(ledger))]
    pairs += [(name.replace("_", " "), totals[name], sum(line[name] for line in ledger))
              for name in TOKENS]
    lines = [f"  {'':<20}{'meter':>10}{'provider':>10}"]
    lines += [f"  {name:<20}{ours:>10,}{theirs:>10,}   {'equal' if ours == theirs else 'DIFFERS'}"
              for name, ours, theirs in pairs]
    return lines, all(ours == theirs for _, ours, theirs in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="folder of the three binaries")
    options = parser.parse_args()
    meter = pathlib.Path(options.bin).resolve() / "halton-meter"

    folder = pathlib.Path(tempfile.mkdtemp(prefix="halton-meter-demo-"))
    try:
        home = folder / "home"
        home.mkdir(mode=0o700)
        provider = simulated_provider.SimulatedProvider(folder / "provider", pace=0.01)
        write_config(home, provider)
        env = environment(home)
        print("A simulated provider answers for api.anthropic.com and api.openai.com on "
              f"{provider.address}, over TLS.", flush=True)
        print("$ halton-meter run --project demo -- scripts/demo/calls.sh", flush=True)
        ran = subprocess.run([meter, "run", "--project", "demo", "--", HERE / "calls.sh"], env=env)
        if ran.returncode != 0:
            print(f"The demonstration's calls failed ({ran.returncode}).", file=sys.stderr)
            for log in sorted(home.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text()[-3000:]}", file=sys.stderr)
            return 1
        print("\nEverything has ended; the report reads the database alone.\n"
              "$ halton-meter report", flush=True)
        subprocess.run([meter, "report"], env=env, check=True)
        told = subprocess.run([meter, "report", "--json"], env=env, check=True,
                              capture_output=True, text=True)
        lines, equal = compare(json.loads(told.stdout), provider.ledger())
        print("\nThe report beside the provider's own ledger:")
        print("\n".join(lines), flush=True)
        return 0 if equal else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
