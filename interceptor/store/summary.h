// All that a report says, from one walk over the rows: SQLite hands each row to an aggregate of
// ours, which keeps a cell for each project, provider, model and source of the price; the tables
// are sums of cells. One statement for each table would read a million rows ten times. Inside this
// folder only.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <vector>

#include "interceptor/store/queries.h"

namespace hm::store {

// Throws SQLite::Exception. All from one snapshot.
[[nodiscard]] Summary summarize(SQLite::Database& db, const Filter& filter);

void sort_dearest_first(std::vector<Group>& groups);

}  // namespace hm::store
