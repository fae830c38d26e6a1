"""Symptoms of the troubleshooting page: certificates, bundle, modes of files."""

from pair import wait_for
from symptoms import (BODY, CURL, HOME, ROOT, URL, do, examine, finds, fixed, install_binaries,
                      is_well, meter, metered, shell_of, show, symptom)


def refused_and_mended(world, name, words):
    """A program with our proxy and without our CA: it fails once, is named, and works with `run`."""
    careless = {"HTTPS_PROXY": "http://127.0.0.1:8081", "https_proxy": "http://127.0.0.1:8081"}
    assert world.run(*words, environment=careless).returncode != 0
    wait_for("the finding", lambda: name in examine(world)[1]["distrust"]["finding"], 20)
    finds(world, "distrust", "inconsistent", "api.openai.com", "halton-meter run -- TOOL",
          "halton-meter reload")
    do(world, "reload")
    metered(world, words)
    is_well(world)


@symptom("curl refuses the certificate")
def curl_refuses(world):
    refused_and_mended(world, "curl", ["sh", "-c", CURL])


@symptom("Python refuses the certificate")
def python_refuses(world):
    code = (f"import urllib.request as r; r.urlopen(r.Request('{URL}', b'{BODY}', "
            "{'content-type': 'application/json'})).read()")
    refused_and_mended(world, "python3", ["python3", "-c", code])


NODE = f"""
const net = require('net'), tls = require('tls'), host = 'api.openai.com';
const fail = e => {{ console.error(e.message || e); process.exit(1); }};
const proxy = new URL(process.env.HTTPS_PROXY), sock = net.connect(proxy.port, proxy.hostname);
sock.write(`CONNECT ${{host}}:443 HTTP/1.1\\r\\nHost: ${{host}}:443\\r\\n\\r\\n`);
sock.once('data', () => {{
  const wire = tls.connect({{ socket: sock, servername: host }}, () => wire.write(
    `POST /v1/chat/completions HTTP/1.1\\r\\nHost: ${{host}}\\r\\nContent-Type: application/json` +
    '\\r\\nContent-Length: {len(BODY)}\\r\\nConnection: close\\r\\n\\r\\n{BODY}'));
  wire.on('error', fail);
  let answer = '';
  wire.on('data', piece => answer += piece);
  wire.on('end', () => process.exit(answer.startsWith('HTTP/1.1 200') ? 0 : 1));
}});
"""


@symptom("Node refuses the certificate")
def node_refuses(world):
    refused_and_mended(world, "node", ["node", "-e", NODE])


@symptom("A runtime does not read its CA variable")
def runtime_ignores_variable(world):
    world.write("~/bin/curl", "#!/bin/sh\nunset CURL_CA_BUNDLE SSL_CERT_FILE\n"
                "exec /usr/bin/curl \"$@\"\n", mode=0o755)
    finds(world, "runtimes", "inconsistent", f"{HOME}/bin/curl", "CURL_CA_BUNDLE")
    world.run("rm", "-r", f"{HOME}/bin", check=True)
    assert "curl, python3, node" in is_well(world)["runtimes"]["finding"]


@symptom("The bundle is damaged, or has lost our CA")
def bundle_damaged(world):
    bundle = f"{ROOT}/python/certifi/cacert.pem"
    world.run("sh", "-c", f"head -c 5000 {bundle} > x; mv x {bundle}", check=True)
    finds(world, "bundle", "broken", "halton-meter setup")
    do(world, "setup")
    do(world, "reload")
    metered(world)
    is_well(world)


@symptom("The CA is open to others, or gone")
def ca_open_or_gone(world):
    world.run("chmod", "644", f"{ROOT}/ca/ca-key.pem", check=True)
    finds(world, "ca", "broken", f"chmod 600 {ROOT}/ca/ca-key.pem")
    fixed(world)
    world.run("rm", f"{ROOT}/ca/ca-key.pem", check=True)
    finds(world, "ca", "broken", "halton-meter setup --force")
    fixed(world)


@symptom("The folder is open to others, or its mode is unclear")
def folder_open(world):
    world.run("chmod", "755", ROOT, check=True)
    finds(world, "home", "inconsistent", f"chmod 700 {ROOT}")
    told = meter(world, "doctor", "--fix")  # only says it
    assert told.returncode == 1 and "Would do" in told.stderr, told.stderr
    fixed(world)
    mode = world.files(f"{ROOT}/install-mode").read_text()
    world.write(f"{ROOT}/install-mode", "full\n", mode=0o600)
    finds(world, "home", "inconsistent", "halton-meter init")
    do(world, "init", *(["--apps"] if mode == "apps\n" else []))
    is_well(world, environment=shell_of(world))


@symptom("A browser shows a certificate error")
def browser_error(world):
    store = "/etc/ssl/certs/ca-certificates.crt"
    world.run("sh", "-c", f"cat {store} {ROOT}/ca/ca-cert.pem > /run/store; "
                          f"mount --bind /run/store {store}", root=True, check=True)
    finds(world, "system-store", "inconsistent", "browsers", "update-ca-certificates --fresh")
    world.run("umount", store, root=True, check=True)  # the copy is gone, and the store made anew
    do(world, "setup")
    is_well(world)


@symptom("Another tool has left its CA in a Python")
def foreign_marker(world):
    bundle = f"{HOME}/.local/lib/python3.11/site-packages/certifi/cacert.pem"
    world.write(bundle, "# mitmproxy CA\n-----BEGIN CERTIFICATE-----\n")
    finds(world, "python-bundles", "inconsistent", bundle, "--force-reinstall certifi")
    world.write(bundle, "-----BEGIN CERTIFICATE-----\n")  # as a fresh certifi is
    is_well(world)


def test_certificates(inside):
    """Symptoms of certificates and of the files around them, in one installation."""
    install_binaries(inside)
    do(inside, "init")
    show(inside, curl_refuses, python_refuses, node_refuses, runtime_ignores_variable,
         bundle_damaged, ca_open_or_gone, folder_open, browser_error, foreign_marker)
