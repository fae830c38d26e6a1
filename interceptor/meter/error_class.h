// What went wrong, in one word: the procedure of `providers.md` 3.2 over the words of an error body
// and the HTTP status, and the mapping of 3.1 to the seven locked words. Messages are looked at and
// dropped: they can hold prompts and parts of keys.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "interceptor/meter/json_value.h"

namespace hm::meter {

// The words of one error object. Bounded: at most 16 words of 100 bytes, 512 bytes of message.
struct ErrorWords {
  bool present = false;
  std::vector<std::string> words;  // lower case
  std::string message;             // lower case
  bool google = false;             // has `error.status`: the message is no criterion
  std::optional<int> status;       // a numeric `error.code`
  std::string code;  // provider's word for it, as sent; empty unless it is a plain word
  std::optional<double> retry_after_s;

  // The value of an `error` key: an object, or a string (xAI).
  void add_error(JsonView error);
  // `code`, `type` or `error_code` beside the error.
  void add_word(std::string_view word);
  void add_message(std::string_view text);
};

// The finer word of 3.1: rate_limit, overloaded, quota, auth, invalid_request, server, network;
// never empty. Without a status the error is an event inside a stream (or on a socket).
[[nodiscard]] std::string_view classify_error(const ErrorWords& error, std::optional<int> status);

// One of rate_limit, server_error, bad_request, auth, timeout, network, unknown.
[[nodiscard]] std::string_view locked_error_class(std::string_view kind, const ErrorWords& error,
                                                  std::optional<int> status);

}  // namespace hm::meter
