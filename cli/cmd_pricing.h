// Verbs of `pricing` that have a file of their own.
#pragma once

#include "cli/context.h"
#include "cli/flags.h"
#include "interceptor/pricing/user_rates.h"

namespace hm::cli {

// The rates in force; a rates.toml that is not used is told on stderr.
[[nodiscard]] pricing::UserRates current_rates(Context& context);

int pricing_reprice(Context& context, const Flags& flags);
int pricing_key(Context& context);

}  // namespace hm::cli
