#include "cli/cost_members.h"
#include "cli/json_text.h"
#include "cli/rates_text.h"
#include "cli/report.h"

namespace hm::cli {
namespace {

void sums(JsonText& json, const store::Totals& totals) {
  json.member("requests", totals.requests)
      .member("errors", totals.errors)
      .member("incomplete", totals.incomplete)
      .member("no_usage", totals.no_usage)
      .member("unpriced", totals.unpriced)
      .member("subscription", totals.subscription)
      .member("input_tokens", totals.input_tokens)
      .member("cache_read_tokens", totals.cache_read_tokens)
      .member("cache_write_tokens", totals.cache_write_tokens)
      .member("output_tokens", totals.output_tokens)
      .member("thinking_tokens", totals.thinking_tokens);
  cost_members(json, totals);
  json.member("avg_latency_ms", totals.avg_latency_ms)
      .member("p95_latency_ms", totals.p95_latency_ms);
}

}  // namespace

std::string report_json(const Report& report, const std::string& version) {
  JsonText json;
  json.begin_object().member("version", version);
  json.key("period")
      .begin_object()
      .member("from", iso8601_utc(report.wish.period.from_us))
      .member("to", iso8601_utc(report.wish.period.to_us))
      .end_object();
  json.key("project");
  report.wish.project.empty() ? json.null() : json.value(report.wish.project);
  json.key("run_id");
  report.wish.run_id.empty() ? json.null() : json.value(report.wish.run_id);
  json.key("totals").begin_object();
  sums(json, report.totals);
  json.end_object();

  for (const ReportSection& section : report.sections) {
    json.key("by_" + std::string(name_of(section.table))).begin_array();
    for (const store::Group& group : section.groups) {
      json.begin_object().member(name_of(section.table), group.key);
      if (section.table == ReportTable::model) json.member("provider", group.provider);
      sums(json, group.totals);
      json.end_object();
    }
    json.end_array();
  }

  json.key("rate_card");
  if (report.card == nullptr) {
    json.null();
  } else {
    json.begin_object();
    card_members(json, *report.card, report.today);
    json.end_object();
  }
  const auto counts = [&](const char* name, const std::map<std::string, int64_t>& values) {
    json.key(name).begin_object();
    for (const auto& [key, count] : values) json.member(key, count);
    json.end_object();
  };
  counts("price_sources", report.sources);
  counts("price_flags", report.notes.flags);
  json.member("repriced", report.notes.repriced);

  json.key("unpriced_models").begin_array();
  for (const store::UnpricedModel& model : report.unpriced)
    json.begin_object()
        .member("provider", model.provider)
        .member("model", model.model)
        .member("reason", model.reason)
        .member("requests", model.requests)
        .member("input_tokens", model.input_tokens)
        .member("output_tokens", model.output_tokens)
        .member("first_seen", iso8601_utc(model.first_seen_us))
        .end_object();
  json.end_array();

  // By project or run there is no share: misses are those of the period, whoever made them.
  json.key("metering").begin_object();
  if (report.covers_all) json.member("metered", report.share.metered);
  json.member("missed", report.share.missed);
  if (report.covers_all) json.member("metered_per_mille", report.share.per_mille());
  json.member("of", report.covers_all ? "report" : "period");
  json.key("misses").begin_array();
  for (const store::MissCount& miss : report.misses)
    json.begin_object()
        .member("host", miss.host)
        .member("reason", miss.reason)
        .member("count", miss.count)
        .member("bytes_up", miss.bytes_up)
        .member("bytes_down", miss.bytes_down)
        .member("last_seen", iso8601_utc(miss.last_us))
        .end_object();
  json.end_array().end_object();
  return json.end_object().take();
}

}  // namespace hm::cli
