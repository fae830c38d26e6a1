#include <sys/stat.h>
#include <unistd.h>

#include "cli/checks/check.h"
#include "cli/env_files.h"
#include "cli/init_command.h"
#include "cli/rc_block.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  const Home& home = patient.context.home;
  struct stat info{};
  if (::stat(home.root().c_str(), &info) != 0)
    return {Severity::inconsistent, home.root().string() + " is not there",
            init_command(patient.mode), Remedy::install};
  if (info.st_uid != ::getuid())
    return {Severity::broken, home.root().string() + " belongs to another user",
            "sudo chown -R $USER " + shell_quoted(home.root().string(), false)};
  if ((info.st_mode & 077U) != 0)
    return {Severity::inconsistent, home.root().string() + " is open to others",
            "chmod 700 " + shell_quoted(home.root().string(), false), Remedy::permissions};
  std::error_code ignored;
  const bool apps = std::filesystem::exists(home.apps_managed(), ignored);
  if (!patient.mode && std::filesystem::exists(home.install_mode(), ignored))
    return {Severity::inconsistent,
            home.install_mode().string() + " holds no mode" +
                (apps ? "; apps-managed says that it was apps" : ""),
            init_command(apps ? InstallMode::apps : InstallMode::env_only), Remedy::install};
  if (patient.mode && apps != (patient.mode == InstallMode::apps))
    return {Severity::inconsistent, "the sentinels install-mode and apps-managed disagree",
            init_command(patient.mode), Remedy::install};
  for (const std::string& warning : patient.status.daemon
                                        ? patient.status.daemon->with_prefix("config.warning")
                                        : std::vector<std::string>())
    return {Severity::note, "configuration: " + warning, "edit " + home.config().string()};
  return fine(home.root().string());
}

}  // namespace

const Check kHomeCheck = {"home", "folder and mode", run};

}  // namespace hm::cli
