#include <array>
#include <map>

#include "cli/command.h"
#include "cli/cost_members.h"
#include "cli/json_text.h"
#include "cli/money.h"
#include "cli/period_flags.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

struct Line {
  store::Project project;
  store::Totals totals;  // of the period
};

Result<std::vector<Line>> read(store::Queries& queries, const store::Filter& filter,
                               bool whole_time) {
  auto groups = queries.by(store::GroupBy::project, filter);
  if (!groups) return std::unexpected(groups.error());
  auto projects = queries.projects();
  if (!projects) return std::unexpected(projects.error());
  std::map<std::string, store::Project> known;
  for (store::Project& project : *projects) known.emplace(project.slug, std::move(project));
  std::vector<Line> lines;  // dearest first
  for (store::Group& group : *groups) {
    const auto found = known.find(group.key);
    Line& line = lines.emplace_back();
    line.totals = group.totals;
    line.project.slug = group.key;
    if (found == known.end()) continue;  // made between the two questions
    line.project = std::move(found->second);
    known.erase(found);
  }
  if (whole_time)  // without a call: by name
    for (auto& [slug, project] : known) lines.push_back({std::move(project), {}});
  return lines;
}

std::string json_of(const Context& context, const std::vector<Line>& lines) {
  JsonText json;
  json.begin_object().member("version", context.version).key("projects").begin_array();
  for (const auto& [project, totals] : lines) {
    json.begin_object()
        .member("slug", project.slug)
        .member("name", project.name)
        .member("archived", project.archived)
        .member("requests", totals.requests)
        .member("unpriced", totals.unpriced);
    cost_members(json, totals);
    json.key("last_call");
    project.last_seen_us == 0 ? json.null() : json.value(iso8601_utc(project.last_seen_us));
    json.end_object();
  }
  return json.end_array().end_object().take();
}

std::string text_of(const Context& context, const std::vector<Line>& lines) {
  Table table({{"project"},
               {"calls", Align::right},
               {"cost", Align::right},
               {"last call", Align::left, 1},
               {"", Align::left, 2}});
  const int64_t now_us = context.clock->wall_us();
  for (const auto& [project, totals] : lines)
    table.add({printable(project.slug), thousands(totals.requests),
               dollars_at_least(totals.cost, totals.unpriced > 0),
               project.last_seen_us == 0 ? "never" : local_time(project.last_seen_us),
               project.last_seen_us == 0 ? "" : ago(project.last_seen_us, now_us)});
  return table.text(context.style);
}

int run(Context& context, const Flags& flags) {
  bool whole_time = true;
  for (const char* name : {"since", "from", "to", "today"})
    whole_time = whole_time && !flags.has(name);
  const auto wish = wish_of(flags, context.clock->wall_us());
  if (!wish) return usage_error(context, "projects", wish.error());
  std::vector<Line> lines;
  auto queries = store::Queries::open(context.home.database());
  if (queries) {
    auto found = read(*queries, whole_time ? store::Filter() : filter_of(*wish), whole_time);
    if (!found) return cannot_read(context, "projects", found.error());
    lines = std::move(*found);
  } else if (queries.error().code != Code::not_found) {
    return cannot_read(context, "projects", queries.error());
  }
  if (flags.has("json")) {
    *context.out << json_of(context, lines);
  } else if (lines.empty()) {
    *context.out << (whole_time ? "No calls have been metered yet. To begin: halton-meter run -- "
                                  "COMMAND\n"
                                : "No calls in this period.\n");
  } else {
    *context.out << text_of(context, lines);
  }
  return kFine;
}

constexpr std::array kFlags = {
    FlagSpec{"since", "WHEN", "7d, 2h, 5m, a number of days, or a date (default: all time)"},
    kFromFlag,
    kToFlag,
    kTodayFlag,
    FlagSpec{"json", "", "as one JSON object; money in pico-USD and as decimal text"},
};

}  // namespace

const Command kProjectsCommand = {
    .name = "projects",
    .summary = "projects, with calls, cost and last call",
    .operands = "",
    .about =
        "Lists the projects that calls were filed under, the dearest first: calls and cost of the\n"
        "period (all time, unless one is given) and when the last call was. A cost that leaves "
        "out\n"
        "calls without a price is marked >=.\n",
    .example = "  halton-meter projects --since 7d\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
