// One check of `doctor`: a finding, how bad it is, and one next action that can be copied. Each
// file of this folder offers one; checks.cc lists them. Checks block, change nothing, and ask
// nobody beyond loopback.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/context.h"
#include "cli/installer.h"
#include "cli/settings.h"
#include "cli/status.h"
#include "cli/systemd.h"
#include "common/base/port_holder.h"
#include "interceptor/store/health.h"

namespace hm::cli {

enum class Severity : unsigned char {
  fine,
  skipped,       // nothing to look at here
  note,          // worth knowing; the verdict stays
  inconsistent,  // calls pass, and something is not as it should be
  broken,        // calls are not metered
};

// What `doctor --fix` can do about a finding, in the order in which it is done.
enum class Remedy : unsigned char { none, permissions, certificates, install, restart, ask_again };

struct Finding {
  Severity severity = Severity::fine;
  std::string text;
  std::string next;  // one command, or one sentence; empty when fine
  Remedy remedy = Remedy::none;
};

[[nodiscard]] inline Finding fine(std::string text) {
  return {Severity::fine, std::move(text), {}};
}
[[nodiscard]] inline Finding skipped(std::string text) {
  return {Severity::skipped, std::move(text), {}};
}

// What was found out once, for all checks.
struct Patient {
  const Context& context;
  const Systemd systemd{context};
  const StatusFacts status = gather_status(context);
  const Settings settings = load_settings(context);
  const std::optional<InstallMode> mode = installed_mode(context.home);
  const Result<store::DatabaseHealth> database =
      store::database_health(context.home.database(), context.clock->wall_us());
  // Installed as services; else a pair of `run` or of the supervisor is looked at as it is.
  bool has_units = false;
};

struct Check {
  std::string_view id;
  std::string_view title;
  Finding (*run)(const Patient&);
};

extern const Check kUserBusCheck;
extern const Check kLingerCheck;
extern const Check kUnitFilesCheck;
extern const Check kServicesCheck;
extern const Check kPortsCheck;
extern const Check kHomeCheck;
extern const Check kAuthorityCheck;
extern const Check kBundleCheck;
extern const Check kSystemStoreCheck;
extern const Check kShellCheck;
extern const Check kToolsCheck;
extern const Check kDistrustCheck;
extern const Check kSilentOriginsCheck;
extern const Check kRealCallCheck;
extern const Check kDatabaseCheck;
extern const Check kDiskCheck;
extern const Check kShareCheck;
extern const Check kVersionsCheck;
extern const Check kPythonBundlesCheck;
extern const Check kRuntimesCheck;
extern const Check kClockCheck;
extern const Check kRatesCheck;
extern const Check kBufferingCheck;
extern const Check kMemoryCheck;

// Resident bytes of both processes and what the machine has left; -1: not known. Pure.
[[nodiscard]] Finding judge_memory(int64_t edge, int64_t interceptor, int64_t available);

// The LLM tool that a process with this command line is; empty: none that we know. Pure.
[[nodiscard]] std::string_view known_tool(const std::vector<std::string>& words);

// Where effective-ports.json says something else than the processes that listen; empty: nowhere.
// Pure.
[[nodiscard]] std::string wrong_port(const StatusFacts& facts);

// Of a port of ours while its process is down: systemd keeps its socket till the next start.
[[nodiscard]] bool kept_for_us(const PortHolder& holder);

// What gives up the sockets of both processes, and starts them again. 0: there is no supervisor.
// Pure.
[[nodiscard]] std::string begin_anew(bool has_units, int64_t supervisor);

[[nodiscard]] std::span<const Check* const> all_checks();  // in the order of the report

}  // namespace hm::cli
