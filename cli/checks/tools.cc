#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "cli/checks/check.h"
#include "cli/client_env.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

namespace fs = std::filesystem;

// Programs that make LLM calls, by the name of their process or script, and where each of them
// takes additional CAs from: one of these variables has to be ours.
struct Tool {
  const char* name;
  std::array<const char*, 3> variables;
};
constexpr std::array kTools = {
    Tool{"claude", {"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", ""}},
    Tool{"codex", {"CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", ""}},
    Tool{"gemini", {"NODE_EXTRA_CA_CERTS", "", ""}},
    Tool{"aider", {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", ""}},
    Tool{"opencode", {"NODE_EXTRA_CA_CERTS", "", ""}},
    Tool{"goose", {"SSL_CERT_FILE", "", ""}},
    Tool{"cursor-agent", {"NODE_EXTRA_CA_CERTS", "", ""}},
};

std::string setting(const std::string& environment, const std::string& name) {
  const std::string key = std::string(1, '\0') + name + "=";
  const std::string text = std::string(1, '\0') + environment;
  const size_t at = text.find(key);
  if (at == std::string::npos) return {};
  const size_t from = at + key.size();
  return text.substr(from, text.find('\0', from) - from);
}

const Tool* tool_of(const fs::path& process) {
  const auto words = read_file(process / "cmdline", 64 * 1024);
  if (!words) return nullptr;
  size_t at = 0;
  for (int i = 0; i < 2 && at < words->size(); ++i) {  // the program, or an interpreter's script
    const size_t end = std::min(words->find('\0', at), words->size());
    const std::string name = fs::path(words->substr(at, end - at)).filename().string();
    for (const Tool& tool : kTools)
      if (name == tool.name || name == std::string(tool.name) + ".js") return &tool;
    at = end + 1;
  }
  return nullptr;
}

bool trusts_us(const Tool& tool, const std::string& environment, const Home& home) {
  for (const std::string name : tool.variables) {
    if (name.empty()) continue;
    const std::string value = setting(environment, name);
    if (value == home.ca_cert().native() || value.ends_with("/python/certifi/cacert.pem"))
      return true;
  }
  return false;
}

Finding run(const Patient& patient) {
  std::string condemned;
  std::string unmetered;
  int seen = 0;
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const std::string pid = at->path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    struct stat info{};
    if (::stat(at->path().c_str(), &info) != 0 || info.st_uid != ::getuid()) continue;
    const Tool* tool = tool_of(at->path());
    if (tool == nullptr) continue;
    const auto environment = read_file(at->path() / "environ", 4 * 1024 * 1024);
    if (!environment) continue;
    ++seen;
    const std::string name = std::string(tool->name) + " (PID " + pid + ")";
    if (setting(*environment, "NODE_TLS_REJECT_UNAUTHORIZED") == "0") condemned += " " + name;
    const std::string lower = setting(*environment, "https_proxy");
    const std::string proxy = lower.empty() ? setting(*environment, "HTTPS_PROXY") : lower;
    const bool in_run = !setting(*environment, "HALTON_METER_RUN_DIR").empty();
    if (!in_run && loopback_port(proxy) != patient.status.ports.edge)
      unmetered += " " + name + ": no proxy of ours;";
    else if (!trusts_us(*tool, *environment, patient.context.home))
      unmetered += " " + name + ": " + tool->variables[0] + ", which it reads, is not our CA;";
  }
  if (!condemned.empty())
    return {Severity::inconsistent,
            "NODE_TLS_REJECT_UNAUTHORIZED=0 switches every check of certificates off, for all "
            "connections of:" +
                condemned,
            "unset NODE_TLS_REJECT_UNAUTHORIZED, and start the tool again"};
  if (!unmetered.empty()) {
    unmetered.pop_back();
    return {Severity::note, "running and not metered:" + unmetered,
            "start it with halton-meter run -- TOOL, or from a new terminal (init --apps)"};
  }
  return seen == 0 ? skipped("no known LLM tool is running")
                   : fine(std::to_string(seen) + " running, all metered");
}

}  // namespace

const Check kToolsCheck = {"tools", "running LLM tools", run};

}  // namespace hm::cli
