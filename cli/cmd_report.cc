#include <array>

#include "cli/cmd_pricing.h"
#include "cli/command.h"
#include "cli/explain.h"
#include "cli/period_flags.h"
#include "cli/report.h"
#include "cli/text.h"
#include "interceptor/store/price_book.h"

namespace hm::cli {
namespace {

constexpr std::array kEveryTable = {ReportTable::project, ReportTable::provider,
                                    ReportTable::model};

int explain(Context& context, const Flags& flags, const std::string& text) {
  for (const char* other : {"since", "from", "to", "today", "by", "project", "run", "csv"})
    if (flags.has(other))
      return usage_error(context, "report",
                         "--explain is about one call; --" + std::string(other) + " is not for it");
  const auto give_up = [&](const Error& error) { return cannot_read(context, "report", error); };
  auto book = store::PriceBook::open(context.home.database());
  if (!book && book.error().code != Code::not_found) return give_up(book.error());
  std::vector<std::string> ids;
  if (book) {
    auto found = book->find(text);
    if (!found) return give_up(found.error());
    ids = std::move(*found);
  }
  if (ids.empty()) {
    *context.err << "halton-meter report: no call has an id like '" << printable(text)
                 << "'\nWhat to do: halton-meter export --since 7d\n";
    return kNotWell;
  }
  if (ids.size() > 1) {
    *context.err << "halton-meter report: '" << printable(text) << "' names more than one call:\n";
    for (const std::string& id : ids) *context.err << "  " << printable(id) << "\n";
    const int64_t all = book->beginning_with(text).value_or(0);
    const int64_t more = all - static_cast<int64_t>(ids.size());
    if (more > 0) *context.err << "  and " << thousands(more) << " more\n";
    *context.err << "What to do: give more of the id; the newest call stands first\n";
    return kNotWell;
  }
  const auto explained = book->explain(ids[0]);
  if (!explained) return give_up(explained.error());
  const CallRecord& record = explained->call.record;
  std::vector<std::string> nearest;
  if (explained->call.price.reason == "unknown_model")
    nearest = current_rates(context).card->closest(
        record.rate_namespace.empty() ? record.provider : record.rate_namespace,
        record.model.empty() ? record.requested_model : record.model);
  *context.out << (flags.has("json") ? explanation_json(*explained, nearest)
                                     : explanation(*explained, nearest));
  return kFine;
}

// One flag after the other, each with its own sentence when it is wrong.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
int run(Context& context, const Flags& flags) {
  if (flags.has("json") && flags.has("csv"))
    return usage_error(context, "report", "--json and --csv exclude each other");

  if (const auto id = flags.value("explain")) return explain(context, flags, *id);

  auto wished = wish_of(flags, context.clock->wall_us());
  if (!wished) return usage_error(context, "report", wished.error());
  ReportWish& wish = *wished;
  if (const auto by = flags.value("by")) {
    for (const ReportTable table : kEveryTable)
      if (name_of(table) == *by) wish.tables.push_back(table);
    wish.misses_only = *by == "reason";
    if (wish.misses_only && !(wish.project.empty() && wish.run_id.empty()))
      return usage_error(context, "report", "calls past the meter are not known by project or run");
    if (wish.tables.empty() && !wish.misses_only)
      return usage_error(context, "report", "--by takes project, provider, model or reason");
  } else {
    wish.tables.assign(kEveryTable.begin(), kEveryTable.end());
  }

  Report report;
  report.wish = wish;
  report.covers_all = wish.project.empty() && wish.run_id.empty();
  auto queries = store::Queries::open(context.home.database());
  if (queries) {
    auto read = read_report(*queries, wish);
    if (!read) return cannot_read(context, "report", read.error());
    report = std::move(*read);
    if (auto book = store::PriceBook::open(context.home.database()))
      if (auto notes = book->notes(filter_of(wish))) report.notes = std::move(*notes);
  } else if (queries.error().code != Code::not_found) {
    return cannot_read(context, "report", queries.error());
  } else {
    for (const ReportTable table : wish.tables) report.sections.push_back({table, {}});
    if (!flags.has("json") && !flags.has("csv")) {
      *context.out << "No calls have been metered yet. To begin: halton-meter run -- COMMAND\n";
      return kFine;
    }
  }

  report.card = current_rates(context).card;
  report.today = pricing::day_of(context.clock->wall_us());
  if (flags.has("json")) {
    *context.out << report_json(report, context.version);
  } else if (flags.has("csv")) {
    *context.out << report_csv(report);
  } else {
    *context.out << report_text(report, context.version, context.style);
  }
  return kFine;
}

constexpr std::array kFlags = {
    kSinceFlag,
    kFromFlag,
    kToFlag,
    kTodayFlag,
    FlagSpec{"by", "TABLE",
             "one table only: project, provider or model; or reason: calls past the meter"},
    kProjectFlag,
    kRunFlag,
    FlagSpec{"explain", "ID", "how one call's cost came about; the begin of an id is enough"},
    FlagSpec{"json", "", "everything as one JSON object; money in pico-USD and as decimal text"},
    FlagSpec{"csv", "", "one table as CSV (the one of --by, else by project)"},
};

}  // namespace

const Command kReportCommand = {
    .name = "report",
    .summary = "what the calls of a period cost",
    .operands = "",
    .about =
        "Reads the database, also while nothing is running, and prints calls, tokens and cost by\n"
        "project, provider and model. A sum that leaves out calls without a price is marked >=.\n",
    .example =
        "  halton-meter report --since 7d --by model\n"
        "  halton-meter report --explain req_011CSHoEeqs5C35K2UUqR7Fy\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
