// `reload`: what a running interceptor takes up without a restart.
#include "cli/command.h"
#include "cli/control_client.h"

namespace hm::cli {
namespace {

constexpr int64_t kLimitMs = 5'000;

int run(Context& context, const Flags&) {
  const auto answer = ask_control(context.place.daemon_socket, "reload", kLimitMs);
  if (!answer) {
    *context.err << "halton-meter reload: the interceptor does not answer (" +
                        describe(answer.error()) + ").\nWhat to do: halton-meter start\n";
    return kNotWell;
  }
  *context.err << "Clients that refused our CA are asked again, and rates.toml is read again.\n"
                  "config.toml takes effect with halton-meter restart, which loses no call.\n";
  return kFine;
}

}  // namespace

const Command kReloadCommand = {
    .name = "reload",
    .summary = "forget refusals of our CA, read rates.toml again",
    .operands = "",
    .about =
        "A client that refused our CA is tunnelled unmetered for an hour. After it was mended, "
        "this\n"
        "asks it again at once. rates.toml is read again, too. Settings of config.toml take "
        "effect\n"
        "with restart, which loses no call.\n",
    .example = "  halton-meter reload\n",
    .flags = {},
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
