#include <algorithm>
#include <array>

#include "cli/command.h"
#include "cli/json_text.h"
#include "cli/rates_text.h"
#include "cli/text.h"
#include "interceptor/pricing/user_rates.h"
#include "interceptor/store/queries.h"

namespace hm::cli {
namespace {

pricing::UserRates current_rates(Context& context) {
  pricing::UserRates rates = pricing::load_user_rates(context.home.rates());
  if (!rates.problem.empty()) *context.err << "halton-meter pricing: " << rates.problem << "\n";
  return rates;
}

pricing::Day today(const Context& context) {
  return pricing::day_of(context.clock->wall_us());
}

int list(Context& context, const Flags& flags) {
  const auto rates = current_rates(context);
  const std::string provider = flags.value_or("provider", "");
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
        *context.out << card_line(card, today(context)) << entry_text(*entry);
      }
      return kFine;
    }
    for (const std::string& known : card.closest(provider, id))
      near += (near.empty() ? "" : ", ") + printable(known);
  }
  *context.err << "halton-meter pricing: no card knows '" << printable(id) << "'";
  if (!near.empty()) *context.err << "; the nearest ids are " << near;
  *context.err << "\n";
  return kNotWell;
}

int check(Context& context, const std::string& path) {
  const auto text = read_file(path);
  if (!text) {
    *context.err << "halton-meter pricing: " << path
                 << " cannot be read: " << describe(text.error()) << "\n";
    return kNotWell;
  }
  // A card is JSON, a user's own rates are TOML.
  const size_t first = text->find_first_not_of(" \t\r\n");
  if (first != std::string::npos && (*text)[first] == '{') {
    std::string why;
    const auto card = pricing::RateCard::parse(*text, &why);
    if (!card) {
      *context.err << path << ": " << printable(why) << "\n";
      return kNotWell;
    }
    *context.out << path << ": a good rate card of " << card->card_date() << " with "
                 << card->entries().size() << " models\n";
    return kFine;
  }
  const auto card = pricing::with_user_rates(*text, path);
  if (!card) {
    *context.err << printable(card.error()) << "\n";
    return kNotWell;
  }
  const size_t own = card->entries().size() - pricing::RateCard::bundled().entries().size();
  *context.out << path << ": good, " << own << (own == 1 ? " model" : " models") << " of its own\n";
  return kFine;
}

std::string first_seen(const store::UnpricedModel& model) {
  return iso8601_utc(model.first_seen_us);
}

int unpriced(Context& context, const Flags& flags) {
  std::vector<store::UnpricedModel> models;
  auto queries = store::Queries::open(context.home.database());
  if (queries) {
    auto read = queries->unpriced_models({});
    if (!read) {
      *context.err << "halton-meter pricing: the database cannot be read: "
                   << describe(read.error()) << "\n";
      return kNotWell;
    }
    models = std::move(*read);
  } else if (queries.error().code != Code::not_found) {
    *context.err << "halton-meter pricing: the database cannot be opened: "
                 << describe(queries.error()) << "\n";
    return queries.error().code == Code::permission ? kEnvironment : kNotWell;
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
               << "The nearest ids are a hint; no price is ever taken from them.\n";
  return kFine;
}

int run(Context& context, const Flags& flags) {
  const std::vector<std::string>& words = flags.operands();
  if (words.empty())
    return usage_error(context, "pricing", "what to do is missing: list, show, check or unpriced");
  const std::string& verb = words[0];
  const bool wants_operand = verb == "show" || verb == "check";
  if (!wants_operand && verb != "list" && verb != "unpriced")
    return usage_error(context, "pricing", "'" + printable(verb) + "' is not understood");
  if (words.size() != (wants_operand ? 2U : 1U))
    return usage_error(context, "pricing",
                       verb + (verb == "show"    ? " takes one model id"
                               : verb == "check" ? " takes one file"
                                                 : " takes no operand"));
  if (flags.has("provider") && verb != "list" && verb != "show")
    return usage_error(context, "pricing", "--provider belongs to list and show");
  if (flags.has("json") && verb == "check")
    return usage_error(context, "pricing", "check has no --json");
  if (verb == "list") return list(context, flags);
  if (verb == "show") return show(context, flags, words[1]);
  if (verb == "check") return check(context, words[1]);
  return unpriced(context, flags);
}

constexpr std::array kFlags = {
    FlagSpec{"provider", "NAME", "of list and show: models of this provider only"},
    FlagSpec{"json", "", "as one JSON object"},
};

}  // namespace

const Command kPricingCommand = {
    .name = "pricing",
    .summary = "the rates in use, and what has none",
    .operands = "list | show MODEL | check FILE | unpriced",
    .about =
        "list      models and their standard rates today\n"
        "show      all rates of a model: periods, tiers, long context, where they come from\n"
        "check     says whether a rates.toml or a rate card is good, else what is wrong\n"
        "unpriced  models that were called and have no price\n"
        "\n"
        "Rates of your own are in rates.toml in the home folder of Halton Meter.\n",
    .example = "  halton-meter pricing show claude-opus-5-5\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
