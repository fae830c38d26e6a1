#include "common/rates_toml/rates_toml.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <span>
#include <utility>

namespace hm::rates_toml {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 5> kTop = {"model", "aliases", "discounts", "per_call",
                                                  "free_tier"};
constexpr std::array<std::string_view, 1> kFreeTier = {"keys"};
constexpr std::array<std::string_view, 9> kModel = {"provider", "model",   "kind", "status", "ids",
                                                    "pattern",  "periods", "geo",  "notes"};
constexpr std::array<std::string_view, 7> kPeriod = {
    "from", "to", "guaranteed_through", "rates", "long_context", "service_tiers", "note"};
constexpr std::array<std::string_view, 3> kLongContext = {"threshold_tokens", "op", "rates"};
constexpr std::array<std::string_view, 2> kTier = {"rates", "long_rates"};

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out.push_back(c);
    }
  }
  return out + '"';
}

bool is_decimal(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || !digit(text.front()) || !digit(text.back())) return false;
  return std::ranges::all_of(text, [&](char c) { return digit(c) || c == '.'; }) &&
         std::ranges::count(text, '.') <= 1;
}

// Stops at the first fault; afterwards only the fault counts.
class Reader {
 public:
  explicit Reader(std::string_view name) : name_(name) {}

  void read(const toml::table& root) {
    known(root, "the file", kTop);
    out_.json = "{";
    if (const toml::node* models = root.get("model")) {
      out_.json += "\"models\":";
      list(*models, "model", [this](const toml::table& table) { model(table); });
      out_.json += ",";
    }
    if (const toml::node* discounts = root.get("discounts")) {
      out_.json += "\"discounts\":";
      texts(*discounts, "discounts", "discounts.");
      out_.json += ",";
    }
    if (const toml::node* aliases = root.get("aliases")) {
      out_.json += "\"aliases\":";
      tables(*aliases, "aliases", [this](std::string_view provider, const toml::table& table) {
        texts(table, "aliases", "aliases." + std::string(provider) + ".");
      });
      out_.json += ",";
    }
    if (const toml::node* calls = root.get("per_call")) {
      out_.json += "\"providers\":";
      tables(*calls, "per_call", [this](std::string_view provider, const toml::table& table) {
        (void)provider;
        out_.json += "{\"per_call\":";
        rates(table, "per_call");
        out_.json += "}";
      });
      out_.json += ",";
    }
    if (const toml::node* free_tier = root.get("free_tier")) {
      out_.json += "\"free_tier\":";
      out_.lines.emplace_back("free_tier", line_of(*free_tier));
      if (const toml::table* table = table_of(*free_tier, "free_tier")) {
        known(*table, "free_tier", kFreeTier);
        members(*table, "free_tier",
                [this](std::string_view key, const toml::node& value) { plain(value, key); });
      }
      out_.json += ",";
    }
    if (out_.json.back() == ',') out_.json.pop_back();
    out_.json += "}";
  }

  Overrides take() { return std::move(out_); }
  const std::string& fault() const { return fault_; }

 private:
  static uint32_t line_of(const toml::node& node) { return node.source().begin.line; }

  void fail(uint32_t line, const std::string& what) {
    if (fault_.empty()) fault_ = std::string(name_) + ':' + std::to_string(line) + ": " + what;
  }

  void known(const toml::table& table, const std::string& where, Names names) {
    for (const auto& [key, node] : table) {
      if (std::ranges::find(names, key.str()) == names.end())
        fail(key.source().begin.line,
             "unknown field \"" + std::string(key.str()) + "\" in " + where);
    }
  }

  const toml::table* table_of(const toml::node& node, const std::string& where) {
    const toml::table* table = node.as_table();
    if (table == nullptr) fail(line_of(node), where + " must be a table");
    return table;
  }

  template <class Each>
  void list(const toml::node& node, const std::string& where, Each each) {
    const toml::array* items = node.as_array();
    if (items == nullptr) return fail(line_of(node), where + " must be written [[" + where + "]]");
    out_.json += "[";
    bool first = true;
    for (const toml::node& item : *items) {
      const toml::table* table = table_of(item, where);
      if (table == nullptr) return;
      if (!std::exchange(first, false)) out_.json += ",";
      each(*table);
    }
    out_.json += "]";
  }

  template <class Each>
  void members(const toml::node& node, const std::string& where, Each each) {
    const toml::table* table = table_of(node, where);
    if (table == nullptr) return;
    out_.json += "{";
    bool first = true;
    for (const auto& [key, value] : *table) {
      if (!std::exchange(first, false)) out_.json += ",";
      out_.json += json_string(key.str()) + ":";
      each(key.str(), value);
    }
    out_.json += "}";
  }

  template <class Each>
  void tables(const toml::node& node, const std::string& where, Each each) {
    members(node, where, [&](std::string_view key, const toml::node& value) {
      if (const toml::table* table = table_of(value, where + "." + std::string(key)))
        each(key, *table);
    });
  }

