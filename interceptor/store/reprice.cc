#include "interceptor/store/reprice.h"

#include <algorithm>
#include <map>
#include <memory>
#include <thread>
#include <tuple>
#include <utility>

#include "interceptor/pricing/price.h"
#include "interceptor/store/database.h"
#include "interceptor/store/read_only.h"
#include "interceptor/store/row_writer.h"
#include "interceptor/store/sqlite_error.h"
#include "interceptor/store/stored_call.h"

namespace hm::store {
namespace {

using Steady = std::chrono::steady_clock;
using pricing::PicoUsd;
using pricing::PriceResult;

constexpr int64_t kPage = 256;
constexpr std::chrono::milliseconds kLeastPause{5};

constexpr const char* kWithoutPrice = "cost_pico_usd IS NULL AND shadow_cost_pico_usd IS NULL";
constexpr const char* kWithPrice =
    "(cost_pico_usd IS NOT NULL OR shadow_cost_pico_usd IS NOT NULL)";

// What is read back has not always the order of the first time: tool calls come by name.
auto shown(const PriceResult& price) {
  std::vector<std::tuple<std::string, std::string, bool, int64_t, int64_t, int64_t>> lines;
  for (const pricing::PriceLine& line : price.lines)
    lines.emplace_back(line.model, line.bucket, line.per_call, line.count, line.rate_pico_usd,
                       line.amount_pico_usd);
  std::sort(lines.begin(), lines.end());
  return lines;
}

// A new card with the same figures moves nothing: the old stamp stays true.
bool moved(const PriceResult& before, PriceResult& after) {
  std::sort(after.flags.begin(), after.flags.end());
  after.flags.erase(std::unique(after.flags.begin(), after.flags.end()), after.flags.end());
  return before.cost_pico_usd != after.cost_pico_usd ||
         before.shadow_cost_pico_usd != after.shadow_cost_pico_usd ||
         before.reason != after.reason || before.flags != after.flags ||
         shown(before) != shown(after);
}

struct Change {
  std::string provider;
  std::string model;
  PriceResult before;
  PriceResult after;
};

class Repricer {
 public:
  Repricer(const RepriceOptions& options, const pricing::RateCard& card, const Clock& clock,
           SQLite::Database& db)
      : options_(options), card_(card), clock_(clock), db_(db), reader_(db) {
    if (!options.dry_run) rows_ = std::make_unique<RowWriter>(db);
  }

  RepriceOutcome run() {
    // What had no price comes first: should this be interrupted, the gaps are closed.
    pass(kWithoutPrice);
    const int64_t twice = options_.dry_run ? 0 : newly_priced();
    if (!options_.without_price_only) {
      pass(kWithPrice);
      outcome_.looked_at -= twice;
    }
    finish();
    return std::move(outcome_);
  }

 private:
  void pass(const char* condition) {
    SQLite::Statement page(db_, std::string("SELECT requested_at, id FROM requests WHERE ") +
                                    condition +
                                    " AND (requested_at > ?1 OR (requested_at = ?1 AND id > ?2)) "
                                    "ORDER BY requested_at, id LIMIT ?3");
    std::string at = options_.since_us ? iso8601_utc(*options_.since_us) : "", id;
    while (true) {
      std::vector<std::string> ids;
      page.bind(1, at);
      page.bind(2, id);
      page.bind(3, kPage);
      while (page.executeStep()) {
        at = page.getColumn(0).getString();
        id = page.getColumn(1).getString();
        ids.push_back(id);
      }
      page.reset();
      if (ids.empty()) return;
      outcome_.looked_at += static_cast<int64_t>(ids.size());
      look_at(ids);
    }
  }

  // First without any lock; what seems to move is looked at again when nobody else can write.
  void look_at(const std::vector<std::string>& ids) {
    std::vector<std::string> candidates;
    {
      SQLite::Transaction snapshot(db_);
      for (const std::string& id : ids) {
        const auto change = change_of(id);
        if (!change) continue;
        if (options_.dry_run)
          note(*change);
        else
          candidates.push_back(id);
      }
    }
    const auto step = static_cast<size_t>(std::max<int64_t>(1, options_.rows_at_once));
    for (size_t from = 0; from < candidates.size(); from += step)
      write(candidates, from, std::min(candidates.size(), from + step));
  }

