#include "cli/systemd.h"

#include <unistd.h>

#include <filesystem>

#include "cli/user_places.h"

namespace hm::cli {

Systemd::Systemd(const Context& context) : environment_(context.environment) {
  const auto runtime = runtime_folder(context.environment);
  if (!runtime.empty()) environment_["XDG_RUNTIME_DIR"] = runtime.string();
  // Not ours to page or to colour.
  environment_["SYSTEMD_COLORS"] = "0";
  environment_["SYSTEMD_PAGER"] = "";
  const Finished told = call({"show", "--property=Version", "--value"}, 10'000);
  if (told.fine()) return;
  finding_ = told.code == 127   ? "systemctl is not installed"
             : told.timed_out   ? "the user manager does not answer within 10 s"
             : told.err.empty() ? "systemctl --user ended with " + std::to_string(told.code)
                                : trimmed(told.err);
  if (told.code == 127) {
    reach_ = Reach::no_systemctl;
  } else if (runtime.empty() || !std::filesystem::exists(runtime)) {
    reach_ = Reach::no_runtime_dir;
  } else {
    reach_ = Reach::no_bus;
  }
}

Finished Systemd::call(const std::vector<std::string>& words, int64_t limit_ms) const {
  std::vector<std::string> all{"systemctl", "--user", "--no-pager"};
  all.insert(all.end(), words.begin(), words.end());
  return run_captured(all, environment_, limit_ms);
}

std::string Systemd::property(std::string_view unit, std::string_view name) const {
  const Finished told =
      call({"show", std::string(unit), "--property=" + std::string(name), "--value"}, 10'000);
  return told.fine() ? trimmed(told.out) : std::string();
}

std::string unreachable_text(const Systemd& systemd, const Context& context) {
  const std::string uid = std::to_string(::getuid());
  std::string text = "The user manager of systemd cannot be reached: " + systemd.finding() + "\n";
  switch (systemd.reach()) {
    case Systemd::Reach::usable:
      return {};
    case Systemd::Reach::no_systemctl:
      text +=
          "This machine has no systemd (a container, WSL): without it the two processes are\n"
          "supervised by halton-meter itself:\n";
      break;
    case Systemd::Reach::no_runtime_dir:
      text += "/run/user/" + uid + " is not there: no session of this user is open.\n" +
              "What to do:  sudo loginctl enable-linger " + user_name(context.environment) +
              "\n             then log in again (a new ssh or console login, not su or sudo)\n"
              "or, without systemd:\n";
      break;
    case Systemd::Reach::no_bus:
      text += "What to do:  export XDG_RUNTIME_DIR=/run/user/" + uid +
              "   (a shell of su or sudo lacks it)\n             if that does not help: sudo "
              "loginctl enable-linger " +
              user_name(context.environment) + ", then log in again\nor, without systemd:\n";
      break;
  }
  return text + "             halton-meter start --foreground   (or --detach)\n";
}

bool lingers(const Context& context) {
  std::error_code ignored;
  return std::filesystem::exists(
      std::filesystem::path("/var/lib/systemd/linger") / user_name(context.environment), ignored);
}

}  // namespace hm::cli