  // `label` is how the card calls the place when it finds a fault there.
  void texts(const toml::node& node, const std::string& where, const std::string& label) {
    members(node, where, [&](std::string_view key, const toml::node& value) {
      if (!label.empty()) out_.lines.emplace_back(label + std::string(key), line_of(value));
      const auto text = value.value_exact<std::string>();
      if (!text) return fail(line_of(value), std::string(key) + " must be a text in quotes");
      out_.json += json_string(*text);
    });
  }

  void rates(const toml::node& node, const std::string& where) {
    members(node, where, [&](std::string_view key, const toml::node& value) {
      const auto text = value.value_exact<std::string>();
      if (!text || !is_decimal(*text))
        return fail(line_of(value),
                    std::string(key) + " must be a decimal number in quotes, like \"2.50\"");
      out_.json += json_string(*text);
    });
  }

  // A list of texts, a number, a text, or a day, which TOML can write without quotes.
  void plain(const toml::node& node, std::string_view key) {
    if (const auto text = node.value_exact<std::string>()) {
      out_.json += json_string(*text);
    } else if (const auto number = node.value_exact<int64_t>()) {
      out_.json += std::to_string(*number);
    } else if (const auto day = node.value_exact<toml::date>()) {
      char digits[32];
      std::snprintf(digits, sizeof digits, "\"%04d-%02d-%02d\"", day->year, day->month, day->day);
      out_.json += digits;
    } else if (const toml::array* items = node.as_array()) {
      out_.json += "[";
      for (const toml::node& item : *items) {
        const auto text_item = item.value_exact<std::string>();
        if (!text_item) return fail(line_of(item), std::string(key) + " must be a list of texts");
        if (out_.json.back() != '[') out_.json += ",";
        out_.json += json_string(*text_item);
      }
      out_.json += "]";
    } else {
      fail(line_of(node), std::string(key) + " has a value of the wrong kind");
    }
  }

  void model(const toml::table& table) {
    known(table, "[[model]]", kModel);
    const auto provider = table["provider"].value_or(std::string());
    const auto id = table["model"].value_or(std::string());
    out_.lines.emplace_back(provider.empty() ? "a model"
                            : id.empty()     ? "a model of " + provider
                                             : provider + " " + id,
                            line_of(table));
    members(table, "[[model]]", [&](std::string_view key, const toml::node& value) {
      if (key == "periods") {
        list(value, "model.periods", [this](const toml::table& item) { period(item); });
      } else if (key == "geo") {
        texts(value, "geo", "");
      } else {
        plain(value, key);
      }
    });
  }

  void period(const toml::table& table) {
    known(table, "[[model.periods]]", kPeriod);
    members(table, "[[model.periods]]", [&](std::string_view key, const toml::node& value) {
      if (key == "rates") {
        rates(value, "rates");
      } else if (key == "long_context") {
        if (const toml::table* inner = table_of(value, "long_context"))
          rate_table(*inner, "long_context", kLongContext);
      } else if (key == "service_tiers") {
        tables(value, "service_tiers", [this](std::string_view tier, const toml::table& inner) {
          rate_table(inner, "service_tiers." + std::string(tier), kTier);
        });
      } else {
        plain(value, key);
      }
    });
  }

  void rate_table(const toml::table& table, const std::string& where, Names names) {
    known(table, where, names);
    members(table, where, [&](std::string_view key, const toml::node& value) {
      if (key.ends_with("rates")) {
        rates(value, where + "." + std::string(key));
      } else {
        plain(value, key);
      }
    });
  }

  std::string_view name_;
  Overrides out_;
  std::string fault_;
};

}  // namespace

std::string Overrides::located(std::string_view name, std::string_view complaint) const {
  size_t longest = 0;
  uint32_t line = 0;
  for (const auto& [label, at] : lines) {
    const bool whole = complaint.starts_with(label) &&
                       (complaint.size() == label.size() || complaint[label.size()] == ':' ||
                        complaint[label.size()] == ' ');
    if (!whole || label.size() < longest) continue;
    longest = label.size();
    line = at;
  }
  std::string out(name);
  if (line != 0) out += ':' + std::to_string(line);
  return out + ": " + std::string(complaint);
}

std::expected<Overrides, std::string> read(std::string_view toml, std::string_view name) {
  if (toml.size() > kMaxBytes)
    return std::unexpected(std::string(name) + ":1: the file is larger than 1 MiB");
  const toml::parse_result parsed = toml::parse(toml, name);
  if (!parsed)
    return std::unexpected(std::string(name) + ':' +
                           std::to_string(parsed.error().source().begin.line) + ": " +
                           std::string(parsed.error().description()));
  Reader reader(name);
  reader.read(parsed.table());
  if (!reader.fault().empty()) return std::unexpected(reader.fault());
  return reader.take();
}

}  // namespace hm::rates_toml
