// Takes out of a text what must not leave the machine, for `doctor --bundle`: keys, tokens,
// passwords, private keys, mail addresses, the home folder's and the user's name. Errs towards
// taking too much. Pure.
#pragma once

#include <string>
#include <string_view>

namespace hm::cli {

struct RedactWords {
  std::string home;  // becomes ~
  std::string user;  // as a path's component or a whole word; becomes USER
};

[[nodiscard]] std::string redact(std::string_view text, const RedactWords& words);

}  // namespace hm::cli
