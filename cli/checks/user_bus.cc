#include <unistd.h>

#include "cli/checks/check.h"
#include "cli/user_places.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  const Systemd& systemd = patient.systemd;
  if (systemd.usable()) {
    const bool set = !look_up(patient.context.environment, "XDG_RUNTIME_DIR").empty();
    if (set) return fine("the user manager answers");
    return {Severity::note,
            "the user manager answers, but XDG_RUNTIME_DIR is not set in this shell: systemctl "
            "--user fails here with \"No medium found\". Should that folder be missing, lingering "
            "makes it: sudo loginctl enable-linger " +
                user_name(patient.context.environment) + ", then log in again",
            "export XDG_RUNTIME_DIR=/run/user/" + std::to_string(::getuid())};
  }
  const std::string finding = "the user manager cannot be reached: " + systemd.finding();
  if (!patient.has_units && patient.status.edge)
    return skipped("no user manager; the pair runs without one");
  const std::string uid = std::to_string(::getuid());
  std::error_code ignored;
  const bool booted = std::filesystem::exists("/run/systemd/system", ignored);  // sd_booted(3)
  if (booted && systemd.reach() == Systemd::Reach::no_bus)
    return {Severity::broken, finding,
            look_up(patient.context.environment, "XDG_RUNTIME_DIR").empty()
                ? "export XDG_RUNTIME_DIR=/run/user/" + uid
                : "sudo systemctl start user@" + uid + " || halton-meter start --detach"};
  if (booted && systemd.reach() == Systemd::Reach::no_runtime_dir)
    return {Severity::broken, finding,
            "sudo loginctl enable-linger " + user_name(patient.context.environment) +
                ", then log in again"};
  return {Severity::broken, finding, "halton-meter start --detach"};
}

}  // namespace

const Check kUserBusCheck = {"user-bus", "user manager", run};

}  // namespace hm::cli
