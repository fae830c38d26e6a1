#include "interceptor/store/stored_call.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "interceptor/store/timestamp.h"

namespace hm::store {
namespace {

constexpr int64_t kWithHistory = 2;  // schema version that brought the columns and tables

// Resets the statement when the reading ends, also after a throw.
class Rows {
 public:
  Rows(SQLite::Statement& statement, const std::string& id) : statement_(statement) {
    statement_.bind(1, id);
  }
  ~Rows() { statement_.tryReset(); }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  bool next() {
    at_ = 0;
    return statement_.executeStep();
  }
  std::string text() { return statement_.getColumn(at_++).getString(); }
  int64_t number() { return statement_.getColumn(at_++).getInt64(); }
  std::optional<int64_t> maybe() {
    const SQLite::Column column = statement_.getColumn(at_++);
    return column.isNull() ? std::nullopt : std::optional<int64_t>(column.getInt64());
  }

 private:
  SQLite::Statement& statement_;
  int at_ = 0;
};

// The words of price() are its own; these came from the meter.
bool is_meters_doubt(std::string_view reason) {
  constexpr std::array<std::string_view, 5> kDoubts = {
      "cached_modality", "per_minute", "cache_lifetime", "output_modality", "unknown_modality"};
  return std::find(kDoubts.begin(), kDoubts.end(), reason) != kDoubts.end();
}

CallStatus status_of(std::string_view text) {
  if (text == "success") return CallStatus::success;
  if (text == "cancelled") return CallStatus::cancelled;
  if (text == "truncated") return CallStatus::truncated;
  return CallStatus::error;
}

// Columns of the price, in the order of price_columns().
void read_price(Rows& row, pricing::PriceResult& price) {
  price.cost_pico_usd = row.maybe();
  price.shadow_cost_pico_usd = row.maybe();
  price.reason = row.text();
  price.rates_source = row.text();
  price.card_id = row.text();
  price.entry = row.text();
  price.period_from = row.text();
  price.tier = row.text();
  price.long_context = row.number() != 0;
  price.geo = row.text();
  price.state = price.cost_pico_usd || price.shadow_cost_pico_usd ? pricing::PriceState::priced
                : price.reason == "no_usage"                      ? pricing::PriceState::no_usage
                                                                  : pricing::PriceState::unpriced;
}

std::string price_columns(const char* table) {
  std::string out;
  for (const char* name :
       {"cost_pico_usd", "shadow_cost_pico_usd", "unpriced_reason", "rates_source", "card_id",
        "price_entry", "price_period", "price_tier", "price_long_context", "price_geo"})
    out += std::string(out.empty() ? "" : ", ") + table + "." + name;
  return out;
}

std::string request_sql(bool with_history) {
  return "SELECT r.provider, coalesce(r.rate_namespace, ''), r.host, r.model, r.requested_model, "
         "r.endpoint, r.mode, r.request_kind, r.stream, r.transport, r.billing, r.input_tokens, "
         "r.output_tokens, r.thinking_tokens, r.cache_read_tokens, r.cache_write_5m_tokens, "
         "r.cache_write_1h_tokens, r.tokens_complete, r.incomplete_reason, r.counted_tokens, "
         "r.service_tier, r.geo, r.provider_cost_pico_usd, r.requested_at, r.status, "
         "r.http_status, r.error_kind, r.provider_request_id, r.response_id, " +
         std::string(with_history ? "r.cache_lifetime, r.bucket_doubt, r.key_print"
                                  : "NULL, NULL, NULL") +
         ", p.slug, " + price_columns("r") +
         " FROM requests r JOIN projects p ON p.id = r.project_id WHERE r.id = ?";
}

std::string line_sql(bool with_history) {
  return std::string("SELECT model, bucket, per_call, count, rate_pico_usd, amount_pico_usd, ") +
         (with_history ? "list_rate_pico_usd, multiplier" : "NULL, NULL") +
         " FROM request_cost_lines WHERE request_id = ? ORDER BY position";
}

bool history_in(SQLite::Database& db) {
  return db.execAndGet("SELECT coalesce(max(version), 0) FROM _migrations").getInt64() >=
         kWithHistory;
}

void read_usage(Rows& row, Usage& usage) {
  usage.input_tokens = row.number();
  usage.output_tokens = row.number();
  usage.thinking_tokens = row.number();
  usage.cache_read_tokens = row.number();
  usage.cache_write_5m_tokens = row.number();
  usage.cache_write_1h_tokens = row.number();
}

std::vector<pricing::PriceLine> read_lines(Rows& row) {
  std::vector<pricing::PriceLine> lines;
  while (row.next()) {
    pricing::PriceLine& line = lines.emplace_back();
    line.model = row.text();
    line.bucket = row.text();
    line.per_call = row.number() != 0;
    line.count = row.number();
    line.rate_pico_usd = row.number();
    line.amount_pico_usd = row.number();
    const auto list_rate = row.maybe();
    line.multiplier = row.text();
    line.list_rate_pico_usd = list_rate.value_or(line.rate_pico_usd);
  }
  return lines;
}

int64_t sum_of(const std::vector<pricing::PriceLine>& lines) {
  int64_t sum = 0;
  for (const pricing::PriceLine& line : lines) sum += line.amount_pico_usd;
  return sum;
}

}  // namespace

CallReader::CallReader(SQLite::Database& db)
    : has_history_(history_in(db)),
      request_(db, request_sql(has_history_)),
      extra_(db,
             "SELECT kind, model, input_tokens, output_tokens, thinking_tokens, "
             "cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens "
             "FROM request_extra_usage WHERE request_id = ? ORDER BY position"),
      tool_(db, "SELECT name, count FROM request_tool_calls WHERE request_id = ? ORDER BY name"),
      part_(db,
            "SELECT extra_position, bucket, tokens FROM request_usage_parts "
            "WHERE request_id = ? ORDER BY extra_position, bucket"),
      line_(db, line_sql(has_history_)),
      flag_(db, "SELECT flag FROM request_price_flags WHERE request_id = ? ORDER BY flag") {
  if (!has_history_) return;
  iteration_.emplace(db,
                     "SELECT input_tokens, output_tokens, thinking_tokens, cache_read_tokens, "
                     "cache_write_5m_tokens, cache_write_1h_tokens FROM request_iterations "
                     "WHERE request_id = ? ORDER BY position");
  past_.emplace(db, "SELECT h.position, h.replaced_at, " + price_columns("h") +
                        " FROM request_price_history h WHERE h.request_id = ? ORDER BY h.position");
  past_line_.emplace(db,
                     "SELECT model, bucket, per_call, count, rate_pico_usd, amount_pico_usd, "
                     "list_rate_pico_usd, multiplier FROM request_price_history_lines "
                     "WHERE request_id = ? AND history_position = ? ORDER BY position");
  past_flag_.emplace(db,
                     "SELECT flag FROM request_price_history_flags "
                     "WHERE request_id = ? AND history_position = ? ORDER BY flag");
}

std::optional<StoredCall> CallReader::read(const std::string& id) {
  StoredCall call;
  {
    Rows row(request_, id);
    if (!row.next()) return std::nullopt;
    CallRecord& r = call.record;
    r.id = id;
    for (std::string* field : {&r.provider, &r.rate_namespace, &r.host, &r.model,
                               &r.requested_model, &r.endpoint, &r.mode, &r.request_kind})
      *field = row.text();
    r.stream = row.number() != 0;
    r.transport = row.text();
    r.billing = row.text();
    read_usage(row, r.usage);
    r.tokens_complete = row.number() != 0;
    r.incomplete_reason = row.text();
    r.counted_tokens = row.maybe();
    r.service_tier = row.text();
    r.geo = row.text();
    r.provider_cost_pico_usd = row.maybe();
    r.requested_at_us = parse_timestamp(row.text()).value_or(0);
    r.status = status_of(row.text());
    if (const auto status = row.maybe()) r.http_status = static_cast<int>(*status);
    for (std::string* field : {&r.error_kind, &r.provider_request_id, &r.response_id,
                               &r.cache_lifetime, &r.bucket_doubt, &r.key_print, &call.project})
      *field = row.text();
    read_price(row, call.price);
  }
  read_children(id, call);
  restore_doubt(call);
  return call;
}

void CallReader::read_children(const std::string& id, StoredCall& call) {
  CallRecord& r = call.record;
  for (Rows row(extra_, id); row.next();) {
    ExtraUsage& extra = r.extra_usage.emplace_back();
    extra.kind = row.text();
    extra.model = row.text();
    read_usage(row, extra.usage);
  }
  for (Rows row(part_, id); row.next();) {
    const int64_t position = row.number();
    UsagePart part;
    part.bucket = row.text();
    part.tokens = row.number();
    if (position < 0)
      r.usage.parts.push_back(std::move(part));
    else if (static_cast<size_t>(position) < r.extra_usage.size())
      r.extra_usage[static_cast<size_t>(position)].usage.parts.push_back(std::move(part));
  }
  for (Rows row(tool_, id); row.next();) {
    ToolCalls& calls = r.tool_calls.emplace_back();
    calls.name = row.text();
    calls.count = row.number();
  }
  if (iteration_)
    for (Rows row(*iteration_, id); row.next();) read_usage(row, r.iterations.emplace_back());
  {
    Rows row(line_, id);
    call.price.lines = read_lines(row);
  }
  call.price.pico_usd = sum_of(call.price.lines);
  for (Rows row(flag_, id); row.next();) call.price.flags.push_back(row.text());
}

// Rows that are older than the column: what the price said of it.
void CallReader::restore_doubt(StoredCall& call) const {
  std::string& doubt = call.record.bucket_doubt;
  if (!doubt.empty()) return;
  if (is_meters_doubt(call.price.reason)) doubt = call.price.reason;
  const auto& flags = call.price.flags;
  if (std::find(flags.begin(), flags.end(), "fallback_credit") != flags.end())
    doubt = "fallback_credit";
}

std::vector<PastPrice> CallReader::past(const std::string& id) {
  std::vector<PastPrice> list;
  if (!has_history_) return list;
  std::vector<int64_t> positions;
  {
    Rows row(*past_, id);
    while (row.next()) {
      positions.push_back(row.number());
      PastPrice& past = list.emplace_back();
      past.replaced_at_us = parse_timestamp(row.text()).value_or(0);
      read_price(row, past.price);
    }
  }
  for (size_t i = 0; i < list.size(); ++i) {
    past_line_->bind(2, positions[i]);
    {
      Rows row(*past_line_, id);
      list[i].price.lines = read_lines(row);
    }
    list[i].price.pico_usd = sum_of(list[i].price.lines);
    past_flag_->bind(2, positions[i]);
    for (Rows row(*past_flag_, id); row.next();) list[i].price.flags.push_back(row.text());
  }
  return list;
}

}  // namespace hm::store
