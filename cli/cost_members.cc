#include "cli/cost_members.h"

#include <string>

namespace hm::cli {
namespace {

void money(JsonText& json, const std::string& name, pricing::PicoUsd amount) {
  json.key(name + "_pico_usd").raw(amount.digits());
  json.member(name + "_usd", amount.exact_dollars());
}

}  // namespace

void cost_members(JsonText& json, const store::Totals& totals) {
  money(json, "cost", totals.cost);
  json.member("cost_is_lower_bound", totals.unpriced > 0);
  money(json, "shadow_cost", totals.shadow_cost);
}

}  // namespace hm::cli
