#include "cli/plain_words.h"

#include <cctype>
#include <cstring>

namespace hm::cli {

std::string in_words(const Error& error) {
  if (error.detail > 0 && error.code != Code::library) {
    std::string text = std::strerror(static_cast<int>(error.detail));
    if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0)
      text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
  }
  switch (error.code) {
    case Code::permission:
      return "permission denied";
    case Code::not_found:
      return "it is not there";
    case Code::malformed:
      return "it is damaged, or not what Halton Meter writes";
    case Code::busy:
      return "another program has it locked";
    case Code::exhausted:
      return "there is no room left";
    case Code::too_large:
      return "it is too large";
    default:
      return describe(error);
  }
}

}  // namespace hm::cli
