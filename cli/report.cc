#include "cli/report.h"

#include <algorithm>
#include <map>

#include "cli/explain.h"
#include "cli/money.h"
#include "cli/rates_text.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

std::vector<store::Group>& groups_of(store::Summary& summary, ReportTable table) {
  switch (table) {
    case ReportTable::project:
      return summary.projects;
    case ReportTable::provider:
      return summary.providers;
    case ReportTable::model:
      break;
  }
  return summary.models;
}

int64_t all_input(const store::Totals& totals) {
  return totals.input_tokens + totals.cache_read_tokens + totals.cache_write_tokens;
}

std::string counted(int64_t count, std::string_view one, std::string_view many) {
  return thousands(count) + " " + std::string(count == 1 ? one : many);
}

Table section_table(const ReportSection& section, const store::Totals& totals) {
  std::vector<Column> columns{{std::string(name_of(section.table)), Align::left, 0}};
  const bool with_provider = section.table == ReportTable::model;
  const bool with_shadow = totals.subscription > 0;
  const auto right = [&](const char* title, int drop_rank) {
    columns.push_back({title, Align::right, drop_rank});
  };
  if (with_provider) columns.push_back({"provider", Align::left, 5});
  right("calls", 1);
  right("in", 2);
  right("cached", 6);
  right("out", 2);
  right("cost", 0);
  if (with_shadow) right("shadow cost", 3);
  if (totals.unpriced > 0) right("unpriced", 4);
  if (totals.incomplete > 0) right("incomplete", 7);
  right("avg", 8);
  right("p95", 9);

  Table table(columns);
  for (const store::Group& group : section.groups) {
    const store::Totals& sums = group.totals;
    std::vector<std::string> cells{group.key.empty() ? "(unknown)" : group.key};
    if (with_provider) cells.push_back(group.provider);
    cells.push_back(thousands(sums.requests));
    cells.push_back(thousands(all_input(sums)));
    cells.push_back(thousands(sums.cache_read_tokens));
    cells.push_back(thousands(sums.output_tokens));
    cells.push_back(dollars_at_least(sums.cost, sums.unpriced > 0));
    if (with_shadow) cells.push_back(sums.subscription > 0 ? dollars(sums.shadow_cost) : "-");
    if (totals.unpriced > 0) cells.push_back(sums.unpriced > 0 ? thousands(sums.unpriced) : "-");
    if (totals.incomplete > 0)
      cells.push_back(sums.incomplete > 0 ? thousands(sums.incomplete) : "-");
    cells.push_back(milliseconds(sums.avg_latency_ms));
    cells.push_back(milliseconds(sums.p95_latency_ms));
    table.add(std::move(cells));
  }
  return table;
}

std::string totals_text(const Report& report) {
  const store::Totals& totals = report.totals;
  std::string out = counted(totals.requests, "call", "calls");
  for (const ReportSection& section : report.sections) {
    const auto count = static_cast<int64_t>(section.groups.size());
    const std::string word(name_of(section.table));
    out +=
        (&section == report.sections.data() ? " across " : ", ") + counted(count, word, word + "s");
  }
  out += "\n" + counted(all_input(totals), "token in", "tokens in");
  if (totals.cache_read_tokens > 0) out += " (" + thousands(totals.cache_read_tokens) + " cached)";
  out += ", " + thousands(totals.output_tokens) + " out\n";
  out += "total cost " + dollars_at_least(totals.cost, totals.unpriced > 0) + "\n";
  if (totals.unpriced > 0)
    out += "  a lower bound: " + counted(totals.unpriced, "call", "calls") + " without a price\n";
  if (totals.subscription > 0)
    out += "shadow cost " + dollars(totals.shadow_cost) + ": list price of " +
           counted(totals.subscription, "call", "calls") +
           " on a subscription or a free key, not part of the total\n";
  if (totals.incomplete > 0) {
    out += counted(totals.incomplete, "call", "calls") + " with incomplete token counts";
    if (totals.no_usage > 0) out += ", " + thousands(totals.no_usage) + " of them with none at all";
    out += "\n";
  }
  if (totals.errors > 0) out += counted(totals.errors, "call", "calls") + " failed\n";
  return out;
}

std::string misses_text(const Report& report) {
  if (!report.covers_all) {
    if (report.misses.empty()) return {};
    return counted(report.share.missed, "call", "calls") + " of this period not metered (" +
           reasons_text(report.misses) +
           "); by project or run they are not known: who made a call is looked up by the meter, "
           "and these went past it\n";
  }
  if (!report.share.per_mille()) return {};
  std::string out = per_mille_text(report.share.per_mille()) + " of calls metered";
  if (report.share.missed == 0) return out + "\n";
  out += "; " + thousands(report.share.missed) + " not metered";
  const std::string list = reasons_text(report.misses);
  return out + (list.empty() ? "" : " (" + list + ")") + "\n";
}

// Where the prices come from, and where they are near rather than exact.
std::string prices_text(const Report& report) {
  if (report.card == nullptr) return {};
  std::string out = card_line(*report.card, report.today);
  const auto tell = [&](int64_t count, const std::string& what) {
    if (count > 0) out += counted(count, "call", "calls") + " " + what + "\n";
  };
  const auto of_source = [&](const char* name) {
    const auto found = report.sources.find(name);
    return found == report.sources.end() ? 0 : found->second;
  };
  tell(of_source("override"), "priced with rates.toml");
  tell(of_source("provider"), "with the provider's own figure");
  tell(report.notes.repriced, "priced again later");
  for (const auto& [flag, count] : report.notes.flags)
    tell(count, "marked " + printable(flag) + ": " + about_flag(flag));
  return out;
}

