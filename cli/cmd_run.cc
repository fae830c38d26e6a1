#include <unistd.h>

#include <array>
#include <cstring>

#include "cli/child_process.h"
#include "cli/client_env.h"
#include "cli/command.h"
#include "cli/own_pair.h"
#include "cli/pair_state.h"
#include "cli/plain_words.h"
#include "cli/run_summary.h"
#include "cli/settings.h"
#include "cli/text.h"
#include "cli/trust_files.h"
#include "common/base/random_id.h"

namespace hm::cli {
namespace {

constexpr int64_t kStoreLimitMs = 1000;
constexpr int64_t kEndLimitMs = 400;

// Which pair serves this command. No place: none does, and `why_not` is half a sentence.
struct Metering {
  std::optional<RunPlace> place;
  ClientPlaces clients;
  std::string folder;          // of a pair that some `run` started
  std::optional<OwnPair> own;  // ... this one
  std::string why_not;
  std::vector<std::string> config_warnings;
  int interrupted = 0;
};

bool use(Metering& metering, const RunPlace& place, const ClientPlaces& clients) {
  const auto ports = bound_ports(place);
  if (!ports || !pair_answers(place, *ports)) return false;
  metering.place = place;
  metering.clients = clients;
  metering.clients.edge_port = ports->edge;
  return true;
}

Metering find_or_start_pair(const Context& context, SignalLine& signals) {
  Metering metering;
  const auto without_certificates = [&](const Error& error) {
    metering.why_not = "its certificates in " + context.home.ca_dir().string() +
                       " cannot be made or read (" + in_words(error) + ")";
    return std::move(metering);
  };
  const Settings settings = load_settings(context);
  metering.config_warnings = settings.warnings;
  const ClientPlaces usual = home_places(context.home, settings);
  const auto authority = ensure_authority(context, settings.metered_hosts);
  if (!authority) return without_certificates(authority.error());
  if (auto made = ensure_bundle(usual, *authority, settings.upstream_roots); !made)
    return without_certificates(made.error());

  // Inside another `run` of the same home: its pair serves us too.
  std::vector<uint16_t> our_ports = settings.known_edge_ports;
  ClientPlaces outer = usual;
  const std::string folder(look_up(context.environment, "HALTON_METER_RUN_DIR"));
  const std::string_view roots_now = look_up(context.environment, "SSL_CERT_FILE");
  if (!folder.empty()) {
    if (roots_now != usual.bundle.native()) outer = places_in(context.home, folder);
    const RunPlace place = RunPlace::in_folder(folder);
    const bool ours = roots_now == outer.bundle.native();
    if (ours && use(metering, place, outer)) {
      metering.folder = folder;
      return metering;
    }
    if (const auto ports = bound_ports(place); ports && ours) our_ports.push_back(ports->edge);
  }

  const EarlierProxy proxy = earlier_proxy(context.environment, our_ports);
  std::vector<std::string> own_roots;
  if (settings.upstream_roots.empty())
    own_roots = readable_earlier_roots(context.environment, {usual, outer});
  // The usual pair serves when calls through it take the way they took before.
  const bool same_way = (proxy.url.empty() || settings.has_upstream_proxy) && own_roots.empty();
  if (same_way && use(metering, context.place, usual)) return metering;
  if (!proxy.supported) {
    metering.why_not =
        "the proxy in the environment cannot be used as an upstream, only http:// can";
    return metering;
  }

  const std::string upstream = settings.has_upstream_proxy ? std::string() : proxy.url;
  auto own = OwnPair::start(
      context,
      {.upstream_proxy = upstream, .upstream_roots = own_roots.empty() ? "" : own_roots.front()},
      signals, metering.interrupted);
  if (!own) {
    metering.why_not = own.error();
    return metering;
  }
  metering.clients = usual;
  if (!own_roots.empty()) {
    ClientPlaces apart = places_in(context.home, own->folder());
    apart.own_roots = true;
    if (auto made = ensure_bundle(apart, *authority, own_roots); !made) {
      own->finish(kEndLimitMs);
      return without_certificates(made.error());
    }
    metering.clients = apart;
  }
  metering.own = std::move(*own);
  metering.place = RunPlace::in_folder(metering.own->folder());
  metering.clients.edge_port = metering.own->edge_port();
  metering.folder = metering.own->folder().string();
  return metering;
}

// The steps of one run in their order; parts of it would pass each other all of its locals.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
int run(Context& context, const Flags& flags) {
  const std::vector<std::string>& words = flags.operands();
  if (words.empty()) return usage_error(context, "run", "which command? Give it after --");
  RunTags tags;
  if (const auto text = flags.value("project")) {
    const auto slug = project_slug(*text);
    if (!slug)
      return usage_error(
          context, "run",
          "'" + printable(*text) + "' is no project slug (letters, digits and - _ : / only)");
    tags.project = *slug;
  }

  const auto program = find_program(words[0], look_up(context.environment, "PATH"));
  if (!program) {
    *context.err
        << "halton-meter run: " << printable(words[0])
        << (program.error() == 127
                ? ": command not found\nWhat to do: check its name, or give its whole path\n"
                : ": cannot be executed\nWhat to do: chmod +x it, or name the program "
                  "that runs it\n");
    return program.error();
  }

  SignalLine signals;
  Metering metering = find_or_start_pair(context, signals);
  if (metering.interrupted != 0) return 128 + metering.interrupted;
  // Said here, because the pair's log is gone from sight: a proxy that is not used matters now.
  if (!flags.has("quiet"))
    for (const std::string& warning : metering.config_warnings)
      *context.err << "halton-meter run: " << printable(warning) << "\n";

  ProcessPlan plan;
  plan.program = *program;
  plan.words = words;
  plan.environment = context.environment;
  if (metering.place) {
    tags.run_id = random_uuid();
    tags.run_folder = metering.folder;
    plan.environment = with_variables(
        plan.environment,
        client_variables(context.environment, metering.clients, tags, Reach::one_command));
    if (metering.own) plan.inherit.push_back(metering.own->lifeline());
  } else {
    *context.err << "halton-meter run: not metered: " << metering.why_not
                 << "\nWhat to do: halton-meter doctor\n";
  }
  context.out->flush();
  context.err->flush();

  const int64_t others = metering.place && !metering.own ? open_calls(*metering.place) : 0;
  const int64_t began_us = context.clock->wall_us();
  const auto child = start_process(plan, signals);
  if (!child) {
    *context.err << "halton-meter run: " << describe(child.error()) << "\n";
    if (metering.own) metering.own->finish(kEndLimitMs);
    return kEnvironment;
  }
  const int code = wait_in_foreground(*child, signals);

  if (metering.place) {
    const bool alone = metering.own.has_value();
    const bool summary = flags.has("summary") || (context.err_is_terminal && !flags.has("quiet"));
    // Also without a summary: a report typed next shall know this command. A pair of our own has
    // written its rows when it ends; it goes on when a child of the command does.
    if (!alone || summary || !metering.own->finish(kEndLimitMs))
      wait_until_stored(*metering.place, others, kStoreLimitMs);
    if (summary) {
      const int64_t waiting = alone ? waiting_misses(*metering.place) : 0;
      if (const auto line = run_summary(context, tags.run_id, began_us, waiting))
        *context.err << "halton-meter: " << *line << "\n" << std::flush;
    }
    if (alone) metering.own->finish(kEndLimitMs);
  }
  return code;
}

constexpr std::array kFlags = {
    FlagSpec{"project", "SLUG", "count the calls for this project"},
    FlagSpec{"quiet", "", "no summary at the end"},
    FlagSpec{"summary", "", "a summary at the end, also when stderr is no terminal"},
};

}  // namespace

const Command kRunCommand = {
    .name = "run",
    .summary = "run one command with its LLM calls metered",
    .operands = "[--] COMMAND [ARGUMENT...]",
    .about =
        "Runs a command whose LLM calls are metered. Nothing has to be installed: when no edge "
        "and\n"
        "interceptor are running, a pair is started for the time of the command. If metering is "
        "not\n"
        "possible the command runs all the same. The exit code is the command's own, or 128 plus "
        "the\n"
        "number of the signal that ended it.\n",
    .example = "  halton-meter run --project shop -- python3 answer_mails.py\n",
    .flags = kFlags,
    .parsing = Command::Parsing::until_operand,
    .run = run,
};

}  // namespace hm::cli
