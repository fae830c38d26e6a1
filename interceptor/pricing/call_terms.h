// The words of a record that choose between rates, translated into the card's: service tier, place
// of inference, server-side tools.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "interceptor/call_record.h"

namespace hm::pricing {

struct TierTerm {
  std::string name;      // standard, batch, flex, fast, priority, ultrafast; empty = unknown word
  bool prepaid = false;  // capacity without a list price: standard rates, flagged
};

// `provider` is the rate namespace. What the answer says was used, never what was asked for.
[[nodiscard]] TierTerm tier_term(std::string_view provider, std::string_view served,
                                 std::string_view mode);

// The card's multiplier to apply ("us", "regional"), empty for none; nullopt: an unknown word.
[[nodiscard]] std::optional<std::string> geo_term(std::string_view provider, std::string_view geo,
                                                  std::string_view host);

struct ToolTerm {
  enum class Kind : uint8_t {
    unknown,
    per_call,
    per_second,  // of audio, by the model's rate per minute
    free,
    not_covered
  } kind = Kind::unknown;
  std::string charge;          // name in the card when per_call
  int64_t count = 0;           // what is charged, which need not be the number of calls
  bool hidden_tokens = false;  // the provider bills input tokens that usage may not show
};

// `model` is the card's entry, empty when there is none.
[[nodiscard]] ToolTerm tool_term(std::string_view provider, std::string_view model,
                                 const ToolCalls& calls);

}  // namespace hm::pricing