Table misses_table(const Report& report) {
  Table table({{"reason", Align::left, 0},
               {"host", Align::left, 2},
               {"calls", Align::right, 0},
               {"up", Align::right, 3},
               {"down", Align::right, 3},
               {"last seen", Align::left, 1}});
  for (const store::MissCount& miss : report.misses)
    table.add({printable(miss.reason), printable(miss.host), thousands(miss.count),
               thousands(miss.bytes_up), thousands(miss.bytes_down), local_time(miss.last_us)});
  return table;
}

std::string misses_csv(const Report& report) {
  Table table({{"reason"}, {"host"}, {"calls"}, {"bytes_up"}, {"bytes_down"}, {"last_seen"}});
  for (const store::MissCount& miss : report.misses)
    table.add({miss.reason, miss.host, std::to_string(miss.count), std::to_string(miss.bytes_up),
               std::to_string(miss.bytes_down), iso8601_utc(miss.last_us)});
  return table.csv();
}

}  // namespace

std::map<std::string, int64_t> by_reason(const std::vector<store::MissCount>& misses) {
  std::map<std::string, int64_t> reasons;
  for (const store::MissCount& miss : misses) reasons[printable(miss.reason)] += miss.count;
  return reasons;
}

std::string reasons_text(const std::vector<store::MissCount>& misses) {
  std::string list;
  for (const auto& [reason, count] : by_reason(misses))
    list += (list.empty() ? "" : ", ") + reason + " " + thousands(count);
  return list;
}

std::string_view name_of(ReportTable table) {
  switch (table) {
    case ReportTable::project:
      return "project";
    case ReportTable::provider:
      return "provider";
    case ReportTable::model:
      return "model";
  }
  return "";
}

store::Filter filter_of(const ReportWish& wish) {
  store::Filter filter;
  filter.since_us = wish.period.from_us;
  filter.until_us = wish.period.to_us;
  filter.project = wish.project;
  filter.run_id = wish.run_id;
  return filter;
}

Result<Report> read_report(store::Queries& queries, const ReportWish& wish) {
  Report report;
  report.wish = wish;
  report.covers_all = wish.project.empty() && wish.run_id.empty();
  const store::Filter filter = filter_of(wish);
  auto summary = queries.summary(filter);
  if (!summary) return std::unexpected(summary.error());
  report.totals = summary->totals;
  report.sources = std::move(summary->sources);
  report.unpriced = std::move(summary->unpriced);
  for (const ReportTable table : wish.tables)
    report.sections.push_back({table, groups_of(*summary, table)});
  if (const auto missed = queries.missed(filter)) report.share = {report.totals.requests, *missed};
  if (auto misses = queries.misses(filter)) report.misses = std::move(*misses);
  return report;
}

std::string report_text(const Report& report, const std::string& version, const TableStyle& style) {
  std::string out = "Halton Meter " + version + " cost report\n" +
                    local_time(report.wish.period.from_us) + " to " +
                    local_time(report.wish.period.to_us);
  if (!report.wish.project.empty()) out += ", project " + printable(report.wish.project);
  if (!report.wish.run_id.empty()) out += ", run " + printable(report.wish.run_id);
  out += "\n\n";
  if (report.wish.misses_only)
    return out + (report.share.per_mille() ? misses_text(report) : "No calls in this period.\n") +
           (report.misses.empty() ? "" : "\n" + misses_table(report).text(style));
  if (report.totals.requests == 0) return out + "No calls in this period.\n" + misses_text(report);
  out += totals_text(report) + misses_text(report);
  for (const ReportSection& section : report.sections) {
    if (!section.groups.empty()) out += "\n" + section_table(section, report.totals).text(style);
  }
  if (const std::string prices = prices_text(report); !prices.empty()) out += "\n" + prices;
  if (!report.unpriced.empty()) {
    out += "\nWithout a price:\n";
    for (const store::UnpricedModel& model : report.unpriced)
      out += "  " + printable(model.provider) + " " +
             (model.model.empty() ? "(unknown)" : printable(model.model)) + ": " +
             counted(model.requests, "call", "calls") + ", " + printable(model.reason) + "\n";
  }
  return out;
}

std::string report_csv(const Report& report) {
  if (report.wish.misses_only) return misses_csv(report);
  if (report.sections.empty()) return {};
  const ReportSection& section = report.sections.front();
  const bool by_provider = section.table == ReportTable::provider;
  std::vector<Column> columns{{std::string(name_of(section.table))}};
  if (!by_provider) columns.push_back({"provider"});
  for (const char* title :
       {"requests", "errors", "incomplete", "unpriced", "input_tokens", "cache_read_tokens",
        "cache_write_tokens", "output_tokens", "thinking_tokens", "cost_usd", "shadow_cost_usd",
        "avg_latency_ms", "p95_latency_ms"})
    columns.push_back({title});
  Table table(std::move(columns));
  const auto maybe = [](const std::optional<int64_t>& value) {
    return value ? std::to_string(*value) : std::string();
  };
  for (const store::Group& group : section.groups) {
    const store::Totals& sums = group.totals;
    std::vector<std::string> cells{group.key};
    if (!by_provider) cells.push_back(group.provider);
    for (const int64_t figure : {sums.requests, sums.errors, sums.incomplete, sums.unpriced,
                                 sums.input_tokens, sums.cache_read_tokens, sums.cache_write_tokens,
                                 sums.output_tokens, sums.thinking_tokens})
      cells.push_back(std::to_string(figure));
    cells.push_back(sums.cost.exact_dollars());
    cells.push_back(sums.shadow_cost.exact_dollars());
    cells.push_back(maybe(sums.avg_latency_ms));
    cells.push_back(maybe(sums.p95_latency_ms));
    table.add(std::move(cells));
  }
  return table.csv();
}

}  // namespace hm::cli
