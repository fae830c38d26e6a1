#include "interceptor/store/price_book.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <utility>

#include "interceptor/store/read_only.h"
#include "interceptor/store/sqlite_error.h"
#include "interceptor/store/stored_call.h"
#include "interceptor/store/where.h"

namespace hm::store {
namespace {

std::string begins() {
  std::string condition = "id >= ? AND id < ? AND ";
  condition += kNoSelfTest;
  return condition;
}

// The ids behind the text: ids are ASCII, and nothing in ASCII sorts behind 0x7F.
int bind_beginning(SQLite::Statement& row, const std::string& text) {
  row.bind(1, text);
  row.bind(2, text + '\x7F');
  return 3;
}

}  // namespace

struct PriceBook::Parts {
  explicit Parts(std::unique_ptr<SQLite::Database> db_in) : db(std::move(db_in)) {}
  std::unique_ptr<SQLite::Database> db;

  template <class Job>
  auto run(const char* where, Job job) -> decltype(job()) {
    try {
      return job();
    } catch (const SQLite::Exception& exception) {
      return std::unexpected(from_sqlite(exception, where));
    }
  }
};

PriceBook::PriceBook(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
PriceBook::~PriceBook() = default;
PriceBook::PriceBook(PriceBook&&) noexcept = default;
PriceBook& PriceBook::operator=(PriceBook&&) noexcept = default;

Result<PriceBook> PriceBook::open(const std::filesystem::path& database) {
  auto opened = open_read_only(database);
  if (!opened) return std::unexpected(opened.error());
  return PriceBook(std::make_unique<Parts>(std::move(*opened)));
}

Result<std::vector<std::string>> PriceBook::find(const std::string& text, int64_t limit) {
  return parts_->run("store.find", [&]() -> Result<std::vector<std::string>> {
    std::vector<std::string> ids;
    const auto collect = [&](const char* condition, const auto& bind) {
      if (!ids.empty()) return;
      SQLite::Statement row(*parts_->db, std::string("SELECT id FROM requests r WHERE ") +
                                             condition + " ORDER BY requested_at DESC, id LIMIT ?");
      const int next = bind(row);
      row.bind(next, limit);
      while (row.executeStep()) ids.push_back(row.getColumn(0).getString());
    };
    const auto once = [&](SQLite::Statement& row) {
      row.bind(1, text);
      return 2;
    };
    SQLite::Transaction snapshot(*parts_->db);
    collect("id = ?", once);
    collect("provider_request_id = ?1 OR response_id = ?1", once);
    if (!text.empty())
      collect(begins().c_str(), [&](SQLite::Statement& row) { return bind_beginning(row, text); });
    return ids;
  });
}

Result<int64_t> PriceBook::beginning_with(const std::string& text) {
  return parts_->run("store.count", [&]() -> Result<int64_t> {
    SQLite::Statement row(*parts_->db, "SELECT count(*) FROM requests r WHERE " + begins());
    bind_beginning(row, text);
    return row.executeStep() ? row.getColumn(0).getInt64() : 0;
  });
}

Result<ExplainedCall> PriceBook::explain(const std::string& id) {
  return parts_->run("store.explain", [&]() -> Result<ExplainedCall> {
    SQLite::Transaction snapshot(*parts_->db);
    CallReader reader(*parts_->db);
    auto call = reader.read(id);
    if (!call) return fail(Code::not_found, "store.explain");
    return ExplainedCall{std::move(*call), reader.past(id)};
  });
}

Result<PriceNotes> PriceBook::notes(const Filter& filter) {
  return parts_->run("store.price_notes", [&]() -> Result<PriceNotes> {
    PriceNotes notes;
    SQLite::Database& db = *parts_->db;
    SQLite::Transaction snapshot(db);
    const Where where(filter);
    const auto count = [&](const std::string& sql, std::map<std::string, int64_t>& out) {
      SQLite::Statement row(db, sql);
      where.bind(row);
      while (row.executeStep()) out[row.getColumn(0).getString()] = row.getColumn(1).getInt64();
    };
    // From the few to the many: CROSS JOIN keeps that order.
    const auto joined = [](const char* table) {
      return std::string(" FROM ") + table +
             " n CROSS JOIN requests r ON r.id = n.request_id JOIN projects p ON p.id = "
             "r.project_id";
    };
    count("SELECT n.flag, count(*)" + joined("request_price_flags") + where.sql() + " GROUP BY 1",
          notes.flags);
    if (db.tableExists("request_price_history")) {
      Where repriced(filter);
      repriced.condition("n.position = 0");
      SQLite::Statement row(db,
                            "SELECT count(*)" + joined("request_price_history") + repriced.sql());
      repriced.bind(row);
      if (row.executeStep()) notes.repriced = row.getColumn(0).getInt64();
    }
    return notes;
  });
}

}  // namespace hm::store
