#include <array>

#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/pair_service.h"
#include "cli/settings.h"
#include "cli/steps.h"
#include "cli/text.h"
#include "cli/trust_files.h"
#include "cli/usable_home.h"
#include "interceptor/tls/ca_store.h"

namespace hm::cli {
namespace {

int run(Context& context, const Flags& flags) {
  const bool force = flags.has("force");
  Steps steps(context, force ? 3 : 2);
  const Settings settings = load_settings(context);

  steps.begin("CA certificate");
  const auto& folder = context.home.ca_dir();
  if (const std::string problem = unusable_home(context.home); !problem.empty()) {
    steps.failed(problem, kOtherHome);
    return kEnvironment;
  }
  const auto authority =
      force ? tls::Authority::create(folder, settings.metered_hosts, *context.clock)
            : tls::Authority::load_or_create(folder, settings.metered_hosts, *context.clock);
  if (!authority) {
    const bool open = authority.error().code == Code::permission;
    steps.failed(
        describe(authority.error()),
        open ? "chmod 700 " + folder.string() + " && chmod 600 " + context.home.ca_key().string()
             : "halton-meter setup --force");
    return kNotWell;
  }
  steps.done((force ? "made anew, valid until " : "valid until ") +
             iso8601_utc((*authority)->not_after_us()).substr(0, 10));

  steps.begin("bundle");
  if (auto made = ensure_bundle(home_places(context.home), (*authority)->certificate_pem(),
                                settings.upstream_roots);
      !made) {
    steps.failed(describe(made.error()), "install the system's roots (package ca-certificates)");
    return kNotWell;
  }
  steps.done(context.home.bundle().string());
  if (!force) {  // clients that refused us for want of it are asked again
    static_cast<void>(ask_control(context.place.daemon_socket, "reload", 2'000));
    return kFine;
  }

  // A running interceptor still signs with the CA that is gone.
  steps.begin("restart");
  const PairService service(context);
  if (service.keeper() == Keeper::nobody) {
    steps.skipped("nothing is running");
    return kFine;
  }
  std::string problem = service.restart();
  if (problem.empty()) problem = service.wait_healthy(40'000);
  if (!problem.empty()) {
    steps.failed(problem, "halton-meter doctor");
    return kNotWell;
  }
  steps.done("the new CA is in use");
  *context.err << "Programs that run already know the old CA: start them again.\n";
  return kFine;
}

constexpr std::array kFlags = {
    FlagSpec{"force", "", "a new CA, and the services restarted with it"},
};

}  // namespace

const Command kSetupCommand = {
    .name = "setup",
    .summary = "make or renew the certificates",
    .operands = "",
    .about =
        "Makes the CA when there is none, and the bundle that clients are given (the system's "
        "roots\n"
        "and our CA). init does the same among other things.\n",
    .example = "  halton-meter setup --force\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
