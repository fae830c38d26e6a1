#include "interceptor/store/bulk_insert.h"

#include "interceptor/store/request_statements.h"
#include "interceptor/store/statement_use.h"

namespace hm::store {
namespace {

constexpr const char* kCalls = "hm_bulk_calls";
constexpr const char* kLines = "hm_bulk_lines";
constexpr const char* kIds = "hm_bulk_ids";
constexpr size_t kLineColumns = 10;

// OR ROLLBACK: with anything milder SQLite copies every page it changes, in case the statement is
// to be undone alone.
std::string calls_sql() {
  return "INSERT OR ROLLBACK INTO requests (" + insert_columns().names + ") SELECT * FROM " +
         kCalls;
}

std::string lines_sql() {
  return std::string(
             "INSERT OR ROLLBACK INTO request_cost_lines (request_id, position, model, bucket, "
             "per_call, count, rate_pico_usd, amount_pico_usd, list_rate_pico_usd, multiplier) "
             "SELECT * FROM ") +
         kLines;
}

std::string lost_sql() {
  return std::string("SELECT m.call_id FROM ") + kIds +
         " i CROSS JOIN misses m ON m.call_id = i.c0 WHERE m.reason = 'interceptor_lost'";
}

}  // namespace

BulkInsert::BulkInsert(SQLite::Database& db)
    : call_rows_(db, kCalls, insert_columns().columns),
      line_rows_(db, kLines, kLineColumns),
      id_rows_(db, kIds, 1),
      calls_(db, calls_sql()),
      lines_(db, lines_sql()),
      lost_(db, lost_sql()) {}

void BulkInsert::run(std::span<const PricedCall> calls) {
  call_rows_.set([calls](size_t row, RowValues& values) {
    if (row >= calls.size()) return false;
    BindAll<RowValues> bind{values};
    visit_columns(bind, *calls[row].record, calls[row].price, *calls[row].project_id);
    return true;
  });
  Use(calls_).run();

  order_.clear();
  for (size_t call = 0; call < calls.size(); ++call)
    for (size_t line = 0; line < calls[call].price.lines.size(); ++line)
      order_.emplace_back(call, line);
  line_rows_.set([this, calls](size_t row, RowValues& values) {
    if (row >= order_.size()) return false;
    const auto [call, position] = order_[row];
    const pricing::PriceLine& line = calls[call].price.lines[position];
    values.lasting(calls[call].record->id) << static_cast<int64_t>(position);
    values.lasting(line.model).lasting(line.bucket) << int64_t{line.per_call} << line.count;
    values << line.rate_pico_usd << line.amount_pico_usd << line.list_rate_pico_usd;
    values.lasting_text(line.multiplier);
    return true;
  });
  if (!order_.empty()) Use(lines_).run();
}

std::set<std::string> BulkInsert::lost(std::span<const PricedCall> calls) {
  id_rows_.set([calls](size_t row, RowValues& values) {
    if (row >= calls.size()) return false;
    values.lasting_text(calls[row].record->call_id);
    return true;
  });
  std::set<std::string> ids;
  Use found(lost_);
  while (found.step()) ids.insert(found.column(0).getString());
  return ids;
}

}  // namespace hm::store
