// Flags of one command. The table says what there is; the same table makes the help page.
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hm::cli {

struct FlagSpec {
  std::string_view name;   // without dashes
  std::string_view value;  // what the value is called in the help page; empty: a switch
  std::string_view help;
  char letter = 0;  // also -f; 0: none
};

class Flags {
 public:
  [[nodiscard]] bool has(std::string_view name) const { return values_.contains(name); }
  [[nodiscard]] std::optional<std::string> value(std::string_view name) const;
  [[nodiscard]] std::string value_or(std::string_view name, std::string_view other) const;
  [[nodiscard]] const std::vector<std::string>& operands() const { return operands_; }

 private:
  friend std::expected<Flags, std::string> parse_flags(std::span<const FlagSpec>,
                                                       const std::vector<std::string>&, bool);
  std::map<std::string, std::string, std::less<>> values_;
  std::vector<std::string> operands_;
};

// Takes --name, --name VALUE, --name=VALUE, and --help always; the last of a name wins. Everything
// after "--" is an operand. With stop_at_operand the first word that is no flag, and all behind it,
// are operands, whatever they look like. The error is a sentence for the user.
[[nodiscard]] std::expected<Flags, std::string> parse_flags(std::span<const FlagSpec> specs,
                                                            const std::vector<std::string>& words,
                                                            bool stop_at_operand);

}  // namespace hm::cli
