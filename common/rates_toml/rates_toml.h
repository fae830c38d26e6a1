// The user's own rates, ~/.halton-meter/rates.toml, turned into the JSON text that the rate card
// takes as overrides. Field names are checked here, where the lines are still known. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hm::rates_toml {

inline constexpr size_t kMaxBytes = 1 << 20;

struct Overrides {
  std::string json;
  // Begin of the rate card's complaints ("openai gpt-5.5", "discounts.openai") and the line in the
  // file that they are about.
  std::vector<std::pair<std::string, uint32_t>> lines;

  // "rates.toml:12: openai gpt-5.5: has no periods"; without a line when none is known.
  [[nodiscard]] std::string located(std::string_view name, std::string_view complaint) const;
};

// `name` is the file's, for messages. The error is a sentence that begins with "NAME:LINE: ".
[[nodiscard]] std::expected<Overrides, std::string> read(std::string_view toml,
                                                         std::string_view name);

}  // namespace hm::rates_toml
