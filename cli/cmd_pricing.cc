#include "cli/cmd_pricing.h"

#include <algorithm>
#include <array>

#include "cli/command.h"
#include "cli/json_text.h"
#include "cli/period_flags.h"
#include "cli/plain_words.h"
#include "cli/rates_text.h"
#include "cli/text.h"
#include "interceptor/pricing/user_rates.h"
#include "interceptor/store/queries.h"
#include "interceptor/store/reprice.h"

namespace hm::cli {

pricing::UserRates current_rates(Context& context) {
  pricing::UserRates rates = pricing::load_user_rates(context.home.rates());
  if (!rates.problem.empty()) *context.err << "halton-meter: " << rates.problem << "\n";
  return rates;
}

namespace {

pricing::Day today(const Context& context) {
  return pricing::day_of(context.clock->wall_us());
}

int list(Context& context, const Flags& flags) {
  const auto rates = current_rates(context);
  const std::string provider = flags.value_or("provider", "");
  const auto& entries = rates.card->entries();
  if (!provider.empty() &&
      std::ranges::find(entries, provider, &pricing::ModelEntry::provider) == entries.end()) {
    *context.err << "halton-meter pricing: no card has rates of '" << printable(provider)
                 << "'\nWhat to do: halton-meter pricing list shows every provider; a rate of your "
                    "own goes into rates.toml (docs/pricing.md)\n";
    return kNotWell;
  }
  if (flags.has("json")) {
    *context.out << rates_list_json(*rates.card, provider, today(context));
  } else {
    *context.out << card_line(*rates.card, today(context))
                 << rates_list(*rates.card, provider, today(context), context.style);
  }
  return kFine;
}

int show(Context& context, const Flags& flags, const std::string& id) {
  const auto rates = current_rates(context);
  const pricing::RateCard& card = *rates.card;
  const std::string wanted = flags.value_or("provider", "");
  std::vector<std::string> providers;
  for (const pricing::ModelEntry& entry : card.entries()) {
    const bool listed =
        std::find(providers.begin(), providers.end(), entry.provider) != providers.end();
    if (!listed && (wanted.empty() || wanted == entry.provider))
      providers.push_back(entry.provider);
  }
  std::string near;
  for (const std::string& provider : providers) {
    if (const pricing::ModelEntry* entry = card.find(provider, id, today(context))) {
      if (flags.has("json")) {
        *context.out << entry_json(card, *entry, today(context));
      } else {
        *context.out << card_line(card, today(context)) << entry_text(*entry, today(context));
      }
      return kFine;
    }
    for (const std::string& known : card.closest(provider, id)) {
      if (!near.empty()) near += ", ";
      near += printable(known);
    }
  }
  *context.err << "halton-meter pricing: no card knows '" << printable(id) << "'";
  if (!near.empty()) *context.err << "; the nearest ids are " << near;
  *context.err << "\nWhat to do: halton-meter pricing list shows every id; a rate of your own goes "
                  "into rates.toml (docs/pricing.md)\n";
  return kNotWell;
}

struct Verdict {
  std::string problem;  // empty: it is good
  std::string praise;   // one sentence
  int64_t models = 0;   // of the card, or of rates.toml's own
  std::string to_confirm;
};

// A card is JSON, a user's own rates are TOML.
Verdict verdict_on(const std::string& text, const std::string& path, pricing::Day today) {
  Verdict verdict;
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '{') {
    std::string why;
    const auto card = pricing::RateCard::parse(text, &why);
    if (!card) return {path + ": " + why, {}, 0, {}};
    verdict.models = static_cast<int64_t>(card->entries().size());
    verdict.praise = path + ": a good rate card of " + card->card_date() + " with " +
                     std::to_string(verdict.models) + " models";
    verdict.to_confirm = changes_to_confirm(pricing::RateCard::bundled(), *card, today);
    return verdict;
  }
  const auto card = pricing::with_user_rates(text, path);
  if (!card) return {card.error(), {}, 0, {}};
  verdict.models =
      static_cast<int64_t>(card->entries().size() - pricing::RateCard::bundled().entries().size());
  verdict.praise = path + ": good, " + std::to_string(verdict.models) +
                   (verdict.models == 1 ? " model" : " models") + " of its own";
  return verdict;
}

int check(Context& context, const Flags& flags, const std::string& path) {
  const auto text = read_file(path);
  if (!text) {
    *context.err << "halton-meter pricing: " << path
                 << " cannot be read: " << in_words(text.error())
                 << "\nWhat to do: check its name, and that you may read it\n";
    return kNotWell;
  }
  const Verdict verdict = verdict_on(*text, path, today(context));
  const bool good = verdict.problem.empty();
  if (flags.has("json")) {
    JsonText json;
    json.begin_object().member("file", path).member("good", good).key("problem");
    good ? json.null() : json.value(verdict.problem);
    json.member("models", verdict.models).key("to_confirm").begin_array();
    for (size_t at = 0; at < verdict.to_confirm.size();) {
      const size_t end = verdict.to_confirm.find('\n', at);
      json.value(verdict.to_confirm.substr(at, end - at));
      at = end + 1;
    }
    json.end_array().end_object();
    *context.out << json.take();
  } else if (!good) {
    *context.err << printable(verdict.problem) << "\n";
  } else {
    *context.out << verdict.praise << "\n";
    if (!verdict.to_confirm.empty())
      *context.out << "To be confirmed, compared with the card in use:\n" << verdict.to_confirm;
  }
  return good ? kFine : kNotWell;
}

// Calls that had no rates when they were made and would have a price today.
std::string known_by_now(Context& context, const pricing::RateCard& card) {
  store::RepriceOptions options;
  options.database = context.home.database();
  options.dry_run = true;
  options.without_price_only = true;
  const auto outcome = store::reprice(options, card, *context.clock);
  int64_t calls = 0;
  if (outcome)
    for (const store::RepricedModel& model : outcome->models) calls += model.newly_priced;
  if (calls == 0) return {};
  return thousands(calls) + (calls == 1 ? " of these calls has" : " of these calls have") +
         " rates by now: halton-meter pricing reprice\n";
}

std::string first_seen(const store::UnpricedModel& model) {
  return iso8601_utc(model.first_seen_us);
}

int unpriced(Context& context, const Flags& flags) {
  std::vector<store::UnpricedModel> models;
  auto queries = store::Queries::open(context.home.database());
  if (queries) {
    auto read = queries->unpriced_models({});
    if (!read) return cannot_read(context, "pricing", read.error());
    models = std::move(*read);
  } else if (queries.error().code != Code::not_found) {
    return cannot_read(context, "pricing", queries.error());
  }
  const auto rates = current_rates(context);
  if (flags.has("json")) {
    JsonText json;
    json.begin_object().key("unpriced").begin_array();
    for (const store::UnpricedModel& model : models) {
      json.begin_object()
          .member("provider", model.provider)
          .member("model", model.model)
          .member("reason", model.reason)
          .member("calls", model.requests)
          .member("input_tokens", model.input_tokens)
          .member("output_tokens", model.output_tokens)
          .member("first_seen", first_seen(model))
          .key("nearest_known_ids")
          .begin_array();
      for (const std::string& known : rates.card->closest(model.provider, model.model))
        json.value(known);
      json.end_array().end_object();
    }
    json.end_array().end_object();
    *context.out << json.take();
    return kFine;
  }
  if (models.empty()) {
    *context.out << "Every call with usage has a price.\n";
    return kFine;
  }
  Table table({{"provider"},
               {"model"},
               {"reason", Align::left, 2},
               {"calls", Align::right},
               {"tokens in", Align::right},
               {"tokens out", Align::right},
               {"first seen", Align::left, 1},
               {"nearest known ids", Align::left, 3}});
  for (const store::UnpricedModel& model : models) {
    std::string near;
    for (const std::string& known : rates.card->closest(model.provider, model.model))
      near += (near.empty() ? "" : ", ") + known;
    table.add({printable(model.provider),
               model.model.empty() ? "(unknown)" : printable(model.model), printable(model.reason),
               thousands(model.requests), thousands(model.input_tokens),
               thousands(model.output_tokens), first_seen(model), near.empty() ? "-" : near});
  }
  *context.out << table.text(context.style)
               << "The nearest ids are a hint; no price is ever taken from them. Totals with these "
                  "calls are lower bounds (>=).\n"
               << known_by_now(context, *rates.card);
  return kFine;
}

int run(Context& context, const Flags& flags) {
  const std::vector<std::string>& words = flags.operands();
  if (words.empty())
    return usage_error(context, "pricing",
                       "what to do is missing: list, show, check, unpriced, reprice or key");
  const std::string& verb = words[0];
  const bool wants_operand = verb == "show" || verb == "check";
  if (!wants_operand && verb != "list" && verb != "unpriced" && verb != "reprice" && verb != "key")
    return usage_error(context, "pricing", "'" + printable(verb) + "' is not understood");
  if (words.size() != (wants_operand ? 2U : 1U))
    return usage_error(context, "pricing",
                       verb + (verb == "show"    ? " takes one model id"
                               : verb == "check" ? " takes one file"
                                                 : " takes no operand"));
  if (flags.has("provider") && verb != "list" && verb != "show")
    return usage_error(context, "pricing", "--provider belongs to list and show");
  if (flags.has("json") && verb == "key")
    return usage_error(context, "pricing", "key has no --json");
  if ((flags.has("since") || flags.has("dry-run")) && verb != "reprice")
    return usage_error(context, "pricing", "--since and --dry-run belong to reprice");
  if (verb == "reprice") return pricing_reprice(context, flags);
  if (verb == "key") return pricing_key(context);
  if (verb == "list") return list(context, flags);
  if (verb == "show") return show(context, flags, words[1]);
  if (verb == "check") return check(context, flags, words[1]);
  return unpriced(context, flags);
}

constexpr std::array kFlags = {
    FlagSpec{"provider", "NAME", "of list and show: models of this provider only"},
    FlagSpec{"since", "WHEN", "of reprice: calls since then only (7d, 2h, a date)"},
    FlagSpec{"dry-run", "", "of reprice: say what would move and change nothing"},
    FlagSpec{"json", "", "as one JSON object"},
};

}  // namespace

const Command kPricingCommand = {
    .name = "pricing",
    .summary = "the rates in use, and what has none",
    .operands = "list | show MODEL | check FILE | unpriced | reprice | key",
    .about =
        "list      models and their standard rates today\n"
        "show      all rates of a model: periods, tiers, long context, where they come from\n"
        "check     says whether a rates.toml or a rate card is good, else what is wrong\n"
        "unpriced  models that were called and have no price\n"
        "reprice   prices stored calls again with the rates of today, keeps the figures before "
        "and\n"
        "          says what moved; also while calls are being metered\n"
        "key       reads an API key from standard input and prints what [free_tier] keys in\n"
        "          rates.toml takes for it\n"
        "\n"
        "Rates of your own are in rates.toml in the home folder of Halton Meter.\n",
    .example =
        "  halton-meter pricing show claude-opus-5-5\n"
        "  halton-meter pricing reprice --since 30d --dry-run\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
