// halton-meter-interceptor: terminates TLS for the metered hosts, relays the bytes, reads the
// meter.
#include <malloc.h>

#include <cstdio>

#include "common/setup/process.h"
#include "common/setup/worker.h"
#include "interceptor/app/app.h"

namespace {

constexpr const char* kUsage =
    "Usage: halton-meter-interceptor [options]\n"
    "\n"
    "The interceptor of Halton Meter: relays calls to LLM APIs and records what they used.\n"
    "Usually started by `halton-meter run` or by systemd.\n"
    "\n"
    "  --home DIR           state folder (default: $HALTON_METER_HOME or ~/.halton-meter)\n"
    "  --run-dir DIR        folder for the control socket and effective-ports.json of this pair\n"
    "  --internal-port N    port that the edge hands calls to (default: config.toml, 8090); 0 = "
    "any\n"
    "  --api-port N         port of the HTTP API (default: config.toml, 8765); 0 = any\n"
    "  --lifeline-fd N      finish the calls and exit when this descriptor has reached its end\n"
    "  --supervised         under systemd: work in a child process, so that a successor can start\n"
    "                       while this one still finishes its calls; ports are kept over restarts\n"
    "  --version, --help\n"
    "\n"
    "Example: halton-meter-interceptor --home /tmp/meter --internal-port 0 --api-port 0\n";

}  // namespace

int main(int argc, char** argv) {
  // The loop's thread has an arena of its own, the others share one; what is free goes back to the
  // system, also when large pieces have come and gone. Otherwise memory grows with the busiest
  // hour.
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  mallopt(M_TRIM_THRESHOLD, 128 * 1024);
  hm::setup::ProcessFlags flags;
  const std::string problem =
      hm::setup::parse_flags(argc, argv, {"--internal-port", "--api-port"}, flags);
  if (!problem.empty()) {
    std::fprintf(stderr, "halton-meter-interceptor: %s; see --help\n", problem.c_str());
    return 2;
  }
  if (flags.help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (flags.version) {
    std::puts("halton-meter-interceptor " HM_VERSION);
    return 0;
  }
  return hm::setup::run_worker(flags.supervised, [&flags](const hm::setup::Inheritance& given) {
    return hm::InterceptorApp(flags, HM_VERSION, given).run();
  });
}
