#include "cli/top.h"

#include "cli/cost_members.h"
#include "cli/export_row.h"
#include "cli/json_text.h"
#include "cli/money.h"
#include "cli/pair_state.h"
#include "cli/period.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

constexpr std::array<int64_t, 3> kMinutes = {1, 5, 60};
constexpr int64_t kMinuteUs = 60'000'000;

int64_t all_input(const store::RequestRow& call) {
  return call.input_tokens + call.cache_read_tokens + call.cache_write_tokens;
}

// A count that is a lower bound is marked; none at all is not shown as zero.
std::string tokens(const store::RequestRow& call, int64_t count) {
  if (call.unpriced_reason == "no_usage") return "-";
  return (call.tokens_complete ? "" : ">= ") + thousands(count);
}

std::string cost_of(const store::RequestRow& call) {
  if (call.cost_pico_usd) return dollars(PicoUsd(*call.cost_pico_usd));
  if (call.shadow_cost_pico_usd) return dollars(PicoUsd(*call.shadow_cost_pico_usd)) + " shadow";
  return call.unpriced_reason == "no_usage" ? "-" : "unpriced";
}

std::string outcome_of(const store::RequestRow& call) {
  if (call.status == "success") return "ok";
  std::string text = call.status;
  if (!call.error_kind.empty()) text += " " + call.error_kind;
  return printable(text);
}

std::string window_name(int64_t minutes) {
  if (minutes == 1) return "last minute";
  if (minutes == 60) return "last hour";
  return "last " + std::to_string(minutes) + " minutes";
}

}  // namespace

Result<TopFacts> read_top(const Context& context, const std::string& project, int64_t calls) {
  TopFacts facts;
  facts.now_us = context.clock->wall_us();
  facts.project = project;
  if (const auto daemon = StatusAnswer::ask(context.place.daemon_socket))
    facts.open_calls = daemon->number("sessions");
  auto queries = store::Queries::open(context.home.database());
  if (!queries && queries.error().code == Code::not_found) return facts;
  if (!queries) return std::unexpected(queries.error());
  store::Filter filter;
  filter.project = project;
  auto rows = queries->recent(filter, calls);
  if (!rows) return std::unexpected(rows.error());
  facts.calls = std::move(*rows);
  for (const int64_t minutes : kMinutes) {
    filter.since_us = facts.now_us - minutes * kMinuteUs;
    const auto totals = queries->totals(filter);
    if (!totals) return std::unexpected(totals.error());
    const auto missed = queries->missed(filter);
    if (!missed) return std::unexpected(missed.error());
    facts.windows.push_back({minutes, *totals, *missed});
  }
  return facts;
}

std::string top_text(const TopFacts& facts, const Context& context) {
  std::string out = "Halton Meter " + context.version + " top, " + local_time(facts.now_us);
  if (!facts.project.empty()) out += ", project " + printable(facts.project);
  out += facts.open_calls ? ", " + thousands(*facts.open_calls) + " connections open"
                          : ", the interceptor does not run";
  if (context.style.width > 0) out = fit(out, context.style.width);
  out += "\n\n";
  if (facts.windows.empty())
    return out + "No calls have been metered yet. To begin: halton-meter run -- COMMAND\n";
  Table windows({{"calls of the"},
                 {"calls", Align::right},
                 {"in", Align::right, 2},
                 {"out", Align::right, 2},
                 {"cost", Align::right},
                 {"failed", Align::right, 3},
                 {"not metered", Align::right, 1}});
  for (const TopWindow& window : facts.windows) {
    const store::Totals& sums = window.totals;
    windows.add({window_name(window.minutes), thousands(sums.requests),
                 thousands(sums.input_tokens + sums.cache_read_tokens + sums.cache_write_tokens),
                 thousands(sums.output_tokens), dollars_at_least(sums.cost, sums.unpriced > 0),
                 thousands(sums.errors), thousands(window.missed)});
  }
  out += windows.text(context.style) + "\n";
  Table calls({{"when"},
               {"project", Align::left, 3},
               {"model"},
               {"in", Align::right, 2},
               {"out", Align::right, 2},
               {"cost", Align::right},
               {"took", Align::right, 4},
               {"end", Align::left, 1}});
  for (const store::RequestRow& call : facts.calls)
    calls.add({ago(call.requested_at_us, facts.now_us), printable(call.project),
               printable(call.model.empty() ? call.requested_model : call.model),
               tokens(call, all_input(call)), tokens(call, call.output_tokens), cost_of(call),
               milliseconds(call.latency_ms), outcome_of(call)});
  return out + calls.text(context.style);
}

std::string top_json(const TopFacts& facts, const std::string& version) {
  JsonText json;
  json.begin_object().member("version", version).member("at", iso8601_utc(facts.now_us));
  json.member("open_connections", facts.open_calls);
  json.key("windows").begin_array();
  for (const TopWindow& window : facts.windows) {
    const store::Totals& sums = window.totals;
    json.begin_object()
        .member("minutes", window.minutes)
        .member("requests", sums.requests)
        .member("errors", sums.errors)
        .member("unpriced", sums.unpriced)
        .member("input_tokens", sums.input_tokens)
        .member("cache_read_tokens", sums.cache_read_tokens)
        .member("cache_write_tokens", sums.cache_write_tokens)
        .member("output_tokens", sums.output_tokens);
    cost_members(json, sums);
    json.member("missed", window.missed).end_object();
  }
  json.end_array().key("calls").begin_array();
  for (const store::RequestRow& call : facts.calls) {
    std::string line = export_json(call);
    line.pop_back();  // the line end
    json.raw(line);
  }
  return json.end_array().end_object().take();
}

}  // namespace hm::cli
