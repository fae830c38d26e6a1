#include "cli/flags.h"

#include <algorithm>
#include <cxxopts.hpp>

namespace hm::cli {
namespace {

// Where the words that are ours end: at "--", or at the first operand of a command that wants it
// so.
size_t end_of_flags(std::span<const FlagSpec> specs, const std::vector<std::string>& words,
                    bool stop_at_operand) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--") return i;
    if (!word.starts_with("-") || word == "-") {
      if (stop_at_operand) return i;
      continue;
    }
    const auto takes_value = [&](const FlagSpec& spec) {
      return !spec.value.empty() && word.starts_with("--") && word.substr(2) == spec.name;
    };
    // "--" is nobody's value: who leaves one out means the words behind it to be left alone.
    const bool has_value = i + 1 < words.size() && words[i + 1] != "--";
    if (has_value && std::any_of(specs.begin(), specs.end(), takes_value)) ++i;
  }
  return words.size();
}

}  // namespace

std::optional<std::string> Flags::value(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

std::string Flags::value_or(std::string_view name, std::string_view other) const {
  return value(name).value_or(std::string(other));
}

std::expected<Flags, std::string> parse_flags(std::span<const FlagSpec> specs,
                                              const std::vector<std::string>& words,
                                              bool stop_at_operand) {
  const size_t end = std::min(end_of_flags(specs, words, stop_at_operand), words.size());
  std::vector<const char*> argv{"halton-meter"};
  for (size_t i = 0; i < end; ++i) argv.push_back(words[i].c_str());

  Flags flags;
  try {
    cxxopts::Options options("halton-meter");
    auto add = options.add_options();
    add("h,help", "");
    for (const FlagSpec& spec : specs) {
      const std::string name = (spec.letter != 0 ? std::string{spec.letter, ','} : std::string()) +
                               std::string(spec.name);
      if (spec.value.empty()) {
        add(name, "");
      } else {
        add(name, "", cxxopts::value<std::string>());
      }
    }
    const auto parsed = options.parse(static_cast<int>(argv.size()), argv.data());
    for (const auto& argument : parsed.arguments())
      flags.values_.insert_or_assign(argument.key(), argument.value());
    flags.operands_ = parsed.unmatched();
  } catch (const cxxopts::exceptions::exception& error) {
    return std::unexpected(std::string(error.what()));
  }
  if (end < words.size()) {
    const size_t first = words[end] == "--" ? end + 1 : end;
    flags.operands_.insert(flags.operands_.end(), words.begin() + static_cast<ptrdiff_t>(first),
                           words.end());
  }
  return flags;
}

}  // namespace hm::cli
