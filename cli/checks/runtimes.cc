// Real handshakes through the edge by the runtimes that tools are written in, each with the
// variables that `run` gives it. The name they call is the self-test's, which the interceptor
// answers itself.
#include <array>

#include "cli/checks/check.h"
#include "cli/child_process.h"
#include "cli/client_env.h"
#include "cli/self_test.h"
#include "cli/subprocess.h"
#include "cli/text.h"
#include "cli/trust_files.h"

namespace hm::cli {
namespace {

constexpr int64_t kLimitMs = 20'000;

// Their own socket and CONNECT: what is looked at is whether the runtime's TLS takes our CA from
// the environment. HM_REQUEST holds the request, HM_HOST the name.
constexpr const char* kPython = R"(
import os, socket, ssl, urllib.parse
host = os.environ['HM_HOST']
proxy = urllib.parse.urlsplit(os.environ['HTTPS_PROXY'])
sock = socket.create_connection((proxy.hostname, proxy.port), timeout=15)
sock.sendall(('CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n' % (host, host)).encode())
assert b' 200 ' in sock.recv(4096)
tls = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
tls.sendall(os.environ['HM_REQUEST'].encode())
assert b' 200 ' in tls.recv(4096)
)";

constexpr const char* kNode = R"(
const net = require('net'), tls = require('tls'), env = process.env, host = env.HM_HOST;
const fail = e => { console.error(e.code || e.message || e); process.exit(1); };
const proxy = new URL(env.HTTPS_PROXY);
const sock = net.connect(proxy.port, proxy.hostname);
sock.on('error', fail);
sock.write(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`);
sock.once('data', head => {
  if (!String(head).includes(' 200 ')) fail('the edge did not open a tunnel');
  const wire = tls.connect({ socket: sock, servername: host }, () => wire.write(env.HM_REQUEST));
  wire.on('error', fail);
  wire.once('data', answer => String(answer).includes(' 200 ') ? process.exit(0) : fail('no 200'));
  wire.on('end', () => fail('the connection ended'));
});
setTimeout(() => fail('no answer in time'), 15000);
)";

struct Runtime {
  const char* name;
  const char* variable;  // where it takes CAs from
  std::vector<std::string> words;
};

std::string last_line(const std::string& text) {
  const std::string all = trimmed(text);
  const size_t line = all.rfind('\n');
  return printable(line == std::string::npos ? all : all.substr(line + 1));
}

Finding run(const Patient& patient) {
  const Context& context = patient.context;
  const uint16_t edge = patient.status.ports.edge;
  std::error_code ignored;
  if (!patient.status.edge || !patient.status.daemon || edge == 0)
    return skipped("there is no pair to call through");
  if (!std::filesystem::exists(context.home.bundle(), ignored)) return skipped("no bundle");
  ClientPlaces places = home_places(context.home);
  places.edge_port = edge;
  Environment environment = with_variables(
      context.environment, client_variables(context.environment, places, {}, Reach::one_command));
  const SelfTestRequest request = self_test_request();
  environment["HM_HOST"] = request.host;
  environment["HM_REQUEST"] = request.text;
  // curl -q, python3 -S: nothing of start files and site packages, only the runtime is looked at.
  environment["PYTHONDONTWRITEBYTECODE"] = "1";
  const std::array runtimes = {
      Runtime{"curl",
              "CURL_CA_BUNDLE",
              {"curl", "-q", "-sS", "--fail", "-m", "15", "-o", "/dev/null", "-H",
               "content-type: application/json", "-H", request.header, "-d", request.body,
               "https://" + request.host + request.path}},
      Runtime{"python3", "SSL_CERT_FILE", {"python3", "-S", "-c", kPython}},
      Runtime{"node", "NODE_EXTRA_CA_CERTS", {"node", "-e", kNode}},
  };
  std::string well;
  for (const Runtime& runtime : runtimes) {
    const auto program = find_program(runtime.name, look_up(environment, "PATH"));
    if (!program) continue;
    const Finished told = run_captured(runtime.words, environment, kLimitMs);
    if (told.fine()) {
      well += (well.empty() ? "" : ", ") + std::string(runtime.name);
      continue;
    }
    const std::string why = told.timed_out ? "no answer within 20 s" : last_line(told.err);
    return {Severity::inconsistent,
            "a metered call by " + printable(program->string()) + " fails: " + why +
                ". If it goes on failing after setup, that build of " + std::string(runtime.name) +
                " does not read " + runtime.variable + ": use another one",
            "halton-meter setup", Remedy::certificates};
  }
  return well.empty() ? skipped("neither curl nor python3 nor node is installed")
                      : fine("a metered call each: " + well);
}

}  // namespace

const Check kRuntimesCheck = {"runtimes", "calls by runtimes", run};

}  // namespace hm::cli
