// What calls cost, in JSON: the same members wherever sums of calls are printed.
#pragma once

#include "cli/json_text.h"
#include "interceptor/store/queries.h"

namespace hm::cli {

// cost_* and shadow_cost_*: an integer for programs that add up, a decimal string for those that
// show; and whether calls without a price make it a lower bound.
void cost_members(JsonText& json, const store::Totals& totals);

}  // namespace hm::cli
