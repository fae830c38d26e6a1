#include "cli/own_pair.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "cli/control_client.h"
#include "cli/pair_state.h"

namespace hm::cli {
namespace {

constexpr std::string_view kFolderPrefix = "run-";
constexpr int64_t kStepMs = 2;

// Folders that a killed `run` left behind: nobody answers in them any more.
void sweep(const std::filesystem::path& base) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(base, error)) {
    if (!entry.path().filename().native().starts_with(kFolderPrefix)) continue;
    struct stat info{};
    if (::lstat(entry.path().c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) continue;
    if (info.st_uid != ::getuid()) continue;
    const int64_t age_s = system_clock().wall_us() / 1'000'000 - info.st_mtim.tv_sec;
    if (age_s < 60) continue;  // it may be starting
    const RunPlace place = RunPlace::in_folder(entry.path());
    if (answers_ping(place.daemon_socket, 100) || answers_ping(place.edge_socket, 100)) continue;
    std::filesystem::remove_all(entry.path(), error);
  }
}

std::expected<std::filesystem::path, std::string> make_folder(const Context& context) {
  const std::filesystem::path base = context.place.edge_socket.parent_path();
  std::string pattern = (base / (std::string(kFolderPrefix) + "XXXXXX")).string();
  if (fits_socket_path(RunPlace::in_folder(pattern).daemon_socket)) {
    if (auto made = ensure_dir(base); !made)
      return std::unexpected("the folder " + base.string() + " cannot be made (" +
                             describe(made.error()) + ")");
    sweep(base);
  } else {
    pattern = "/tmp/halton-meter-XXXXXX";
  }
  if (::mkdtemp(pattern.data()) == nullptr)
    return std::unexpected("no folder can be made in " + base.string() + " (" +
                           std::strerror(errno) + ")");
  return pattern;
}

// High, so that a script's own `exec 3>file` does not close it.
Descriptor moved_up(Descriptor low) {
  for (const int from : {200, 10}) {
    const int high = ::fcntl(low.get(), F_DUPFD_CLOEXEC, from);
    if (high >= 0) return Descriptor(high);
  }
  return low;
}

Environment pair_environment(const Context& context, const PairWishes& wishes) {
  Environment environment = context.environment;
  // Whatever these say was meant for clients.
  for (const char* name :
       {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "HALTON_PROJECT", "HALTON_METER_RUN",
        "HALTON_METER_RUN_DIR", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
        "WATCHDOG_USEC", "WATCHDOG_PID"})
    environment.erase(name);
  if (!wishes.upstream_proxy.empty())
    environment["HALTON_METER_UPSTREAM_PROXY"] = wishes.upstream_proxy;
  if (!wishes.upstream_roots.empty())
    environment["HALTON_METER_UPSTREAM_CA_FILE"] = wishes.upstream_roots;
  return environment;
}

}  // namespace

// Both starts, and what is undone when one of them fails, in their order.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
std::expected<OwnPair, std::string> OwnPair::start(const Context& context, const PairWishes& wishes,
                                                   SignalLine& signals, int& interrupted) {
  interrupted = 0;
  const auto interceptor = context.program_folder / "halton-meter-interceptor";
  const auto edge = context.program_folder / "halton-meter-edge";
  for (const auto& program : {interceptor, edge}) {
    if (::access(program.c_str(), X_OK) != 0)
      return std::unexpected(program.string() + " cannot be executed (" + std::strerror(errno) +
                             ")");
  }

  OwnPair pair;
  auto folder = make_folder(context);
  if (!folder) return std::unexpected(folder.error());
  pair.folder_ = *folder;
  const RunPlace place = RunPlace::in_folder(pair.folder_);

  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    pair.finish(0);
    return std::unexpected(std::string("no pipe can be made (") + std::strerror(errno) + ")");
  }
  const Descriptor reading = moved_up(Descriptor(ends[0]));
  pair.lifeline_ = moved_up(Descriptor(ends[1]));

  const int64_t end_us = system_clock().steady_us() + wishes.ready_limit_ms * 1000;
  const auto launch = [&](const std::filesystem::path& program,
                          std::vector<std::string> ports) -> Result<pid_t> {
    ProcessPlan plan;
    plan.program = program;
    plan.words = {program.string(),      "--home",        context.home.root().string(), "--run-dir",
                  pair.folder_.string(), "--lifeline-fd", std::to_string(reading.get())};
    plan.words.insert(plan.words.end(), ports.begin(), ports.end());
    plan.environment = pair_environment(context, wishes);
    plan.inherit = {reading.get()};
    plan.background = true;
    return start_process(plan, signals);
  };
  // True when `ready` came true; false: gone, late or interrupted, and `why` says so.
  std::string why;
  const auto wait_until = [&](const char* name, pid_t process, const auto& ready) {
    while (true) {
      if (ready()) return true;
      if (const auto code = has_ended(process)) {
        why = std::string(name) + " stopped at once with code " + std::to_string(*code);
        return false;
      }
      if (system_clock().steady_us() >= end_us) {
        why = std::string(name) + " was not ready within " + std::to_string(wishes.ready_limit_ms) +
              " ms";
        return false;
      }
      if (const auto arrival = signals.next(kStepMs); arrival && arrival->number != SIGCHLD) {
        interrupted = arrival->number;
        why = "interrupted";
        return false;
      }
    }
  };
  const auto given_up = [&]() {
    pair.finish(200);
    // No command holds the lifeline: what does not end by it is ill, and ours to end.
    for (const int signal : {SIGTERM, SIGKILL}) {
      for (const pid_t ill : {pair.edge_, pair.interceptor_})
        if (ill != 0) ::kill(ill, signal);
      pair.finish(300);
    }
    return std::unexpected(why);
  };

  auto process = launch(interceptor, {"--internal-port", "0", "--api-port", "0"});
  if (!process) {
    why = "the interceptor cannot be started (" + describe(process.error()) + ")";
    return given_up();
  }
  pair.interceptor_ = *process;
  const auto interceptor_ready = [&] {
    const auto ports = bound_ports(place);
    return ports && ports->internal != 0 && answers_ping(place.daemon_socket, 200);
  };

  // At the same time: it hears of the interceptor when that accepts.
  process = launch(edge, {"--edge-port", "0"});
  if (!process) {
    why = "the edge cannot be started (" + describe(process.error()) + ")";
    return given_up();
  }
  pair.edge_ = *process;
  if (!wait_until("the interceptor", pair.interceptor_, interceptor_ready)) return given_up();
  const auto edge_ready = [&] {
    const auto ports = bound_ports(place);
    if (!ports || ports->edge == 0) return false;
    pair.edge_port_ = ports->edge;
    return gate_is_open(place) && port_accepts(ports->edge, 200);
  };
  if (!wait_until("the edge", pair.edge_, edge_ready)) return given_up();
  return pair;
}

bool OwnPair::both_ended() {
  for (pid_t* process : {&edge_, &interceptor_}) {
    if (*process != 0 && has_ended(*process)) *process = 0;
  }
  return edge_ == 0 && interceptor_ == 0;
}

bool OwnPair::finish(int64_t limit_ms) {
  if (folder_.empty()) return true;
  lifeline_.reset();
  const int64_t end_us = system_clock().steady_us() + limit_ms * 1000;
  while (!both_ended() && system_clock().steady_us() < end_us) ::usleep(1000);
  if (!both_ended()) return false;
  std::error_code error;
  std::filesystem::remove_all(folder_, error);
  folder_.clear();
  return true;
}

}  // namespace hm::cli
