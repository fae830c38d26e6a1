// A card entry's own pattern for its snapshots: a regular expression over the whole id.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace hm::pricing {

class IdPattern {
 public:
  static constexpr size_t kMaxId = 256;  // longer ids match nothing
  static constexpr size_t kMaxPattern = 256;

  // Null: not a regular expression, too long, or not anchored at both ends (^...$), which would
  // make it the bare prefix that the card forbids.
  [[nodiscard]] static std::shared_ptr<const IdPattern> make(const std::string& text);
  // For text that was tested before, such as the bundled card's: the engine reads it when it is
  // first needed, which for most is never. All patterns of a card take some 20 ms. Text that is no
  // regular expression matches nothing.
  [[nodiscard]] static std::shared_ptr<const IdPattern> make_later(const std::string& text);

  [[nodiscard]] bool matches(std::string_view id) const;
  ~IdPattern();

 private:
  struct Compiled;
  explicit IdPattern(const std::string& text);

  std::string
      literal_;  // what every match begins with: most candidates fall here, without the engine
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace hm::pricing
