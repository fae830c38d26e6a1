#include "interceptor/store/queries.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "interceptor/store/read_only.h"
#include "interceptor/store/sqlite_error.h"
#include "interceptor/store/summary.h"
#include "interceptor/store/timestamp.h"
#include "interceptor/store/where.h"

namespace hm::store {
namespace {

// Pieces in which money leaves SQLite: neither sum can pass 64 bits below some billion rows.
constexpr int64_t kNano = 1'000'000'000;

constexpr const char* kUnpriced =
    "(r.cost_pico_usd IS NULL AND r.shadow_cost_pico_usd IS NULL "
    "AND coalesce(r.unpriced_reason, '') <> 'no_usage')";

const char* key_of(GroupBy group) {
  switch (group) {
    case GroupBy::project:
      return "p.slug";
    case GroupBy::provider:
      return "r.provider";
    case GroupBy::model:
      return "r.model";
    case GroupBy::host:
      return "r.host";
    case GroupBy::client:
      return "coalesce(r.client_name, '')";
    case GroupBy::day:
      return "substr(r.requested_at, 1, 10)";
    case GroupBy::hour:
      return "substr(r.requested_at, 1, 13)";
  }
  return "''";
}

std::string sums() {
  const auto money = [](const std::string& column) {
    const std::string unit = std::to_string(kNano);
    return ", coalesce(sum(" + column + " / " + unit + "), 0), coalesce(sum(" + column + " % " +
           unit + "), 0)";
  };
  std::string sql = "count(*)";
  for (const char* condition :
       {"r.status <> 'success'", "r.tokens_complete = 0", "r.unpriced_reason = 'no_usage'",
        kUnpriced, "(r.billing = 'subscription' OR r.shadow_cost_pico_usd IS NOT NULL)"})
    sql += std::string(", count(*) FILTER (WHERE ") + condition + ")";
  for (const char* column : {"input_tokens", "output_tokens", "thinking_tokens",
                             "cache_read_tokens", "cache_write_tokens", "bytes_up", "bytes_down"})
    sql += std::string(", coalesce(sum(r.") + column + "), 0)";
  return sql + money("r.cost_pico_usd") + money("r.shadow_cost_pico_usd");
}

Totals read_sums(SQLite::Statement& row, int at) {
  Totals t;
  for (int64_t* figure : {&t.requests, &t.errors, &t.incomplete, &t.no_usage, &t.unpriced,
                          &t.subscription, &t.input_tokens, &t.output_tokens, &t.thinking_tokens,
                          &t.cache_read_tokens, &t.cache_write_tokens, &t.bytes_up, &t.bytes_down})
    *figure = row.getColumn(at++).getInt64();
  for (PicoUsd* money : {&t.cost, &t.shadow_cost}) {
    const int64_t nano = row.getColumn(at++).getInt64();
    *money = PicoUsd::joined(nano, kNano, row.getColumn(at++).getInt64());
  }
  return t;
}

// Times of one group, as (milliseconds, how many), rising.
using Latencies = std::vector<std::pair<int64_t, int64_t>>;

void add_latency(Totals& totals, const Latencies& times) {
  int64_t count = 0;
  pricing::Int128 sum = 0;
  for (const auto& [ms, n] : times) {
    count += n;
    sum += static_cast<pricing::Int128>(ms) * n;
  }
  if (count == 0) return;
  totals.avg_latency_ms = static_cast<int64_t>((sum + count / 2) / count);
  const int64_t rank = (count * 95 + 99) / 100;
  int64_t seen = 0;
  for (const auto& [ms, n] : times) {
    seen += n;
    if (seen < rank) continue;
    totals.p95_latency_ms = ms;
    break;
  }
}

int64_t time_or_zero(const SQLite::Column& column) {
  if (column.isNull()) return 0;
  return parse_timestamp(column.getString()).value_or(0);
}

std::optional<int64_t> maybe(const SQLite::Column& column) {
  if (column.isNull()) return std::nullopt;
  return column.getInt64();
}

constexpr const char* kRowColumns =
    "SELECT r.id, r.requested_at, p.slug, r.provider, r.host, r.model, r.requested_model, "
    "r.endpoint, r.mode, r.request_kind, r.transport, r.stream, r.input_tokens, "
    "r.output_tokens, r.thinking_tokens, r.cache_read_tokens, r.cache_write_tokens, "
    "r.tokens_complete, r.incomplete_reason, r.service_tier, r.cost_pico_usd, "
    "r.shadow_cost_pico_usd, r.unpriced_reason, r.rates_source, r.latency_ms, r.status, "
    "r.http_status, r.error_class, r.error_kind, r.provider_error_code, "
    "r.provider_request_id, r.client_name, r.session_id, r.attribution_tier, r.run_id";

RequestRow read_row(SQLite::Statement& row) {
  RequestRow r;
  int at = 0;
  const auto text = [&](std::string& out) { out = row.getColumn(at++).getString(); };
  const auto number = [&](int64_t& out) { out = row.getColumn(at++).getInt64(); };
  const auto optional = [&](std::optional<int64_t>& out) { out = maybe(row.getColumn(at++)); };
  const auto flag = [&](bool& out) { out = row.getColumn(at++).getInt() != 0; };
  text(r.id);
  r.requested_at_us = time_or_zero(row.getColumn(at++));
  for (std::string* field : {&r.project, &r.provider, &r.host, &r.model, &r.requested_model,
                             &r.endpoint, &r.mode, &r.request_kind, &r.transport})
    text(*field);
  flag(r.stream);
  for (int64_t* field : {&r.input_tokens, &r.output_tokens, &r.thinking_tokens,
                         &r.cache_read_tokens, &r.cache_write_tokens})
    number(*field);
  flag(r.tokens_complete);
  text(r.incomplete_reason);
  text(r.service_tier);
  optional(r.cost_pico_usd);
  optional(r.shadow_cost_pico_usd);
  text(r.unpriced_reason);
  text(r.rates_source);
  optional(r.latency_ms);
  text(r.status);
  optional(r.http_status);
  for (std::string* field :
       {&r.error_class, &r.error_kind, &r.provider_error_code, &r.provider_request_id,
        &r.client_name, &r.session_id, &r.attribution_tier, &r.run_id})
    text(*field);
  return r;
}

int64_t missed_calls(SQLite::Database& db, const Filter& filter) {
  Where where;
  where.times("at", filter);
  where.condition("reason <> 'unknown_path'");
  SQLite::Statement row(db, "SELECT coalesce(sum(count), 0) FROM misses" + where.sql());
  where.bind(row);
  return row.executeStep() ? row.getColumn(0).getInt64() : 0;
}

}  // namespace

struct Queries::Parts {
  explicit Parts(std::unique_ptr<SQLite::Database> db_in) : db(std::move(db_in)) {}
  std::unique_ptr<SQLite::Database> db;

