// halton-meter-edge: the port that every tool's HTTPS_PROXY names. Minimal, always up, fails open.
#include <cstdio>

#include "common/setup/process.h"
#include "common/setup/worker.h"
#include "edge/edge_app.h"

namespace {

constexpr const char* kUsage =
    "Usage: halton-meter-edge [options]\n"
    "\n"
    "The edge of Halton Meter: a local proxy that hands LLM calls to the interceptor and tunnels\n"
    "everything else, and those too when the interceptor is not well.\n"
    "\n"
    "  --home DIR         state folder (default: $HALTON_METER_HOME or ~/.halton-meter)\n"
    "  --run-dir DIR      folder for the control socket and effective-ports.json of this pair\n"
    "  --edge-port N      port to listen on (default: config.toml, 8081); 0 = any free one\n"
    "  --lifeline-fd N    exit when this descriptor has reached its end and no tunnel is open\n"
    "  --supervised       under systemd: work in a child process, so that a successor can start\n"
    "                     while this one finishes its calls; the port is kept over restarts\n"
    "  --version, --help\n"
    "\n"
    "Example: halton-meter-edge --home /tmp/meter --edge-port 0\n";

}  // namespace

int main(int argc, char** argv) {
  hm::setup::ProcessFlags flags;
  const std::string problem = hm::setup::parse_flags(argc, argv, {"--edge-port"}, flags);
  if (!problem.empty()) {
    std::fprintf(stderr, "halton-meter-edge: %s; see --help\n", problem.c_str());
    return 2;
  }
  if (flags.help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (flags.version) {
    std::puts("halton-meter-edge " HM_VERSION);
    return 0;
  }
  return hm::setup::run_worker(flags.supervised, [&flags](const hm::setup::Inheritance& given) {
    return hm::edge::EdgeApp(flags, HM_VERSION, given).run();
  });
}
