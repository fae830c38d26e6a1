#include <array>

#include "cli/command.h"
#include "cli/export_row.h"
#include "cli/period_flags.h"

namespace hm::cli {
namespace {

int run(Context& context, const Flags& flags) {
  if (flags.has("json") && flags.has("csv"))
    return usage_error(context, "export", "--json and --csv exclude each other");
  const auto wish = wish_of(flags, context.clock->wall_us());
  if (!wish) return usage_error(context, "export", wish.error());
  const bool json = flags.has("json");
  auto queries = store::Queries::open(context.home.database());
  if (!queries && queries.error().code != Code::not_found)
    return cannot_read(context, "export", queries.error());
  if (!json) *context.out << export_csv_header();
  if (queries) {
    const auto done = queries->each(filter_of(*wish), [&](const store::RequestRow& row) {
      *context.out << (json ? export_json(row) : export_csv(row));
      return context.out->good();  // who reads it may have had enough
    });
    if (!done) return cannot_read(context, "export", done.error());
  }
  return kFine;
}

constexpr std::array kFlags = {
    kSinceFlag,
    kFromFlag,
    kToFlag,
    kTodayFlag,
    kProjectFlag,
    kRunFlag,
    FlagSpec{"csv", "", "one line per call, below a line of names (the default)"},
    FlagSpec{"json", "", "one JSON object per line and call"},
};

}  // namespace

const Command kExportCommand = {
    .name = "export",
    .summary = "the calls of a period, row by row",
    .operands = "",
    .about =
        "Writes one line per call to stdout, the oldest first, for spreadsheets and programs:\n"
        "times in UTC, tokens, cost in pico-USD and as exact dollars. A call without a price has\n"
        "none, with the reason beside it; counts that are not complete are marked as such.\n"
        "Prompts and answers are not in it.\n",
    .example =
        "  halton-meter export --since 7d > calls.csv\n"
        "  halton-meter export --today --json | jq -r 'select(.status != \"success\") | .id'\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
