#include <unistd.h>

#include <array>
#include <filesystem>

#include "cli/checks/check.h"
#include "cli/client_env.h"
#include "cli/started_with.h"
#include "common/base/proc_sockets.h"

namespace hm::cli {
namespace {

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

std::string leaf_of(const std::string& word) {
  return std::filesystem::path(word).filename().string();
}

bool is_interpreter(const std::string& program) {
  return program == "node" || program == "nodejs" || program == "bun" || program == "deno" ||
         program.starts_with("python");
}

// What an interpreter was started for: its first word that is no flag, or the module of -m.
std::string script_of(const std::vector<std::string>& words) {
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "-m" && i + 1 < words.size()) return words[i + 1];
    if (!words[i].starts_with('-') && words[i] != "run") return leaf_of(words[i]);
  }
  return {};
}

const Tool* tool_of(const std::vector<std::string>& words) {
  if (words.empty()) return nullptr;
  std::string name = leaf_of(words[0]);
  if (is_interpreter(name)) name = script_of(words);
  for (const Tool& tool : kTools)
    if (name == tool.name || name == std::string(tool.name) + ".js") return &tool;
  return nullptr;
}

bool trusts_us(const Tool& tool, const Environment& environment, const Home& home) {
  for (const std::string name : tool.variables) {
    if (name.empty()) continue;
    const std::string_view value = look_up(environment, name);
    if (value == home.ca_cert().native() || value.ends_with("/python/certifi/cacert.pem"))
      return true;
  }
  return false;
}

Finding run(const Patient& patient) {
  std::string condemned;
  std::string unmetered;
  int seen = 0;
  for (const int64_t pid : processes_of(::getuid())) {
    const Tool* tool = tool_of(arguments_of(static_cast<pid_t>(pid)));
    if (tool == nullptr) continue;
    const auto environment = environment_of(static_cast<pid_t>(pid));
    if (!environment) continue;
    ++seen;
    const std::string name = std::string(tool->name) + " (PID " + std::to_string(pid) + ")";
    if (look_up(*environment, "NODE_TLS_REJECT_UNAUTHORIZED") == "0") condemned += " " + name;
    const std::string_view proxy = either(*environment, "https_proxy", "HTTPS_PROXY");
    const bool in_run = !look_up(*environment, "HALTON_METER_RUN_DIR").empty();
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
            "start it from a new terminal in mode apps, or with: halton-meter run -- TOOL"};
  }
  return seen == 0 ? skipped("no known LLM tool is running")
                   : fine(std::to_string(seen) + " running, all metered");
}

}  // namespace

std::string_view known_tool(const std::vector<std::string>& words) {
  const Tool* tool = tool_of(words);
  return tool == nullptr ? std::string_view() : tool->name;
}

const Check kToolsCheck = {"tools", "running LLM tools", run};

}  // namespace hm::cli
