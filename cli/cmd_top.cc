#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "cli/command.h"
#include "cli/period_flags.h"
#include "cli/text.h"
#include "cli/top.h"

namespace hm::cli {
namespace {

constexpr useconds_t kRefreshUs = 2'000'000;
constexpr int64_t kUsualCalls = 20;
constexpr int64_t kMostCalls = 10'000;
constexpr int64_t kOtherLines = 15;  // of the screen: head, table of the minutes, boxes
constexpr const char* kFromTheTop = "\x1b[H\x1b[J";

// The screen may have changed since the last time.
int64_t calls_that_fit(Context& context) {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return kUsualCalls;
  if (size.ws_col > 0) context.style.width = size.ws_col;
  return std::max<int64_t>(1, size.ws_row - kOtherLines);
}

int show(Context& context, const std::string& project, int64_t calls, bool json, bool screen) {
  const auto facts = read_top(context, project, calls);
  if (!facts) return cannot_read(context, "top", facts.error());
  if (screen) *context.out << kFromTheTop;
  *context.out << (json ? top_json(*facts, context.version) : top_text(*facts, context));
  context.out->flush();
  return kFine;
}

int run(Context& context, const Flags& flags) {
  const auto project = slug_of(flags);
  if (!project) return usage_error(context, "top", project.error());
  std::optional<int64_t> wanted;
  if (const auto text = flags.value("calls")) {
    int64_t number = 0;
    const char* end = text->data() + text->size();
    const auto parsed = std::from_chars(text->data(), end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end || number < 1 || number > kMostCalls)
      return usage_error(context, "top", "'" + printable(*text) + "' is no number of calls");
    wanted = number;
  }
  const bool json = flags.has("json");
  const bool screen =
      !json && context.out_is_terminal && look_up(context.environment, "TERM") != "dumb";
  if (!screen) return show(context, *project, wanted.value_or(kUsualCalls), json, false);
  while (true) {
    const int64_t fitting = calls_that_fit(context);
    const int64_t calls = std::min(wanted.value_or(fitting), fitting);
    if (const int code = show(context, *project, calls, false, true); code != kFine) return code;
    if (!context.out->good()) return kNotWell;
    ::usleep(kRefreshUs);
  }
}

constexpr std::array kFlags = {
    kProjectFlag,
    FlagSpec{"calls", "N", "that many calls at most (default: 20, or what the terminal holds)"},
    FlagSpec{"json", "", "one look, as one JSON object"},
};

}  // namespace

const Command kTopCommand = {
    .name = "top",
    .summary = "what is going on now",
    .operands = "",
    .about =
        "Shows calls, tokens and cost of the last minute, five minutes and hour, and the last "
        "calls.\n"
        "A call is there when it has ended. On a terminal it is shown anew every two seconds "
        "until\n"
        "Ctrl-C; elsewhere once.\n",
    .example = "  halton-meter top --project shop\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