  std::optional<Change> change_of(const std::string& id) {
    auto stored = reader_.read(id);
    if (!stored) return std::nullopt;
    PriceResult after = pricing::price(card_, stored->record);
    if (!moved(stored->price, after)) return std::nullopt;
    return Change{stored->record.provider, stored->record.model, std::move(stored->price),
                  std::move(after)};
  }

  void write(const std::vector<std::string>& ids, size_t from, size_t to) {
    const std::string now = iso8601_utc(clock_.wall_us());
    if (!std::exchange(card_written_, true)) briefly([&] { rows_->write_rates(card_); });
    std::vector<Change> changes;
    briefly([&] {
      changes.clear();  // of an attempt that came to nothing
      for (size_t i = from; i < to; ++i) {
        auto change = change_of(ids[i]);
        if (!change) continue;
        rows_->replace_price(ids[i], change->after, now);
        changes.push_back(std::move(*change));
      }
    });
    for (const Change& change : changes) note(change);
  }

  // One short transaction, and then as long a pause for the others.
  template <class Job>
  void briefly(Job job) {
    const auto give_up = Steady::now() + options_.patience;
    while (true) {
      const auto began = Steady::now();
      try {
        SQLite::Transaction transaction(db_, SQLite::TransactionBehavior::IMMEDIATE);
        job();
        transaction.commit();
      } catch (const SQLite::Exception& exception) {
        if (from_sqlite(exception, "").code != Code::busy || Steady::now() >= give_up) throw;
        std::this_thread::sleep_for(options_.busy_timeout / 5);
        continue;
      }
      const auto took =
          std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - began);
      std::this_thread::sleep_for(std::max(kLeastPause, took));
      return;
    }
  }

  void note(const Change& change) {
    const auto known = [](const PriceResult& price) {
      return price.cost_pico_usd || price.shadow_cost_pico_usd;
    };
    RepricedModel& model = models_[{change.provider, change.model}];
    ++outcome_.moved;
    ++model.calls;
    if (!known(change.before) && known(change.after)) ++model.newly_priced;
    if (known(change.before) && !known(change.after)) ++model.newly_unpriced;
    model.cost_before += PicoUsd(change.before.cost_pico_usd.value_or(0));
    model.cost_after += PicoUsd(change.after.cost_pico_usd.value_or(0));
    model.shadow_before += PicoUsd(change.before.shadow_cost_pico_usd.value_or(0));
    model.shadow_after += PicoUsd(change.after.shadow_cost_pico_usd.value_or(0));
  }

  [[nodiscard]] int64_t newly_priced() const {
    int64_t count = 0;
    for (const auto& [name, model] : models_) count += model.newly_priced;
    return count;
  }

  void finish() {
    for (auto& [name, model] : models_) {
      std::tie(model.provider, model.model) = name;
      outcome_.models.push_back(std::move(model));
    }
    const auto distance = [](const RepricedModel& model) {
      const auto size = [](PicoUsd a, PicoUsd b) { return a > b ? a - b : b - a; };
      return size(model.cost_after, model.cost_before) +
             size(model.shadow_after, model.shadow_before);
    };
    // By name where nothing else decides. (Not stable_sort: clang refuses what it is made of here.)
    std::sort(outcome_.models.begin(), outcome_.models.end(),
              [&](const RepricedModel& a, const RepricedModel& b) {
                const bool first = a.newly_priced > 0, second = b.newly_priced > 0;
                if (first != second) return first;
                if (distance(a) != distance(b)) return distance(a) > distance(b);
                return std::tie(a.provider, a.model) < std::tie(b.provider, b.model);
              });
  }

  const RepriceOptions& options_;
  const pricing::RateCard& card_;
  const Clock& clock_;
  SQLite::Database& db_;
  CallReader reader_;
  std::unique_ptr<RowWriter> rows_;
  bool card_written_ = false;
  std::map<std::pair<std::string, std::string>, RepricedModel> models_;
  RepriceOutcome outcome_;
};

}  // namespace

Result<RepriceOutcome> reprice(const RepriceOptions& options, const pricing::RateCard& card,
                               const Clock& clock) {
  auto db = options.dry_run ? open_read_only(options.database)
                            : open_second_writer(options.database, options.busy_timeout, clock);
  if (!db) return std::unexpected(db.error());
  try {
    return Repricer(options, card, clock, **db).run();
  } catch (const SQLite::Exception& exception) {
    return std::unexpected(from_sqlite(exception, "store.reprice"));
  }
}

}  // namespace hm::store
