#include "interceptor/store/row_writer.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "common/base/log.h"
#include "common/base/random_id.h"
#include "interceptor/pricing/price.h"
#include "interceptor/store/bulk_insert.h"
#include "interceptor/store/request_statements.h"
#include "interceptor/store/statement_use.h"
#include "interceptor/store/timestamp.h"

namespace hm::store {
namespace {

constexpr size_t kMaxKnownProjects = 1024;
// More of them share little more, and their prices should stay in the processor's cache.
constexpr size_t kMostTogether = 256;

// Reasons that tell of one exchange of a connection, not of the whole.
constexpr std::string_view kOfExchanges =
    "('unmetered_path', 'observer_unread', 'observer_lost', 'observer_overload', 'queue_full', "
    "'row_rejected')";
bool is_of_exchange(const std::string& reason) {
  return kOfExchanges.find("'" + reason + "'") != std::string_view::npos;
}

// Only a request without a body fetches what was made before; every other one makes something new,
// even if a gateway answers it with an old id.
bool may_be_a_second_sight(const CallRecord& record) {
  return !record.response_id.empty() && record.bytes_up == 0 && record.transport != "ws";
}

// A write of the default lifetime was one of `lifetime`.
void write_lives(CallRecord& record, const std::string& lifetime) {
  record.cache_lifetime = lifetime;
  for (UsagePart& part : record.usage.parts)
    if (part.bucket == "cache_write_30m" && lifetime == "12h") part.bucket = "cache_write_12h";
}

}  // namespace

struct RowWriter::Statements {
  explicit Statements(SQLite::Database& db)
      : insert(db, insert_sql()),
        update(db, update_sql()),
        version(db, "PRAGMA data_version"),
        same_response(db,
                      "SELECT id, requested_at, tokens_complete, cache_lifetime FROM requests "
                      "WHERE provider = ? AND response_id = ? ORDER BY requested_at LIMIT 1"),
        find_project(db, "SELECT id FROM projects WHERE slug = ?"),
        add_project(db, "INSERT INTO projects (id, name, slug, created_at) VALUES (?, ?, ?, ?)"),
        extra(db,
              "INSERT INTO request_extra_usage (request_id, position, kind, model, input_tokens, "
              "output_tokens, thinking_tokens, cache_read_tokens, cache_write_5m_tokens, "
              "cache_write_1h_tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        tool(db,
             "INSERT INTO request_tool_calls (request_id, name, count) VALUES (?, ?, ?) "
             "ON CONFLICT DO UPDATE SET count = count + excluded.count"),
        part(db,
             "INSERT INTO request_usage_parts (request_id, extra_position, bucket, tokens) "
             "VALUES (?, ?, ?, ?) "
             "ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens"),
        limit(db,
              "INSERT OR REPLACE INTO request_rate_limits (request_id, name, value, instant) "
              "VALUES (?, ?, ?, ?)"),
        iteration(
            db,
            "INSERT INTO request_iterations (request_id, position, input_tokens, output_tokens, "
            "thinking_tokens, cache_read_tokens, cache_write_5m_tokens, "
            "cache_write_1h_tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
        line(db,
             "INSERT INTO request_cost_lines (request_id, position, model, bucket, per_call, "
             "count, rate_pico_usd, amount_pico_usd, list_rate_pico_usd, multiplier) "
             "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        flag(db, "INSERT OR IGNORE INTO request_price_flags (request_id, flag) VALUES (?, ?)"),
        miss(db,
             "INSERT INTO misses (at, host, reason, count, bytes_up, bytes_down, duration_us, "
             "client_port, call_id, detail, source, sequence) "
             "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, sequence) DO "
             "NOTHING"),
        rows_of_call(db, "SELECT count(*) FROM requests WHERE call_id = ?"),
        other_word(db,
                   "SELECT 1 FROM misses WHERE call_id = ? AND (source LIKE 'edge-%') <> ? "
                   "AND reason NOT IN " +
                       std::string(kOfExchanges) + " LIMIT 1"),
        whole_word(db,
                   "SELECT 1 FROM misses WHERE call_id = ? AND source NOT LIKE 'flights-%' "
                   "AND reason NOT IN " +
                       std::string(kOfExchanges) + " LIMIT 1"),
        forget_edge(db,
                    "DELETE FROM misses WHERE call_id = ? AND source LIKE 'edge-%' "
                    "AND reason = 'interceptor_lost'"),
        one_less(db,
                 "UPDATE misses SET count = count - 1 WHERE call_id = ? "
                 "AND reason = 'interceptor_lost'"),
        forget_found(db,
                     "DELETE FROM misses WHERE call_id = ? AND reason = 'interceptor_lost' "
                     "AND (count <= 0 OR source LIKE 'edge-%')") {}

  SQLite::Statement insert, update, version, same_response, find_project, add_project, extra, tool,
      part, limit, iteration, line, flag, miss, rows_of_call, other_word, whole_word, forget_edge,
      one_less, forget_found;
};

RowWriter::RowWriter(SQLite::Database& db)
    : db_(db), statements_(std::make_unique<Statements>(db)) {}

RowWriter::~RowWriter() = default;

void RowWriter::begin() {
  Use version(statements_->version);
  const int64_t now = version.step() ? version.column(0).getInt64() : -1;
  if (now != seen_version_) projects_.clear();
  seen_version_ = now;
}

void RowWriter::forget() {
  projects_.clear();
}

// The answer stays where it is until bound_projects(), begin() or forget().
const std::string& RowWriter::project_id(const CallRecord& record) {
  static const std::string kNone = "misc";
  const std::string& told = record.attribution.project;
  const std::string& slug = told.empty() ? kNone : told;
  if (const auto known = projects_.find(slug); known != projects_.end()) return known->second;
  std::string id;
  {
    Use find(statements_->find_project);
    find << slug;
    if (find.step()) id = find.column(0).getString();
  }
  if (id.empty()) {
    id = random_uuid();
    (Use(statements_->add_project) << id << slug << slug << iso8601_utc(record.requested_at_us))
        .run();
  }
  return projects_.emplace(slug, std::move(id)).first->second;
}

void RowWriter::bound_projects() {
  if (projects_.size() >= kMaxKnownProjects) projects_.clear();
}

void RowWriter::write_together(const std::deque<CallRecord>& calls, size_t first, size_t count,
                               const pricing::RateCard& card) {
  const size_t end = first + count;
  while (first < end) {
    size_t next = first;
    while (next < end && next - first < kMostTogether && !may_be_a_second_sight(calls[next]))
      ++next;
    if (next == first)
      write(calls[next++], card);
    else
      write_new(calls, first, next, card);
    first = next;
  }
}

void RowWriter::write_new(const std::deque<CallRecord>& calls, size_t first, size_t end,
                          const pricing::RateCard& card) {
  if (bulk_ == nullptr) bulk_ = std::make_unique<BulkInsert>(db_);
  bound_projects();
  priced_.clear();
  for (size_t i = first; i < end; ++i)
    priced_.push_back({&calls[i], &project_id(calls[i]), pricing::price(card, calls[i])});
  bulk_->run(priced_);
  for (const PricedCall& call : priced_)
    write_rare_children(*call.record, call.record->id, call.price);
  const std::set<std::string> lost = bulk_->lost(priced_);
  if (!lost.empty())
    for (const PricedCall& call : priced_)
      if (lost.contains(call.record->call_id)) take_back_loss(call.record->call_id);
  priced_.clear();
}

void RowWriter::write(const CallRecord& record, const pricing::RateCard& card) {
  if (may_be_a_second_sight(record)) {
    std::string id;
    std::optional<int64_t> first_us;
    bool complete = false;
    std::string lifetime;  // only the first request told it
    {
      Use same(statements_->same_response);
      same << record.provider << record.response_id;
      if (same.step()) {
        id = same.column(0).getString();
        first_us = parse_timestamp(same.column(1).getString());
        complete = same.column(2).getInt() != 0;
        lifetime = same.column(3).getString();
      }
    }
    if (!id.empty()) {
      if (complete && !record.tokens_complete) return;
      CallRecord merged = record;  // the price of the day it was asked for
      if (first_us) merged.requested_at_us = *first_us;
      if (!lifetime.empty()) write_lives(merged, lifetime);
      const pricing::PriceResult price = pricing::price(card, merged);
      {
        Use update(statements_->update);
        BindFresh bind{update};
        visit_columns(bind, merged, price, "");
        update << id;
        update.run();
      }
      for (const char* child :
           {"request_extra_usage", "request_iterations", "request_tool_calls",
            "request_usage_parts", "request_cost_lines", "request_price_flags"}) {
        SQLite::Statement clear(db_, std::string("DELETE FROM ") + child + " WHERE request_id = ?");
        clear.bind(1, id);
        clear.exec();
      }
      write_children(merged, id, price);
      return;
    }
  }

  bound_projects();
  const std::string& project = project_id(record);
  const pricing::PriceResult price = pricing::price(card, record);
  {
    Use insert(statements_->insert);
    BindAll<Use> bind{insert};
    visit_columns(bind, record, price, project);
    insert.run();
  }
  if (db_.getChanges() == 0) return;  // this very row is in already
  write_children(record, record.id, price);
  take_back_loss(record.call_id);
}

// A dead interceptor's log of flights may be read before a row or a miss that it left in its spool,
// and then counts that call as lost.
void RowWriter::take_back_loss(const std::string& call_id) {
  if (call_id.empty()) return;
  (Use(statements_->one_less) << call_id).run();
  if (db_.getChanges() > 0) (Use(statements_->forget_found) << call_id).run();
}

void RowWriter::write_children(const CallRecord& record, const std::string& id,
                               const pricing::PriceResult& price) {
  write_rare_children(record, id, price);
  write_lines(id, price);
}

// All but the lines, which nearly every call has.
void RowWriter::write_rare_children(const CallRecord& record, const std::string& id,
                                    const pricing::PriceResult& price) {
  const auto write_parts = [&](int64_t position, const Usage& usage) {
    for (const UsagePart& part : usage.parts)
      (Use(statements_->part) << id << position << part.bucket << part.tokens).run();
  };
  write_parts(-1, record.usage);
  int64_t position = 0;
  for (const ExtraUsage& extra : record.extra_usage) {
    const Usage& u = extra.usage;
    (Use(statements_->extra) << id << position << extra.kind << extra.model << u.input_tokens
                             << u.output_tokens << u.thinking_tokens << u.cache_read_tokens
                             << u.cache_write_5m_tokens << u.cache_write_1h_tokens)
        .run();
    write_parts(position++, u);
  }
  position = 0;
  for (const Usage& u : record.iterations)
    (Use(statements_->iteration) << id << position++ << u.input_tokens << u.output_tokens
                                 << u.thinking_tokens << u.cache_read_tokens
                                 << u.cache_write_5m_tokens << u.cache_write_1h_tokens)
        .run();
  for (const ToolCalls& calls : record.tool_calls)
    (Use(statements_->tool) << id << calls.name << calls.count).run();
  for (const RateLimitHeader& header : record.rate_limits)
    (Use(statements_->limit) << id << header.name << header.value)
        .text(header.instant_us ? iso8601_utc(*header.instant_us) : "")
        .run();
  const auto& flags = price.flags;
  write_flags(id, flags);
  // The only live check of a card there is.
  if (std::find(flags.begin(), flags.end(), "provider_cost_differs") != flags.end())
    log::warn("pricing.provider_cost_differs")
        .with("provider", record.provider)
        .with("model", record.model)
        .with("ours_pico_usd", price.pico_usd)
        .with("theirs_pico_usd", record.provider_cost_pico_usd.value_or(0));
}

void RowWriter::write_lines(const std::string& id, const pricing::PriceResult& price) {
  int64_t position = 0;
  for (const pricing::PriceLine& line : price.lines)
    (Use(statements_->line) << id << position++ << line.model << line.bucket
                            << int64_t{line.per_call} << line.count << line.rate_pico_usd
                            << line.amount_pico_usd << line.list_rate_pico_usd)
        .text(line.multiplier)
        .run();
}

void RowWriter::write_flags(const std::string& id, const std::vector<std::string>& flags) {
  for (const std::string& flag : flags) (Use(statements_->flag) << id << flag).run();
}

void RowWriter::replace_price(const std::string& id, const pricing::PriceResult& price,
                              const std::string& now) {
  constexpr const char* kColumns =
      "cost_pico_usd, shadow_cost_pico_usd, unpriced_reason, rates_source, card_id, price_entry, "
      "price_period, price_tier, price_long_context, price_geo";
  const auto once = [&](const std::string& sql, const auto& bind) {
    SQLite::Statement statement(db_, sql);
    Use use(statement);
    bind(use);
    use.run();
  };
  int64_t position = 0;
  {
    SQLite::Statement last(
        db_,
        "SELECT coalesce(max(position) + 1, 0) FROM request_price_history WHERE request_id = ?");
    last.bind(1, id);
    if (last.executeStep()) position = last.getColumn(0).getInt64();
  }
  once(std::string("INSERT INTO request_price_history (request_id, position, replaced_at, ") +
           kColumns + ") SELECT id, ?, ?, " + kColumns + " FROM requests WHERE id = ?",
       [&](Use& use) { use << position << now << id; });
  constexpr const char* kLineColumns =
      "position, model, bucket, per_call, count, rate_pico_usd, amount_pico_usd, "
      "list_rate_pico_usd, multiplier";
  once(std::string("INSERT INTO request_price_history_lines (request_id, history_position, ") +
           kLineColumns + ") SELECT request_id, ?, " + kLineColumns +
           " FROM request_cost_lines WHERE request_id = ?",
       [&](Use& use) { use << position << id; });
  once(
      "INSERT INTO request_price_history_flags (request_id, history_position, flag) "
      "SELECT request_id, ?, flag FROM request_price_flags WHERE request_id = ?",
      [&](Use& use) { use << position << id; });
  for (const char* table : {"request_cost_lines", "request_price_flags"})
    once(std::string("DELETE FROM ") + table + " WHERE request_id = ?",
         [&](Use& use) { use << id; });
  once(
      "UPDATE requests SET cost_usd_minor_units = ?, cost_pico_usd = ?, shadow_cost_pico_usd = ?, "
      "unpriced_reason = ?, rates_source = ?, card_id = ?, price_entry = ?, price_period = ?, "
      "price_tier = ?, price_long_context = ?, price_geo = ? WHERE id = ?",
      [&](Use& use) {
        use << millicents_of(price) << price.cost_pico_usd << price.shadow_cost_pico_usd;
        use.text(price.reason).text(price.rates_source).text(price.card_id).text(price.entry);
        use.text(price.period_from).text(price.tier) << int64_t{price.long_context};
        use.text(price.geo) << id;
      });
  write_lines(id, price);
  write_flags(id, price.flags);
}

int64_t RowWriter::rows_of_call(const std::string& call_id) {
  Use rows(statements_->rows_of_call);
  rows << call_id;
  return rows.step() ? rows.column(0).getInt64() : 0;
}

// Edge and interceptor may both have something to say about one connection: the edge gave it up
// and went round, and the interceptor found that out later; or it broke, and its calls have rows.
bool RowWriter::is_told_already(const MissRecord& miss) {
  if (miss.call_id.empty() || is_of_exchange(miss.reason)) return false;
  const bool from_edge = miss.source.starts_with("edge-");
  if (from_edge && miss.reason == "interceptor_lost" && rows_of_call(miss.call_id) > 0) return true;
  Use other(statements_->other_word);
  other << miss.call_id << int64_t{from_edge};
  return other.step();
}

void RowWriter::write(const MissRecord& miss) {
  int64_t count = miss.count;
  if (miss.less_rows) {  // knows it better than the edge, which sees connections only
    count -= rows_of_call(miss.call_id);
    (Use(statements_->forget_edge) << miss.call_id).run();
    Use known(statements_->whole_word);
    known << miss.call_id;
    if (count <= 0 || known.step()) return;
  } else if (is_told_already(miss)) {
    return;
  }
  Use insert(statements_->miss);
  (insert << iso8601_utc(miss.at_us) << miss.host << miss.reason << count << miss.bytes_up
          << miss.bytes_down << miss.duration_us
          << (miss.client_port > 0 ? std::optional<int64_t>(miss.client_port) : std::nullopt))
      .text(miss.call_id)
      .text(miss.detail)
      .text(miss.source);
  insert << (miss.source.empty() ? std::nullopt : std::optional<int64_t>(miss.sequence));
  insert.run();
  const bool ours = miss.source.starts_with("daemon-") && !is_of_exchange(miss.reason);
  if (ours && db_.getChanges() > 0) take_back_loss(miss.call_id);
}

// The card written out, level by level.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
void RowWriter::write_rates(const pricing::RateCard& card) {
  SQLite::Statement known(db_, "SELECT 1 FROM pricing_rates WHERE card_id = ? LIMIT 1");
  known.bind(1, card.id());
  if (known.executeStep()) return;
  SQLite::Statement insert(db_,
                           "INSERT INTO pricing_rates (card_id, source, provider, model, "
                           "effective_from, effective_to, service_tier, long_context_above, "
                           "bucket, rate_pico_usd) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const pricing::ModelEntry& entry : card.entries()) {
    const std::string source = entry.from_override ? "override" : card.source_name();
    for (const pricing::Period& period : entry.periods) {
      const auto write_set = [&](const pricing::RateSet& set, const std::string& tier, bool above) {
        for (const auto& [bucket, rate] : set.rates) {
          Use row(insert);
          row << card.id() << source << entry.provider << entry.model;
          row.text(period.from ? pricing::day_text(*period.from) : "");
          row.text(period.to ? pricing::day_text(*period.to) : "");
          row << tier
              << (above && period.long_context
                      ? std::optional<int64_t>(period.long_context->threshold_tokens)
                      : std::nullopt)
              << bucket << rate;
          row.run();
        }
      };
      write_set(period.rates, "standard", false);
      if (period.long_context) write_set(period.long_context->rates, "standard", true);
      for (const auto& [name, tier] : period.tiers) {
        write_set(tier.rates, name, false);
        write_set(tier.long_rates, name, true);
      }
    }
  }
  log::info("store.rates").with("card", card.id()).with("source", card.source_name());
}

}  // namespace hm::store
