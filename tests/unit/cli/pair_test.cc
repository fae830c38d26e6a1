// `run` with a pair of stand-ins that speak the control protocol: the environment of the command,
// the flags and the lifeline of the pair, and its end.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "common/base/fs.h"
#include "tests/unit/cli/cli_fixture.h"

namespace {

// One script for both parts: opens a port, writes its part of the ports file, answers on its
// control socket and ends with its lifeline.
constexpr const char* kStandIn = R"py(#!/usr/bin/env python3
import fcntl, json, os, pathlib, select, socket, sys
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
edge = sys.argv[0].endswith("edge")
folder = pathlib.Path(flags["--run-dir"])
here = pathlib.Path(sys.argv[0]).parent
port = socket.create_server(("127.0.0.1", 0))
number = port.getsockname()[1]
ports = folder / "effective-ports.json"
with open(folder / "ports.lock", "w") as lock:  # both start at the same time
    fcntl.flock(lock, fcntl.LOCK_EX)
    content = json.loads(ports.read_text()) if ports.exists() else {}
    content.update({"edge_port": number} if edge else {"internal_port": number, "api_port": number})
    (folder / "new.json").write_text(json.dumps(content))
    (folder / "new.json").rename(ports)
control = socket.socket(socket.AF_UNIX)
control.bind(str(folder / ("edge.sock" if edge else "daemon.sock")))
control.listen(8)
told = {name: os.environ.get(name) for name in
        ("HALTON_METER_UPSTREAM_PROXY", "HALTON_METER_UPSTREAM_CA_FILE", "HTTPS_PROXY",
         "HALTON_METER_RUN")}
told["flags"] = flags
(here / ("edge.json" if edge else "interceptor.json")).write_text(json.dumps(told))
lifeline = int(flags["--lifeline-fd"])
while True:
    for ready in select.select([lifeline, control, port], [], [])[0]:
        if ready is lifeline:
            (here / ("edge.ended" if edge else "interceptor.ended")).write_text("yes\n")
            sys.exit(0)
        peer, _ = ready.accept()
        if ready is control:
            peer.recv(4096)
            peer.sendall(b"protocol=1\ngate=open\nstore.queue=0\nsessions=0\n")
        peer.close()
)py";

struct WithPair : CliFixture {
  WithPair() {
    std::filesystem::create_directories(context.program_folder);
    for (const char* name : {"halton-meter-edge", "halton-meter-interceptor"}) {
      std::ofstream(context.program_folder / name) << kStandIn;
      ::chmod((context.program_folder / name).c_str(), 0755);
    }
  }
  std::string file(const std::string& name) {
    const auto path = context.program_folder / name;
    for (int i = 0; i < 500 && !std::filesystem::exists(path); ++i) ::usleep(10'000);
    return hm::read_file(path).value_or("");
  }
  // Runs a shell line; what it wrote to $OUT.
  std::string output_of(const std::string& line, const std::vector<std::string>& flags = {}) {
    const auto path = folder / "out";
    std::filesystem::remove(path);
    context.environment["OUT"] = path.string();
    std::vector<std::string> words{"run"};
    words.insert(words.end(), flags.begin(), flags.end());
    words.insert(words.end(), {"--", "sh", "-c", "{ " + line + "; } > \"$OUT\""});
    code = run(words);
    INFO(err.str());
    return hm::read_file(path).value_or("");
  }
  int code = -1;
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE_METHOD(WithPair, "run starts a pair, points the command at it and takes it down") {
  const std::string env = output_of("env; exit 7", {"--project", "Shop"});
  CHECK(code == 7);
  CHECK(err.str().empty());
  CHECK(holds(env, "HTTPS_PROXY=http://127.0.0.1:"));
  CHECK(holds(env, "HALTON_PROJECT=shop\n"));
  CHECK(holds(env, "HALTON_METER_RUN="));
  CHECK(holds(env, "SSL_CERT_FILE=" + context.home.bundle().string() + "\n"));
  CHECK(holds(env, "NODE_EXTRA_CA_CERTS=" + context.home.ca_cert().string() + "\n"));
  CHECK(std::filesystem::exists(context.home.bundle()));
  CHECK(std::filesystem::exists(context.home.ca_cert()));
  CHECK(file("edge.ended") == "yes\n");
  CHECK(file("interceptor.ended") == "yes\n");
  CHECK(holds(file("edge.json"), "\"--edge-port\": \"0\""));
  CHECK(holds(file("interceptor.json"), "\"--internal-port\": \"0\""));
  CHECK(holds(file("interceptor.json"), "\"--home\": \"" + context.home.root().string() + "\""));
  CHECK(std::filesystem::is_empty(context.place.edge_socket.parent_path()));
}

TEST_CASE_METHOD(WithPair, "a summary is one line on stderr, and only when wanted") {
  output_of("true", {"--summary"});
  CHECK(err.str() == "halton-meter: 0 calls\n");
  context.err_is_terminal = true;
  output_of("true");
  CHECK(err.str() == "halton-meter: 0 calls\n");
  output_of("true", {"--quiet"});
  CHECK(err.str().empty());
}

TEST_CASE_METHOD(WithPair, "the user's own proxy and roots become the pair's upstream") {
  const auto roots = folder / "corp.pem";
  std::filesystem::copy_file("/etc/ssl/certs/ca-certificates.crt", roots);
  context.environment["HTTPS_PROXY"] = "http://corp.example:3128";
  context.environment["SSL_CERT_FILE"] = roots.string();
  const std::string seen =
      output_of("echo \"$SSL_CERT_FILE\"; test -s \"$SSL_CERT_FILE\" && echo ok");
  CHECK(code == 0);
  // A bundle beside the pair: the home's own is not changed for one command.
  CHECK_FALSE(holds(seen, context.home.bundle().string()));
  CHECK(holds(seen, "/certifi/cacert.pem\nok\n"));
  CHECK(holds(file("interceptor.json"),
              "\"HALTON_METER_UPSTREAM_PROXY\": \"http://corp.example:3128\""));
  CHECK(holds(file("interceptor.json"),
              "\"HALTON_METER_UPSTREAM_CA_FILE\": \"" + roots.string() + "\""));
  CHECK(holds(file("interceptor.json"), "\"HTTPS_PROXY\": null"));
}

TEST_CASE_METHOD(WithPair, "a proxy that cannot be an upstream is not lost") {
  context.environment["HTTPS_PROXY"] = "socks5://corp.example:1080";
  CHECK(output_of("echo \"$HTTPS_PROXY\"") == "socks5://corp.example:1080\n");
  CHECK(holds(err.str(), "not metered"));
}

TEST_CASE_METHOD(WithPair, "a process that the command left behind keeps the pair") {
  const auto stop = (folder / "stop").string();
  output_of("(while ! test -e " + stop +
            "; do sleep 0.05; done) </dev/null >/dev/null 2>&1 & true");
  CHECK(code == 0);
  CHECK_FALSE(std::filesystem::exists(context.program_folder / "edge.ended"));
  std::ofstream(stop) << "now\n";
  CHECK(file("edge.ended") == "yes\n");
  CHECK(file("interceptor.ended") == "yes\n");
}
