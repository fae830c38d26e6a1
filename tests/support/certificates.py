"""A throw-away certificate authority, made with the `openssl` command line.

EC P-256 keys, because they are made in a millisecond. Used by the simulated provider, the
demonstration and the scripted origins of the tests; nothing of it is ever trusted by the system.
"""

import pathlib
import subprocess

PROVIDER_HOSTS = (
    "api.anthropic.com",
    "api.openai.com",
    "generativelanguage.googleapis.com",
    "cloudcode-pa.googleapis.com",
    "api.x.ai",
    "chatgpt.com",
)

_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def _openssl(*arguments):
    result = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]} failed:\n{result.stderr}")


class Authority:
    """A CA in a folder of its own. `cert` is the path of its certificate (PEM)."""

    def __init__(self, folder, name="Simulated provider root"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cert = self.folder / "ca.pem"
        self.key = self.folder / "ca.key"
        if not self.cert.exists():
            _openssl("req", "-x509", *_NEW_KEY, "-days", 30, "-subj", f"/CN={name}",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                     "-keyout", self.key, "-out", self.cert)

    def leaf(self, hosts, name="leaf", days=30):
        """(certificate chain, key) for these host names. Negative days: already expired."""
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        names = ",".join(f"DNS:{host}" for host in hosts)
        extensions.write_text(
            f"subjectAltName={names}\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        _openssl("req", "-new", *_NEW_KEY, "-subj", f"/CN={hosts[0]}", "-keyout", key,
                 "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key,
                 "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", cert)
        return cert, key

    def self_signed(self, hosts, name="self-signed"):
        """A certificate that no authority stands behind."""
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        names = ",".join(f"DNS:{host}" for host in hosts)
        _openssl("req", "-x509", *_NEW_KEY, "-days", 30, "-subj", f"/CN={hosts[0]}",
                 "-addext", f"subjectAltName={names}", "-keyout", key, "-out", cert)
        return cert, key
