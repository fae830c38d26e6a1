"""The proxies that ours is compared with, each as its users run it for this purpose.

A peer has `ways`: for "raw" and "metered" the arguments that lead bench_load through it.
"""

import socket
import subprocess

import world as worlds


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Peer:
    """name, and where each kind of call goes; `start` leaves it ready."""
    share = 1  # of the usual number of calls: the slow have fewer

    def __init__(self, world):
        self.world = world
        self.folder = world.folder / self.name
        self.folder.mkdir(exist_ok=True)
        self.process = None

    def raw(self, door):  # door: a port of the provider
        raise NotImplementedError

    def metered(self):
        raise NotImplementedError

    def fresh(self):
        """As metered(), and behind it nothing is kept either: every connection of the client costs
        one to the provider, with its handshake."""
        return self.metered()

    def start(self):
        pass

    def _config(self, text, name="config"):
        path = self.folder / name
        path.write_text(text)
        return path


def via_connect(port, target):
    return ["--way", "connect", "--dial", port, "--target", target]


class Direct(Peer):
    name = "direct"

    def raw(self, door):
        return ["--way", "direct", "--dial", door]

    def metered(self):
        return ["--way", "direct", "--dial", self.world.tls]


class Hop(Peer):
    """The bare relay: the floor."""
    name = "bare relay"

    def start(self):
        self.process = self.world.spawn(self.world.bin / "bench_hop", stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def raw(self, door):
        return via_connect(self.port, f"127.0.0.1:{door}")

    def metered(self):
        """It meters nothing: what one hop costs, without TLS of its own."""
        return self.raw(self.world.tls)


class Ours(Peer):
    name = "halton-meter"

    def start(self):
        self.pair = self.world.pair()

    def raw(self, door):
        return via_connect(self.pair.edge_port, f"127.0.0.1:{door}")

    def metered(self):
        return via_connect(self.pair.edge_port, f"{worlds.NAME}:443")


class Haproxy(Peer):
    """Its raw side is a plain TCP forward (it knows no CONNECT): less work than a proxy's."""
    name = "haproxy"

    def start(self):
        pem = self.folder / "both.pem"
        pem.write_text(self.world.cert.read_text() + self.world.key.read_text())
        self.ports = {door: free_port() for door in (self.world.echo, self.world.bulk,
                                                     self.world.tls, "fresh")}
        text = ("global\n  nbthread 1\n  tune.ssl.default-dh-param 2048\n"
                "defaults\n  timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n")
        for door, port in self.ports.items():
            secure = door in (self.world.tls, "fresh")
            unkept = "\n  http-reuse never" if door == "fresh" else ""
            again = " pool-max-conn 0" if door == "fresh" else ""
            door = self.world.tls if door == "fresh" else door
            text += (f"frontend f{port}\n  mode {'http' if secure else 'tcp'}\n"
                     f"  bind 127.0.0.1:{port}"
                     + (f" ssl crt {pem} alpn http/1.1" if secure else "")
                     + f"\n  default_backend b{port}\n"
                     f"backend b{port}\n  mode {'http' if secure else 'tcp'}{unkept}\n"
                     f"  server s 127.0.0.1:{door}{again}"
                     + (f" ssl verify none sni str({worlds.NAME}) alpn http/1.1" if secure else "")
                     + "\n")
        self.process = self.world.spawn("haproxy", "-db", "-f", self._config(text))
        for port in self.ports.values():
            worlds.wait_port(port)

    def raw(self, door):
        return ["--way", "direct", "--dial", self.ports[door]]

    def metered(self):
        return self.raw(self.world.tls)

    def fresh(self):
        return self.raw("fresh")


class Nginx(Peer):
    """Terminates TLS and encrypts again, connections to the provider kept, nothing buffered."""
    name = "nginx"

    def start(self):
        self.port, self.fresh_port = free_port(), free_port()
        common = f"""
    ssl_certificate {self.world.cert}; ssl_certificate_key {self.world.key};
    ssl_session_cache off; ssl_session_tickets off;"""
        location = f"""
      proxy_http_version 1.1; proxy_set_header Host {worlds.NAME};"""
        text = f"""
daemon off; master_process off; worker_processes 1; pid {self.folder}/pid;
error_log {self.folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; proxy_buffering off; proxy_request_buffering off; tcp_nodelay on;
  client_body_temp_path {self.folder}/body; proxy_temp_path {self.folder}/proxy;
  fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  keepalive_requests 1000000;
  upstream provider {{ server 127.0.0.1:{self.world.tls}; keepalive 1024; }}
  server {{
    listen 127.0.0.1:{self.port} ssl; {common}
    location / {{ proxy_pass https://provider; proxy_set_header Connection ""; {location}
    }}
  }}
  server {{
    listen 127.0.0.1:{self.fresh_port} ssl; {common}
    location / {{ proxy_pass https://127.0.0.1:{self.world.tls}; {location}
    }}
  }}
}}
"""
        self.process = self.world.spawn("nginx", "-c", self._config(text))
        worlds.wait_port(self.port)

    def metered(self):
        return ["--way", "direct", "--dial", self.port]

    def fresh(self):
        return ["--way", "direct", "--dial", self.fresh_port]


class Squid(Peer):
    """CONNECT only: its ssl-bump insists on dialling what the request's Host resolves to."""
    name = "squid"

    def start(self):
        self.port = free_port()
        text = f"""
http_port 127.0.0.1:{self.port}
http_access allow all
cache deny all
access_log none
cache_log {self.folder}/cache.log
pid_filename {self.folder}/pid
coredump_dir {self.folder}
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname bench
cache_effective_user proxy
"""
        # Squid gives up root; its folder must be the user's that it becomes.
        subprocess.run(["chown", "-R", "proxy", self.folder], check=True)
        self.process = self.world.spawn("squid", "-N", "-f", self._config(text))
        worlds.wait_port(self.port)

    def raw(self, door):
        return via_connect(self.port, f"127.0.0.1:{door}")


class Tinyproxy(Peer):
    name = "tinyproxy"

    def start(self):
        self.port = free_port()
        text = (f"Port {self.port}\nListen 127.0.0.1\nTimeout 3600\nMaxClients 1000\n"
                f"LogLevel Critical\nAllow 127.0.0.1\n")
        self.process = self.world.spawn("tinyproxy", "-d", "-c", self._config(text))
        worlds.wait_port(self.port)

    def raw(self, door):
        return via_connect(self.port, f"127.0.0.1:{door}")


class Microsocks(Peer):
    name = "microsocks"

    def start(self):
        self.port = free_port()
        self.process = self.world.spawn("microsocks", "-i", "127.0.0.1", "-p", self.port)
        worlds.wait_port(self.port)

    def raw(self, door):
        return ["--way", "socks", "--dial", self.port, "--target", f"127.0.0.1:{door}"]


class Mitmdump(Peer):
    """The intercepting proxy that everybody knows; streams are handed on as they come."""
    name = "mitmdump"
    share = 0.2

    def start(self):
        self.port = free_port()
        self.process = self.world.spawn(
            "mitmdump", "-q", "--listen-host", "127.0.0.1", "-p", self.port,
            "--set", f"confdir={self.folder}", "--ssl-insecure",
            "--set", "stream_large_bodies=1", "--set", "flow_detail=0")
        worlds.wait_port(self.port, 60)

    def metered(self):
        return via_connect(self.port, f"127.0.0.1:{self.world.tls}")


RAW = (Direct, Hop, Ours, Haproxy, Squid, Tinyproxy, Microsocks)
METERED = (Direct, Hop, Ours, Nginx, Haproxy, Mitmdump)
