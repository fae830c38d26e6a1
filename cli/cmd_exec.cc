// `edge` and `daemon`: become the sibling binary, in the foreground.
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/command.h"

namespace hm::cli {
namespace {

int become(Context& context, std::string_view command, std::string_view binary,
           const Flags& flags) {
  const std::string path = (context.program_folder / binary).string();
  std::vector<std::string> words{path};
  words.insert(words.end(), flags.operands().begin(), flags.operands().end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  context.out->flush();
  ::execv(path.c_str(), argv.data());
  *context.err << "halton-meter " << command << ": cannot start " << path << ": "
               << std::strerror(errno)
               << "\nWhat to do: the three programs belong into one folder; install them again\n";
  return kEnvironment;
}

int run_edge(Context& context, const Flags& flags) {
  return become(context, "edge", "halton-meter-edge", flags);
}

int run_daemon(Context& context, const Flags& flags) {
  return become(context, "daemon", "halton-meter-interceptor", flags);
}

}  // namespace

const Command kEdgeCommand = {
    .name = "edge",
    .summary = "run the edge in the foreground",
    .operands = "[FLAGS OF halton-meter-edge]",
    .about =
        "Becomes halton-meter-edge, which accepts every call and never fails one. All flags are\n"
        "passed on to it.\n",
    .example = "  halton-meter edge\n",
    .flags = {},
    .parsing = Command::Parsing::none,
    .run = run_edge,
};

const Command kDaemonCommand = {
    .name = "daemon",
    .summary = "run the interceptor in the foreground",
    .operands = "[FLAGS OF halton-meter-interceptor]",
    .about =
        "Becomes halton-meter-interceptor, which reads the meter and keeps the database. All\n"
        "flags are passed on to it.\n",
    .example = "  halton-meter daemon\n",
    .flags = {},
    .parsing = Command::Parsing::none,
    .run = run_daemon,
};

}  // namespace hm::cli
