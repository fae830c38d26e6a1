#include <algorithm>
#include <chrono>
#include <istream>
#include <thread>

#include "cli/cmd_pricing.h"
#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/json_text.h"
#include "cli/money.h"
#include "cli/pair_state.h"
#include "cli/period.h"
#include "cli/plain_words.h"
#include "cli/text.h"
#include "common/base/key_print.h"
#include "interceptor/store/reprice.h"

namespace hm::cli {
namespace {

constexpr size_t kMaxKey = 8192;

std::string calls_text(int64_t count) {
  return thousands(count) + (count == 1 ? " call" : " calls");
}

std::string signed_dollars(pricing::PicoUsd before, pricing::PicoUsd after) {
  return (after < before ? "" : "+") + dollars(after - before);
}

void sums(JsonText& json, const store::RepricedModel& model) {
  const auto money = [&](const std::string& name, pricing::PicoUsd amount) {
    json.key(name + "_pico_usd").raw(amount.digits());
    json.member(name + "_usd", amount.exact_dollars());
  };
  json.member("calls", model.calls)
      .member("newly_priced", model.newly_priced)
      .member("newly_unpriced", model.newly_unpriced);
  money("cost_before", model.cost_before);
  money("cost_after", model.cost_after);
  money("shadow_cost_before", model.shadow_before);
  money("shadow_cost_after", model.shadow_after);
}

store::RepricedModel sum_of(const store::RepriceOutcome& outcome) {
  store::RepricedModel sum;
  for (const store::RepricedModel& model : outcome.models) {
    sum.calls += model.calls;
    sum.newly_priced += model.newly_priced;
    sum.newly_unpriced += model.newly_unpriced;
    sum.cost_before += model.cost_before;
    sum.cost_after += model.cost_after;
    sum.shadow_before += model.shadow_before;
    sum.shadow_after += model.shadow_after;
  }
  return sum;
}

std::string outcome_json(const store::RepriceOutcome& outcome, const pricing::RateCard& card,
                         bool dry_run) {
  JsonText json;
  json.begin_object()
      .member("dry_run", dry_run)
      .member("card_id", card.id())
      .member("card_date", card.card_date())
      .member("has_overrides", card.has_overrides())
      .member("looked_at", outcome.looked_at)
      .member("moved", outcome.moved)
      .key("totals")
      .begin_object();
  sums(json, sum_of(outcome));
  json.end_object().key("models").begin_array();
  for (const store::RepricedModel& model : outcome.models) {
    json.begin_object().member("provider", model.provider).member("model", model.model);
    sums(json, model);
    json.end_object();
  }
  return json.end_array().end_object().take();
}

std::string outcome_text(const store::RepriceOutcome& outcome, bool dry_run,
                         const TableStyle& style) {
  std::string out = calls_text(outcome.looked_at) + " looked at, " +
                    (outcome.moved == 0 ? "none" : thousands(outcome.moved)) +
                    (dry_run ? " would move\n" : " moved\n");
  if (outcome.moved == 0) return out;
  const store::RepricedModel sum = sum_of(outcome);
  const bool with_shadow = !sum.shadow_before.zero() || !sum.shadow_after.zero();
  std::vector<Column> columns{{"provider", Align::left, 3},      {"model"},
                              {"calls", Align::right, 2},        {"now priced", Align::right, 4},
                              {"now unpriced", Align::right, 5}, {"before", Align::right},
                              {"after", Align::right},           {"change", Align::right, 1}};
  if (with_shadow) {
    columns.push_back({"shadow before", Align::right, 6});
    columns.push_back({"shadow after", Align::right, 6});
  }
  Table table(columns);
  const auto add = [&](const store::RepricedModel& model, const std::string& provider,
                       const std::string& name) {
    std::vector<std::string> cells{provider,
                                   name,
                                   thousands(model.calls),
                                   model.newly_priced > 0 ? thousands(model.newly_priced) : "-",
                                   model.newly_unpriced > 0 ? thousands(model.newly_unpriced) : "-",
                                   dollars(model.cost_before),
                                   dollars(model.cost_after),
                                   signed_dollars(model.cost_before, model.cost_after)};
    if (with_shadow) {
      cells.push_back(dollars(model.shadow_before));
      cells.push_back(dollars(model.shadow_after));
    }
    table.add(std::move(cells));
  };
  for (const store::RepricedModel& model : outcome.models)
    add(model, printable(model.provider),
        model.model.empty() ? "(unknown)" : printable(model.model));
  if (outcome.models.size() > 1) add(sum, "", "all");
  out += table.text(style);
  out += dry_run ? "Nothing was changed. Without --dry-run the new figures are stored.\n"
                 : "The figures before are kept; halton-meter report --explain ID shows both.\n";
  return out;
}

// A meter that runs takes up the same rates, so that calls from now on match those priced again.
void tell_running_meter(Context& context, const pricing::RateCard& card) {
  constexpr int kTries = 40;
  if (!ask_control(context.place.daemon_socket, "rates", 500)) return;  // none runs
  for (int i = 0; i < kTries; ++i) {
    const auto status = StatusAnswer::ask(context.place.daemon_socket);
    if (!status) return;
    if (status->text("rates.card") == card.id()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  *context.err << "halton-meter pricing: the running meter still has other rates; restart it\n";
}

}  // namespace

int pricing_reprice(Context& context, const Flags& flags) {
  store::RepriceOptions options;
  options.database = context.home.database();
  options.dry_run = flags.has("dry-run");
  if (const auto since = flags.value("since")) {
    const auto period = period_of({.since = since, .from = {}, .to = {}}, context.clock->wall_us());
    if (!period) return usage_error(context, "pricing", period.error());
    options.since_us = period->from_us;
  }
  const pricing::UserRates rates = current_rates(context);
  if (!rates.problem.empty()) {
    *context.err << "halton-meter pricing: nothing is priced again before rates.toml is mended\n";
    return kNotWell;
  }
  if (!options.dry_run) tell_running_meter(context, *rates.card);
  const auto outcome = store::reprice(options, *rates.card, *context.clock);
  if (!outcome && outcome.error().code == Code::not_found) {
    *context.err << "halton-meter pricing: no calls have been metered yet\n";
    if (flags.has("json")) *context.out << outcome_json({}, *rates.card, options.dry_run);
    return kFine;
  }
  if (!outcome) {
    *context.err << "halton-meter pricing: " << options.database.string();
    if (outcome.error().code == Code::refused) {
      *context.err << " was written by a newer version; use that one\n";
    } else if (outcome.error().code == Code::busy) {
      *context.err << " stays locked by another program; what was done so far is kept, try again\n";
    } else {
      *context.err << " cannot be priced again: " << in_words(outcome.error())
                   << "\nWhat to do: halton-meter doctor\n";
    }
    const bool surroundings =
        outcome.error().code == Code::permission || outcome.error().code == Code::system;
    return surroundings ? kEnvironment : kNotWell;
  }
  if (flags.has("json")) {
    *context.out << outcome_json(*outcome, *rates.card, options.dry_run);
  } else {
    *context.out << outcome_text(*outcome, options.dry_run, context.style);
  }
  return kFine;
}

int pricing_key(Context& context) {
  std::string key;
  if (context.in != nullptr) {
    for (char c = 0; key.size() < kMaxKey && context.in->get(c) && c != '\n';) key.push_back(c);
  }
  key.erase(0, std::min(key.find_first_not_of(" \t\r"), key.size()));
  key.erase(key.find_last_not_of(" \t\r") + 1);
  if (key.empty())
    return usage_error(context, "pricing", "key reads the key from standard input, one line");
  const auto printer = KeyPrinter::load_or_create(context.home.key_print_secret());
  if (!printer) {
    *context.err << "halton-meter pricing: " << context.home.key_print_secret().string() << ": "
                 << in_words(printer.error()) << "\nWhat to do: halton-meter doctor\n";
    return printer.error().code == Code::permission ? kEnvironment : kNotWell;
  }
  *context.out << printer->print(key) << "\n";
  return kFine;
}

}  // namespace hm::cli