  template <class Job>
  auto run(const char* where, Job job) -> Result<decltype(job(*db))> {
    try {
      return job(*db);
    } catch (const SQLite::Exception& exception) {
      return std::unexpected(from_sqlite(exception, where));
    }
  }
};

std::optional<int64_t> MeteredShare::per_mille() const {
  const int64_t all = metered + missed;
  if (all <= 0) return std::nullopt;
  return metered * 1000 / all;
}

Queries::Queries(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Queries::~Queries() = default;
Queries::Queries(Queries&&) noexcept = default;
Queries& Queries::operator=(Queries&&) noexcept = default;

Result<Queries> Queries::open(const std::filesystem::path& database) {
  auto opened = open_read_only(database);
  if (!opened) return std::unexpected(opened.error());
  return Queries(std::make_unique<Parts>(std::move(*opened)));
}

Result<Summary> Queries::summary(const Filter& filter) {
  return parts_->run("store.summary", [&](SQLite::Database& db) { return summarize(db, filter); });
}

Result<Totals> Queries::totals(const Filter& filter) {
  return parts_->run("store.totals", [&](SQLite::Database& db) {
    const Where where(filter);
    SQLite::Transaction snapshot(db);
    SQLite::Statement row(db, "SELECT " + sums() + kFrom + where.sql());
    where.bind(row);
    Totals totals;
    if (row.executeStep()) totals = read_sums(row, 0);
    SQLite::Statement times(db, std::string("SELECT r.latency_ms, count(*)") + kFrom + where.sql() +
                                    " GROUP BY 1 ORDER BY 1");
    where.bind(times);
    Latencies latencies;
    while (times.executeStep())
      if (!times.getColumn(0).isNull())
        latencies.emplace_back(times.getColumn(0).getInt64(), times.getColumn(1).getInt64());
    add_latency(totals, latencies);
    return totals;
  });
}

Result<std::vector<Group>> Queries::by(GroupBy group, const Filter& filter) {
  return parts_->run("store.by", [&](SQLite::Database& db) {
    const Where where(filter);
    const std::string keys =
        std::string(key_of(group)) + (group == GroupBy::model ? ", r.provider" : ", ''");
    SQLite::Transaction snapshot(db);  // both statements see the same rows
    std::map<std::pair<std::string, std::string>, Latencies> latencies;
    SQLite::Statement times(db, "SELECT " + keys + ", r.latency_ms, count(*)" + kFrom +
                                    where.sql() + " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3");
    where.bind(times);
    while (times.executeStep())
      if (!times.getColumn(2).isNull())
        latencies[{times.getColumn(0).getString(), times.getColumn(1).getString()}].emplace_back(
            times.getColumn(2).getInt64(), times.getColumn(3).getInt64());

    std::vector<Group> groups;
    SQLite::Statement row(db, "SELECT " + keys + ", " + sums() + kFrom + where.sql() +
                                  " GROUP BY 1, 2 ORDER BY 1, 2");
    where.bind(row);
    while (row.executeStep()) {
      Group& made = groups.emplace_back();
      made.key = row.getColumn(0).getString();
      made.provider = row.getColumn(1).getString();
      made.totals = read_sums(row, 2);
      add_latency(made.totals, latencies[{made.key, made.provider}]);
    }
    if (group != GroupBy::day && group != GroupBy::hour) sort_dearest_first(groups);
    return groups;
  });
}

Result<std::vector<MissCount>> Queries::misses(const Filter& filter) {
  return parts_->run("store.misses", [&](SQLite::Database& db) {
    Where where;
    where.times("at", filter);
    SQLite::Statement row(
        db,
        "SELECT reason, host, sum(count), sum(bytes_up), sum(bytes_down), max(at) "
        "FROM misses" +
            where.sql() + " GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2");
    where.bind(row);
    std::vector<MissCount> list;
    while (row.executeStep())
      list.push_back({row.getColumn(0).getString(), row.getColumn(1).getString(),
                      row.getColumn(2).getInt64(), row.getColumn(3).getInt64(),
                      row.getColumn(4).getInt64(), time_or_zero(row.getColumn(5))});
    return list;
  });
}

Result<MeteredShare> Queries::metered_share(const Filter& filter) {
  return parts_->run("store.metered_share", [&](SQLite::Database& db) {
    Where requests;
    requests.times("r.requested_at", filter);
    requests.condition(kNoSelfTest);
    SQLite::Transaction snapshot(db);
    SQLite::Statement row(db, "SELECT count(*) FROM requests r" + requests.sql());
    requests.bind(row);
    MeteredShare share;
    if (row.executeStep()) share.metered = row.getColumn(0).getInt64();
    share.missed = missed_calls(db, filter);
    return share;
  });
}

Result<int64_t> Queries::missed(const Filter& filter) {
  return parts_->run("store.missed",
                     [&](SQLite::Database& db) { return missed_calls(db, filter); });
}

Result<std::optional<int64_t>> Queries::last_capture_us() {
  return parts_->run("store.last_capture", [&](SQLite::Database& db) {
    const auto last = db.execAndGet(
        std::string("SELECT max(r.requested_at) FROM requests r WHERE ") + kNoSelfTest);
    return last.isNull() ? std::nullopt : parse_timestamp(last.getString());
  });
}

Result<std::vector<UnpricedModel>> Queries::unpriced_models(const Filter& filter) {
  return parts_->run("store.unpriced_models", [&](SQLite::Database& db) {
    Where where(filter);
    where.condition(kUnpriced);
    SQLite::Statement row(
        db, std::string("SELECT r.provider, r.model, coalesce(r.unpriced_reason, ''), count(*), "
                        "sum(r.input_tokens + r.cache_read_tokens + r.cache_write_tokens), "
                        "sum(r.output_tokens), min(r.requested_at), max(r.requested_at)") +
                kFrom + where.sql() + " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3");
    where.bind(row);
    std::vector<UnpricedModel> list;
    while (row.executeStep())
      list.push_back({row.getColumn(0).getString(), row.getColumn(1).getString(),
                      row.getColumn(2).getString(), row.getColumn(3).getInt64(),
                      row.getColumn(4).getInt64(), row.getColumn(5).getInt64(),
                      time_or_zero(row.getColumn(6)), time_or_zero(row.getColumn(7))});
    return list;
  });
}

Result<std::vector<Project>> Queries::projects() {
  return parts_->run("store.projects", [&](SQLite::Database& db) {
    SQLite::Statement row(
        db,
        std::string("SELECT p.slug, p.name, p.created_at, p.archived_at IS NOT NULL, count(r.id), "
                    "max(r.requested_at) FROM projects p LEFT JOIN requests r "
                    "ON r.project_id = p.id AND ") +
            kNoSelfTest + " GROUP BY p.id ORDER BY p.slug");
    std::vector<Project> list;
    while (row.executeStep())
      list.push_back({row.getColumn(0).getString(), row.getColumn(1).getString(),
                      time_or_zero(row.getColumn(2)), row.getColumn(3).getInt() != 0,
                      row.getColumn(4).getInt64(), time_or_zero(row.getColumn(5))});
    return list;
  });
}

Result<std::vector<RequestRow>> Queries::recent(const Filter& filter, int64_t limit,
                                                int64_t offset) {
  return parts_->run("store.recent", [&](SQLite::Database& db) {
    const Where where(filter);
    SQLite::Statement row(db, std::string(kRowColumns) + kFrom + where.sql() +
                                  " ORDER BY r.requested_at DESC, r.id DESC LIMIT ? OFFSET ?");
    const int next = where.bind(row);
    row.bind(next, limit);
    row.bind(next + 1, offset);
    std::vector<RequestRow> list;
    while (row.executeStep()) list.push_back(read_row(row));
    return list;
  });
}

Result<void> Queries::each(const Filter& filter,
                           const std::function<bool(const RequestRow&)>& take) {
  const auto done = parts_->run("store.each", [&](SQLite::Database& db) {
    const Where where(filter);
    SQLite::Statement row(
        db, std::string(kRowColumns) + kFrom + where.sql() + " ORDER BY r.requested_at, r.id");
    where.bind(row);
    while (row.executeStep())
      if (!take(read_row(row))) break;
    return true;
  });
  if (!done) return std::unexpected(done.error());
  return {};
}

Result<bool> Queries::holds_request(const std::string& provider_request_id, int64_t since_us) {
  return parts_->run("store.holds_request", [&](SQLite::Database& db) {
    SQLite::Statement row(db,
                          "SELECT count(*) FROM requests WHERE requested_at >= ? "
                          "AND provider_request_id = ?");
    row.bind(1, iso8601_utc(since_us));
    row.bind(2, provider_request_id);
    return row.executeStep() && row.getColumn(0).getInt64() > 0;
  });
}

Result<int64_t> Queries::schema_version() {
  return parts_->run("store.schema_version", [&](SQLite::Database& db) {
    return db.execAndGet("SELECT coalesce(max(version), 0) FROM _migrations").getInt64();
  });
}

}  // namespace hm::store
