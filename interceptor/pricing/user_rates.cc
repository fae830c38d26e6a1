#include "interceptor/pricing/user_rates.h"

#include <utility>

#include "common/base/fs.h"
#include "common/rates_toml/rates_toml.h"

namespace hm::pricing {

std::expected<RateCard, std::string> with_user_rates(std::string_view toml, std::string_view name) {
  const auto read = rates_toml::read(toml, name);
  if (!read) return std::unexpected(read.error());
  std::string why;
  auto card = RateCard::bundled().with_overrides(read->json, &why);
  if (!card) return std::unexpected(read->located(name, why));
  return std::move(*card);
}

UserRates load_user_rates(const std::filesystem::path& file) {
  // The bundled card lives as long as the process; the pointer must not free it.
  UserRates rates{{std::shared_ptr<void>(), &RateCard::bundled()}, {}, {}};
  const auto refuse = [&](const std::string& why) {
    rates.fault = why;
    rates.problem = why + "; the whole file is ignored and list prices are used";
  };
  const auto text = read_file(file, rates_toml::kMaxBytes);
  if (!text) {
    if (text.error().code != Code::not_found) refuse(file.string() + ": " + describe(text.error()));
    return rates;
  }
  auto card = with_user_rates(*text, file.string());
  if (!card) {
    refuse(card.error());
  } else {
    rates.card = std::make_shared<const RateCard>(std::move(*card));
  }
  return rates;
}

}  // namespace hm::pricing
