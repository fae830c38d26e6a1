// `reload`: config.toml, rates.toml and refusals of our CA, in running processes.
#include <algorithm>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "cli/command.h"
#include "cli/control_client.h"
#include "common/base/clock.h"
#include "common/wire/control_message.h"

namespace hm::cli {
namespace {

constexpr int64_t kLimitMs = 5'000;
constexpr auto kPause = std::chrono::milliseconds(10);

// What both processes said, each sentence once.
struct Outcome {
  std::vector<std::string> changed;
  std::vector<std::string> restart;
  std::vector<std::string> faults;
  std::vector<std::string> notes;
  std::vector<std::string> rates;  // why rates.toml was not taken up
};

void add_once(std::vector<std::string>& list, std::string_view text) {
  if (std::ranges::find(list, text) == list.end()) list.emplace_back(text);
}

void take(const wire::ControlFields& fields, Outcome& outcome) {
  for (const auto& [key, value] : fields.all()) {
    if (key == "changed") add_once(outcome.changed, value);
    if (key == "restart") add_once(outcome.restart, value);
    if (key == "fault") add_once(outcome.faults, value);
    if (key == "note") add_once(outcome.notes, value);
    if (key == "rates") add_once(outcome.rates, value);
  }
}

Result<wire::ControlFields> ask(const std::filesystem::path& socket, std::string_view verb) {
  const auto answer = ask_control(socket, verb, kLimitMs);
  if (!answer) return std::unexpected(answer.error());
  return wire::ControlFields::parse(*answer);
}

// Empty: done. Else why not.
std::string reload(const std::filesystem::path& socket, Outcome& outcome) {
  const auto begun = ask(socket, "reload");
  if (!begun) return describe(begun.error());
  if (const auto error = begun->find("error")) return std::string(*error);
  const int64_t number = begun->number("reload").value_or(0);
  const int64_t end_us = system_clock().steady_us() + kLimitMs * 1000;
  while (system_clock().steady_us() < end_us) {
    const auto result = ask(socket, "reload-result");
    if (!result) return describe(result.error());
    if (result->number("done").value_or(0) >= number) {
      take(*result, outcome);
      return {};
    }
    std::this_thread::sleep_for(kPause);
  }
  return "it has not read the file within 5 s";
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

int tell(Context& context, const Outcome& outcome) {
  std::ostream& err = *context.err;
  for (const std::string& fault : outcome.faults) err << "halton-meter reload: " << fault << '\n';
  if (!outcome.faults.empty()) {
    err << "Nothing of config.toml was taken up; what was in force stays.\n"
           "What to do: mend that line, then halton-meter reload\n";
  } else if (outcome.changed.empty() && outcome.restart.empty()) {
    err << "config.toml says what is in force.\n";
  }
  if (!outcome.changed.empty()) err << "Taken up: " << joined(outcome.changed) << ".\n";
  if (!outcome.restart.empty())
    err << "Needs halton-meter restart: " << joined(outcome.restart) << ".\n";
  // Whoever has the old address in its environment is refused there.
  if (std::ranges::find(outcome.restart, "daemon.edge_port") != outcome.restart.end())
    err << "Programs that run carry the old edge port and lose it with that: end them first.\n";
  for (const std::string& note : outcome.notes) err << note << ".\n";
  return outcome.faults.empty() && outcome.notes.empty() ? kFine : kNotWell;
}

int run(Context& context, const Flags&) {
  Outcome outcome;
  const std::string edge = reload(context.place.edge_socket, outcome);
  const std::string interceptor = reload(context.place.daemon_socket, outcome);
  int code = kFine;
  if (edge.empty() || interceptor.empty()) code = tell(context, outcome);
  if (interceptor.empty())
    *context.err << "Clients that refused our CA are asked again"
                 << (outcome.rates.empty() ? ", and rates.toml is read again.\n" : ".\n");
  for (const std::string& fault : outcome.rates) {
    *context.err << "halton-meter reload: " << fault << ".\nWhat to do: halton-meter pricing check "
                 << context.home.rates().string() << "\n";
    code = kNotWell;
  }
  for (const auto& [name, problem] : {std::pair("edge", edge), {"interceptor", interceptor}}) {
    if (problem.empty()) continue;
    *context.err << "halton-meter reload: the " << name << " does not answer (" << problem
                 << ").\nWhat to do: halton-meter start\n";
    code = kNotWell;
  }
  return code;
}

}  // namespace

const Command kReloadCommand = {
    .name = "reload",
    .summary = "take up config.toml and rates.toml, forget refusals of our CA",
    .operands = "",
    .about =
        "Reads config.toml again in the running processes, for connections that begin from now\n"
        "on, and names the keys that need halton-meter restart. Of a file with a fault nothing\n"
        "is taken up, and the line is named. rates.toml is read again, too. A client that refused\n"
        "our CA is tunnelled unmetered for an hour; after it was mended, this asks it again at\n"
        "once.\n",
    .example = "  halton-meter reload\n",
    .flags = {},
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
