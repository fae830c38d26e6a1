#include <unistd.h>

#include "cli/checks/check.h"
#include "cli/pair_service.h"
#include "cli/text.h"
#include "common/config/last_good.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  if (const std::string wrong = wrong_port(patient.status); !wrong.empty())
    return {Severity::broken, wrong, "halton-meter restart", Remedy::restart};
  const config::Config config = config::load_in_force(patient.context.home.config()).config;
  const BoundPorts& bound = patient.status.ports;
  struct Door {
    const char* name;
    uint16_t bound;
    int64_t wanted;
    bool accepts;
    const char* key;
  };
  std::string text;
  std::string note;
  for (const Door& door :
       {Door{"edge", bound.edge, config.daemon.edge_port, patient.status.edge_accepts, "edge_port"},
        Door{"intercept", bound.internal, config.daemon.internal_port,
             patient.status.internal_accepts, "internal_port"},
        Door{"api", bound.api, config.daemon.api_port, patient.status.api_accepts, "api_port"}}) {
    const uint16_t port = door.bound != 0 ? door.bound : static_cast<uint16_t>(door.wanted);
    const auto holder = port_holder(port);
    const bool ours = holder && holder->name.starts_with("halton-meter");
    const std::string address = std::string(door.name) + " port " + std::to_string(port);
    if (holder && patient.has_units && door.bound != 0 && kept_for_us(*holder))
      return {Severity::broken,
              "nobody takes calls on the " + address + "; systemd keeps it for us",
              "halton-meter start", Remedy::install};
    if (holder && !ours)
      return {Severity::broken,
              address + " is held by " + printable(describe(*holder)) +
                  "; a restart takes the next free one ([daemon] " + std::string(door.key) +
                  " in config.toml pins another)",
              "halton-meter restart", Remedy::install};
    if (!holder || !door.accepts)
      return {Severity::broken, "nobody listens on the " + address, "halton-meter start",
              Remedy::install};
    text += (text.empty() ? "" : ", ") + std::string(door.name) + " " + std::to_string(port);
    if (door.bound == door.wanted) continue;
    const auto other = port_holder(static_cast<uint16_t>(door.wanted));
    note += "; " + std::to_string(door.wanted) + " is " +
            (other ? "held by " + printable(describe(*other)) : "free again");
  }
  if (note.empty()) return fine(text);
  // A restart keeps the socket, so that nobody who carries its address is cut off.
  return {Severity::note,
          text + note +
              ". Nothing has to be done; this has the usual port again, when it is free, and cuts "
              "off programs that carry the one of now",
          begin_anew(patient.has_units, PairService(patient.context).supervisor())};
}

}  // namespace

bool kept_for_us(const PortHolder& holder) {
  // "(erceptor)": its child that is about to become our process.
  return (holder.name == "systemd" || holder.name.starts_with('(')) &&
         holder.uid == static_cast<int64_t>(::getuid());
}

std::string begin_anew(bool has_units, int64_t supervisor) {
  if (supervisor == 0)
    return has_units ? "systemctl --user stop halton-meter-edge halton-meter; halton-meter start"
                     : "end the command that started it, then start it again";
  // It keeps the sockets of both over their restarts; a second one is refused while it is there.
  const std::string pid = std::to_string(supervisor);
  return "kill " + pid + "; tail --pid=" + pid + " -f /dev/null; halton-meter start --detach";
}

std::string wrong_port(const StatusFacts& facts) {
  struct Door {
    const char* name;
    const std::optional<StatusAnswer>& process;
    const char* key;
    uint16_t written;
  };
  for (const Door& door : {Door{"edge", facts.edge, "edge_port", facts.ports.edge},
                           Door{"interceptor", facts.daemon, "internal_port", facts.ports.internal},
                           Door{"HTTP API", facts.daemon, "api_port", facts.ports.api}}) {
    // Who leaves has taken its own port out.
    if (!door.process || door.process->number("leaving") == 1) continue;
    const int64_t bound = door.process->number(door.key).value_or(0);
    if (bound == 0 || bound == door.written) continue;
    return std::string("effective-ports.json says ") +
           (door.written == 0 ? "nothing" : "port " + std::to_string(door.written)) + " of the " +
           door.name + ", which listens on " + std::to_string(bound) +
           ": shells and commands go by that file";
  }
  return {};
}

const Check kPortsCheck = {"ports", "ports", run};

}  // namespace hm::cli
