#include "cli/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "cli/client_env.h"
#include "cli/pair_service.h"
#include "cli/settings.h"
#include "cli/supervised.h"
#include "cli/trust_files.h"
#include "cli/units.h"
#include "common/base/log.h"

namespace hm::cli {
namespace {

// Held as long as we live; says who we are.
Descriptor take_pid_file(const RunPlace& place) {
  const auto path = supervisor_file(place);
  if (!ensure_dir(path.parent_path())) return {};
  Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid() || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return {};
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return {};
  return fd;
}

Descriptor take_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, start_signal(), SIGCHLD})
    sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return Descriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

// The processes lose the proxy variables (they would call themselves); a proxy and roots that were
// set before us become their upstream's.
Environment with_earlier_way(const Context& context) {
  Environment environment = context.environment;
  const Settings settings = load_settings(context);
  const EarlierProxy proxy = earlier_proxy(context.environment, settings.known_edge_ports);
  if (!settings.has_upstream_proxy && proxy.supported && !proxy.url.empty())
    environment.try_emplace("HALTON_METER_UPSTREAM_PROXY", proxy.url);
  if (settings.upstream_roots.empty()) {
    const auto roots = readable_earlier_roots(context.environment, {home_places(context.home)});
    if (!roots.empty()) environment.try_emplace("HALTON_METER_UPSTREAM_CA_FILE", roots.front());
  }
  return environment;
}

}  // namespace

// One loop over everything that may arrive.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
int Supervisor::run() {
  const Descriptor signals = take_signals();
  const Descriptor pid_file = take_pid_file(context_.place);
  const auto folder = context_.place.edge_socket.parent_path();
  if (!pid_file.valid()) {
    *context_.err << "halton-meter start: " << supervisor_file(context_.place).string()
                  << " cannot be taken (" << std::strerror(errno)
                  << ").\nWhat to do: make the folder writable for you\n";
    return kEnvironment;
  }
  // Workers outlive their parents, and are ours then: as the first process of a container we end
  // when the last of them has finished its calls.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);

  Supervised edge("edge", context_.program_folder / "halton-meter-edge",
                  limits_of_unit(edge_unit_template()), folder / "edge.notify");
  Supervised daemon("interceptor", context_.program_folder / "halton-meter-interceptor",
                    limits_of_unit(daemon_unit_template()), folder / "daemon.notify");
  for (Supervised* one : {&edge, &daemon}) {
    if (one->listen()) continue;
    *context_.err
        << "halton-meter start: no socket can be made in " << folder.string() << " ("
        << std::strerror(errno)
        << ").\nWhat to do: make the folder writable for you, or choose a shorter one with "
           "HALTON_METER_HOME\n";
    return kEnvironment;
  }
  log::start({.file = context_.home.root() / "supervisor.err.log", .to_stderr = false});
  log::info("supervisor.start").with("version", context_.version).with("pid", ::getpid());
  *context_.err << "halton-meter: supervising both processes; Ctrl-C ends them.\n" << std::flush;

  const Environment environment = with_earlier_way(context_);
  edge.want(true);
  daemon.want(true);
  bool ending = false;
  while (true) {
    const int64_t now_us = system_clock().steady_us();
    edge.step(now_us, environment);
    daemon.step(now_us, environment);
    if (ending && daemon.gone()) edge.want(false);
    if (ending && daemon.gone() && edge.gone()) break;

    const int64_t next_us = std::min(edge.next_step_us(), daemon.next_step_us());
    const int64_t wait_ms = std::clamp<int64_t>((next_us - now_us + 999) / 1000, 0, 60'000);
    std::vector<pollfd> sources{pollfd{signals.get(), POLLIN, 0},
                                pollfd{edge.notify_fd(), POLLIN, 0},
                                pollfd{daemon.notify_fd(), POLLIN, 0}};
    edge.watch_store(sources);
    daemon.watch_store(sources);
    ::poll(sources.data(), sources.size(), static_cast<int>(wait_ms));
    if (sources[1].revents != 0) edge.read_words();
    if (sources[2].revents != 0) daemon.read_words();
    edge.drop_hung_up();
    daemon.drop_hung_up();

    signalfd_siginfo info{};
    while (::read(signals.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == static_cast<uint32_t>(start_signal()) && !ending) {
        edge.want(true);
        daemon.want(true);
      }
      switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
          if (ending) {  // asked twice: no call is waited for
            edge.want(false);
            edge.hurry();
            daemon.hurry();
          }
          ending = true;
          daemon.want(false);
          break;
        case SIGHUP:  // programs elsewhere still carry the edge's address
          log::info("supervisor.terminal_closed").with("text", "goes on; halton-meter stop");
          break;
        case SIGUSR1:
          if (ending) break;
          edge.restart();
          daemon.restart();
          break;
        case SIGUSR2:
          daemon.want(false);
          break;
        default:
          break;
      }
    }
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      const int64_t ended_us = system_clock().steady_us();
      if (!edge.on_exit(pid, status, ended_us)) daemon.on_exit(pid, status, ended_us);
    }
  }
  log::info("supervisor.exit");
  log::stop();
  ::unlink(supervisor_file(context_.place).c_str());
  return kFine;
}

}  // namespace hm::cli
