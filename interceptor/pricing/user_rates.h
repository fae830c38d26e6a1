// The rate card in force: the bundled one, with the user's rates.toml in front of it.
#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "interceptor/pricing/rate_card.h"

namespace hm::pricing {

struct UserRates {
  std::shared_ptr<const RateCard> card;  // never null
  std::string fault;                     // why the file cannot be used; empty: all is well
  std::string problem;                   // the same, and what that means at a start
};

// Reads the file (blocks). A missing file is no problem; a bad one leaves the bundled card, whole.
[[nodiscard]] UserRates load_user_rates(const std::filesystem::path& file);

// The bundled card with this TOML text in front. The error is a sentence that names file and line.
[[nodiscard]] std::expected<RateCard, std::string> with_user_rates(std::string_view toml,
                                                                   std::string_view name);

}  // namespace hm::pricing
