// Money as people read it. The exact forms for programs are PicoUsd's own digits() and
// exact_dollars().
#pragma once

#include <string>

#include "interceptor/pricing/pico_usd.h"

namespace hm::cli {

using pricing::PicoUsd;

// "$0.001234" below one dollar, "$1,234.56" from there on. What rounds up to a dollar is one.
[[nodiscard]] std::string dollars(PicoUsd amount);

// A sum that leaves out unpriced calls is a lower bound and is shown as one: ">= $1.20".
[[nodiscard]] std::string dollars_at_least(PicoUsd amount, bool lower_bound);

}  // namespace hm::cli
