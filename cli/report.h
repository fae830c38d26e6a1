// The cost report: what was read from the database, and its three forms. The forms are pure.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/period.h"
#include "cli/table.h"
#include "common/base/result.h"
#include "interceptor/pricing/rate_card.h"
#include "interceptor/store/queries.h"
#include "interceptor/store/stored_price.h"

namespace hm::cli {

enum class ReportTable : unsigned char { project, provider, model };

[[nodiscard]] std::string_view name_of(ReportTable table);

struct ReportWish {
  Period period;
  std::string project;
  std::string run_id;
  std::vector<ReportTable> tables;
  bool misses_only = false;  // --by reason
};

struct ReportSection {
  ReportTable table = ReportTable::project;
  std::vector<store::Group> groups;
};

struct Report {
  ReportWish wish;
  store::Totals totals;
  std::vector<ReportSection> sections;
  // Misses know nothing of projects and runs: with such a filter they are those of the period.
  bool covers_all = true;
  store::MeteredShare share;
  std::vector<store::MissCount> misses;
  std::vector<store::UnpricedModel> unpriced;
  std::map<std::string, int64_t> sources;  // of the prices, see store::Summary
  store::PriceNotes notes;
  std::shared_ptr<const pricing::RateCard> card;  // in force today; null: not told
  pricing::Day today = 0;
};

[[nodiscard]] store::Filter filter_of(const ReportWish& wish);
// Calls past the meter: the counts of each reason, and "gate_closed 2, ask_full 1".
[[nodiscard]] std::map<std::string, int64_t> by_reason(const std::vector<store::MissCount>& misses);
[[nodiscard]] std::string reasons_text(const std::vector<store::MissCount>& misses);

[[nodiscard]] Result<Report> read_report(store::Queries& queries, const ReportWish& wish);

[[nodiscard]] std::string report_text(const Report& report, const std::string& version,
                                      const TableStyle& style);
[[nodiscard]] std::string report_json(const Report& report, const std::string& version);
[[nodiscard]] std::string report_csv(const Report& report);  // the first section, or the misses

}  // namespace hm::cli
