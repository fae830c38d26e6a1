#include "cli/pair_service.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <ranges>

#include "cli/control_client.h"
#include "cli/log_lines.h"
#include "cli/pair_state.h"
#include "cli/supervisor.h"
#include "cli/units.h"
#include "common/base/descriptor.h"

namespace hm::cli {
namespace {

constexpr useconds_t kLookEveryUs = 50'000;
constexpr int64_t kRestartLimitMs = 60'000;

pid_t running_supervisor(const RunPlace& place) {
  const auto file = supervisor_file(place);
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return 0;
  if (::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return 0;  // nobody holds it: left behind
  const auto text = read_file(file, 64);
  pid_t pid = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), pid);
  return pid;
}

}  // namespace

std::filesystem::path supervisor_file(const RunPlace& place) {
  return place.edge_socket.parent_path() / "supervisor.pid";
}

PairService::PairService(const Context& context) : context_(context), systemd_(context) {
  std::error_code ignored;
  units_installed_ = std::filesystem::exists(unit_file(context, kDaemonUnit), ignored) &&
                     std::filesystem::exists(unit_file(context, kEdgeUnit), ignored);
  supervisor_ = running_supervisor(context.place);
  if (supervisor_ != 0) {
    keeper_ = Keeper::supervisor;
  } else if (units_installed_ && systemd_.usable()) {
    keeper_ = Keeper::systemd;
  }
}

std::string PairService::systemctl(const std::vector<std::string>& words) const {
  const Finished told = systemd_.call(words, 90'000);
  if (told.fine()) return {};
  const std::string why = told.timed_out ? "it took more than 90 s" : trimmed(told.err);
  return "systemctl --user " + words[0] +
         " failed: " + (why.empty() ? "code " + std::to_string(told.code) : why);
}

std::string PairService::start() const {
  if (keeper_ == Keeper::supervisor) {
    ::kill(supervisor_, start_signal());
    return {};
  }
  // A unit in start-limit-hit would refuse.
  static_cast<void>(systemd_.call({"reset-failed", kEdgeUnit, kDaemonUnit}));
  if (std::string problem = systemctl({"start", kEdgeUnit}); !problem.empty()) return problem;
  return systemctl({"start", kDaemonUnit});
}

std::string PairService::stop_daemon() const {
  if (keeper_ == Keeper::supervisor) {
    ::kill(supervisor_, SIGUSR2);
    return {};
  }
  return systemctl({"stop", kDaemonUnit});
}

std::string PairService::restart() const {
  if (keeper_ == Keeper::supervisor) {
    const auto processes = [this] {
      std::array<int64_t, 2> pids{};
      for (size_t i = 0; i < pids.size(); ++i)
        if (const auto status = StatusAnswer::ask(i == 0 ? context_.place.edge_socket
                                                         : context_.place.daemon_socket))
          pids[i] = status->number("pid").value_or(0);
      return pids;
    };
    const auto before = processes();
    ::kill(supervisor_, SIGUSR1);
    const int64_t end_us = system_clock().steady_us() + kRestartLimitMs * 1000;
    while (system_clock().steady_us() < end_us) {
      const auto now = processes();
      if (now[0] != 0 && now[1] != 0 && now[0] != before[0] && now[1] != before[1]) return {};
      ::usleep(kLookEveryUs);
    }
    return "the new processes do not answer after " + std::to_string(kRestartLimitMs / 1000) + " s";
  }
  static_cast<void>(systemd_.call({"reset-failed", kEdgeUnit, kDaemonUnit}));
  // The edge first: it is the shorter one, and what it tunnels meanwhile it counts.
  if (std::string problem = systemctl({"restart", kEdgeUnit}); !problem.empty()) return problem;
  return systemctl({"restart", kDaemonUnit});
}

std::string PairService::wait_healthy(int64_t limit_ms) const {
  const int64_t end_us = system_clock().steady_us() + limit_ms * 1000;
  while (true) {
    std::string missing;
    const auto ports = bound_ports(context_.place);
    if (!ports || !answers_ping(context_.place.edge_socket, 500)) {
      missing = "the edge does not answer";
    } else if (!port_accepts(ports->edge, 500)) {
      missing = "the edge does not accept connections on port " + std::to_string(ports->edge);
    } else if (!answers_ping(context_.place.daemon_socket, 500)) {
      missing = "the interceptor does not answer";
    } else if (!gate_is_open(context_.place)) {
      missing = "the edge does not reach the interceptor";
    }
    if (missing.empty() || system_clock().steady_us() >= end_us) return missing;
    ::usleep(kLookEveryUs);
  }
}

bool PairService::wait_daemon_gone(int64_t limit_ms) const {
  const int64_t end_us = system_clock().steady_us() + limit_ms * 1000;
  while (true) {
    const auto status = StatusAnswer::ask(context_.place.daemon_socket);
    if (!status) return true;
    const auto port = static_cast<uint16_t>(status->number("internal_port").value_or(0));
    if (status->number("leaving") == 1 && (port == 0 || !port_accepts(port, 500))) return true;
    if (system_clock().steady_us() >= end_us) return false;
    ::usleep(kLookEveryUs);
  }
}

std::string last_complaint(const std::filesystem::path& log) {
  const auto lines = last_log_lines(log, 200);
  for (const std::string& line : lines | std::views::reverse) {
    const std::string level = log_field(line, "level");
    if (level != "error" && level != "warn") continue;
    std::string text = log_field(line, "event");
    for (const char* more : {"text", "error", "where"})
      if (const std::string value = log_field(line, more); !value.empty()) text += ": " + value;
    return text;
  }
  return {};
}

std::string its_log_ends_with(const std::filesystem::path& log) {
  const std::string complaint = last_complaint(log);
  return complaint.empty() ? std::string() : "; its log ends with " + complaint;
}

}  // namespace hm::cli
