#include "cli/checks/check.h"
#include "cli/client_env.h"
#include "cli/env_files.h"
#include "cli/init_command.h"
#include "cli/rc_block.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  const Environment& environment = patient.context.environment;
  if (look_up(environment, "NODE_TLS_REJECT_UNAUTHORIZED") == "0")
    return {Severity::inconsistent,
            "NODE_TLS_REJECT_UNAUTHORIZED=0 is set in this shell: Node programs started here check "
            "no certificate at all, of anybody",
            "unset NODE_TLS_REJECT_UNAUTHORIZED"};
  if (!look_up(environment, "HALTON_METER_RUN_DIR").empty()) return fine("inside halton-meter run");
  const std::string_view proxy = either(environment, "https_proxy", "HTTPS_PROXY");
  const uint16_t port = loopback_port(proxy);
  const uint16_t edge = patient.status.ports.edge;
  if (port != 0 && port == edge) {
    if (look_up(environment, "SSL_CERT_FILE") != patient.context.home.bundle().native())
      return {Severity::inconsistent,
              "this shell has our proxy, but SSL_CERT_FILE is not our bundle: Python and others "
              "refuse metered calls",
              "eval \"$(halton-meter env)\""};
    return fine("metered through port " + std::to_string(port));
  }
  const bool stale = !look_up(environment, "HALTON_METER_ENV_PORT").empty();
  if (stale)
    return {Severity::inconsistent,
            "this shell was opened when the edge had another port (" +
                printable(look_up(environment, "HALTON_METER_ENV_PORT")) + ")",
            "open a new terminal"};
  if (patient.mode != InstallMode::apps)
    return skipped("env-only: what halton-meter run starts is metered");
  if (leaves_shell_rc(patient.context.home))
    return skipped("start files are left alone, as wished; a shell is metered with: . " +
                   shell_quoted(patient.context.home.env_sh().string(), false));
  bool written = false;
  for (const RcFile& rc : rc_files(environment)) {
    const auto text = read_file(rc.path);
    written = written || (text && has_block(*text));
  }
  if (!written)
    return {Severity::note, "mode apps, and no shell's start file has our line",
            "halton-meter init --apps"};
  if (!proxy.empty())
    return {Severity::note,
            "this shell has a proxy that our upstream does not name, so it was left alone" +
                std::string(patient.settings.has_upstream_proxy
                                ? "; name it as [upstream] proxy in " +
                                      patient.context.home.config().string() +
                                      " and open a new terminal"
                                : "; with it as our upstream, new terminals are metered"),
            patient.settings.has_upstream_proxy ? "halton-meter reload && halton-meter init --apps"
                                                : "halton-meter init --apps"};
  return {Severity::inconsistent, "this shell is older than the installation: it is not metered",
          "open a new terminal"};
}

}  // namespace

const Check kShellCheck = {"shell", "this shell", run};

}  // namespace hm::cli
