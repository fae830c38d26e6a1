#include "common/config/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>

#include "common/base/fs.h"
#include "common/config/extra_provider.h"

namespace hm::config {
namespace {

constexpr size_t kMaxProviders = 64;
constexpr bool kNeedsRestart = true;

// Decides what a value may be and stores it; an empty text means it was accepted.
using Setter = std::function<std::string(Config&, const toml::node&)>;

// By value: a field is looked up in a configuration that may be changed.
using Same = std::function<bool(Config, Config)>;

struct Access {
  Setter set;
  Same same;
};

struct Key {
  KeyInfo info;
  Access access;
};

template <class Value>
Same same_value(const std::function<Value&(Config&)>& field) {
  return [=](Config a, Config b) { return field(a) == field(b); };
}

Access whole_number(const std::function<int64_t&(Config&)>& field, int64_t least, int64_t most) {
  Setter set = [=](Config& config, const toml::node& node) -> std::string {
    const auto value = node.value_exact<int64_t>();
    if (!value || *value < least || *value > most)
      return "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most);
    field(config) = *value;
    return {};
  };
  return {std::move(set), same_value(field)};
}

Access text(const std::function<std::string&(Config&)>& field,
            const std::function<std::string(const std::string&)>& check = nullptr) {
  Setter set = [=](Config& config, const toml::node& node) -> std::string {
    const auto value = node.value_exact<std::string>();
    if (!value) return "must be a text in quotes";
    if (check) {
      if (std::string problem = check(*value); !problem.empty()) return problem;
    }
    field(config) = *value;
    return {};
  };
  return {std::move(set), same_value(field)};
}

Access text_list(const std::function<std::vector<std::string>&(Config&)>& field) {
  Setter set = [=](Config& config, const toml::node& node) -> std::string {
    const toml::array* list = node.as_array();
    std::vector<std::string> values;
    if (list != nullptr) {
      for (const toml::node& item : *list) {
        if (const auto value = item.value_exact<std::string>()) values.push_back(*value);
      }
    }
    if (list == nullptr || values.size() != list->size()) return "must be a list of texts";
    field(config) = std::move(values);
    return {};
  };
  return {std::move(set), same_value(field)};
}

std::string check_proxy(const std::string& url) {
  ProxyAddress address;
  if (url.empty() || parse_proxy(url, address)) return {};
  return "must look like http://host:port or http://user:password@host:port";
}

std::string check_level(const std::string& level) {
  for (const char* known : {"debug", "info", "warn", "error"}) {
    if (level == known) return {};
  }
  return "must be debug, info, warn or error";
}

std::string check_slug(const std::string& slug) {
  const bool good = !slug.empty() && slug.size() <= 128 && std::ranges::all_of(slug, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("-_:/").find(c) != std::string_view::npos;
  });
  return good ? "" : "must be a slug: lower-case letters, digits, - _ : /";
}

std::string set_connect_to(Config& config, const toml::node& node) {
  const toml::table* table = node.as_table();
  if (table == nullptr) return R"(must be a table: "host:port" = "address:port")";
  decltype(config.upstream.connect_to) rules;
  for (const auto& [from, to] : *table) {
    const auto value = to.value_exact<std::string>();
    if (!value) return R"(must map "host:port" to "address:port")";
    rules[std::string(from.str())] = *value;
  }
  config.upstream.connect_to = std::move(rules);
  return {};
}

// NOLINTNEXTLINE(bugprone-macro-parentheses): a path of members, no expression
#define HM_FIELD(path) [](Config& config) -> auto& { return config.path; }

const std::vector<Key>& keys() {
  static const std::vector<Key> all{
      {{"daemon.edge_port", "port", "8081", "The port that HTTPS_PROXY names.", kNeedsRestart},
       whole_number(HM_FIELD(daemon.edge_port), 1, 65535)},
      {{"daemon.internal_port", "port", "8090", "Where the edge hands calls to the interceptor.",
        kNeedsRestart},
       whole_number(HM_FIELD(daemon.internal_port), 1, 65535)},
      {{"daemon.api_port", "port", "8765", "The local HTTP API.", kNeedsRestart},
       whole_number(HM_FIELD(daemon.api_port), 1, 65535)},

      {{"upstream.proxy", "text", "\"\"",
        "An HTTP proxy of your network for outgoing connections."},
       text(HM_FIELD(upstream.proxy), check_proxy)},
      {{"upstream.no_proxy", "list", "[]", "Hosts that are reached without that proxy."},
       text_list(HM_FIELD(upstream.no_proxy))},
      {{"upstream.ca_file", "path", "\"\"", "Extra roots (PEM), trusted besides the system's."},
       text(HM_FIELD(upstream.ca_file))},
      {{"upstream.connect_to", "table", "{}", "Where to connect instead, as curl --connect-to."},
       {set_connect_to,
        [](const Config& a, const Config& b) {
          return a.upstream.connect_to == b.upstream.connect_to;
        }}},

      {{"edge.connect_timeout_ms", "ms", "10000", "Limit for reaching an origin."},
       whole_number(HM_FIELD(edge.connect_timeout_ms), 100, 120'000)},
      {{"edge.ask_limit_ms", "ms", "300",
        "How long the interceptor may take to say that it has a call."},
       whole_number(HM_FIELD(edge.ask_limit_ms), 10, 10'000)},
      {{"edge.first_answer_limit_ms", "ms", "10000",
        "Silence after which a call's first flight is sent to the origin directly."},
       whole_number(HM_FIELD(edge.first_answer_limit_ms), 100, 120'000)},
      {{"edge.head_timeout_ms", "ms", "10000", "Limit for a client's CONNECT head."},
       whole_number(HM_FIELD(edge.head_timeout_ms), 100, 120'000)},
      {{"edge.knock_open_ms", "ms", "1000", "Pause between health knocks while metering."},
       whole_number(HM_FIELD(edge.knock_open_ms), 50, 60'000)},
      {{"edge.knock_closed_ms", "ms", "200", "Pause between health knocks while not metering."},
       whole_number(HM_FIELD(edge.knock_closed_ms), 50, 60'000)},
      {{"edge.max_connections", "number", "4096",
        "Connections at a time; more wait to be accepted."},
       whole_number(HM_FIELD(edge.max_connections), 16, 1'000'000)},
      {{"edge.drain_ms", "ms", "600000",
        "How long tunnels in flight may go on after a stop or restart; at most 5 s without a "
        "supervisor."},
       whole_number(HM_FIELD(edge.drain_ms), 0, 3'600'000)},

      {{"intercept.max_sessions", "number", "1024", "Metered connections at a time; more go raw."},
       whole_number(HM_FIELD(intercept.max_sessions), 1, 100'000)},
      {{"intercept.hello_timeout_ms", "ms", "5000", "Limit for a client's TLS ClientHello."},
       whole_number(HM_FIELD(intercept.hello_timeout_ms), 100, 60'000)},
      {{"intercept.handshake_timeout_ms", "ms", "8000", "Limit for the handshake with an origin."},
       whole_number(HM_FIELD(intercept.handshake_timeout_ms), 100, 60'000)},
      {{"intercept.trust_memory_s", "s", "3600",
        "How long a client that refused our certificate is tunnelled."},
       whole_number(HM_FIELD(intercept.trust_memory_s), 1, 604'800)},
      {{"intercept.decoded_limit_mib", "MiB", "64",
        "Decoded body read per call; beyond, incomplete."},
       whole_number(HM_FIELD(intercept.decoded_limit_mib), 1, 4096)},
      {{"intercept.drain_ms", "ms", "600000",
        "How long calls in flight may go on after a stop or restart; at most 30 s without a "
        "supervisor."},
       whole_number(HM_FIELD(intercept.drain_ms), 0, 3'600'000)},

      {{"tagging.default_project", "slug", "\"misc\"", "Project of calls that nothing else names."},
       text(HM_FIELD(tagging.default_project), check_slug)},

      {{"log.level", "text", "\"info\"", "debug, info, warn or error."},
       text(HM_FIELD(log.level), check_level)},
      {{"log.max_bytes", "bytes", "10485760",
        "Size at which a log file is rotated; three are kept."},
       whole_number(HM_FIELD(log.max_bytes), 65'536, 1LL << 40)},

      {{"cors.allow_origins", "list", "[\"http://localhost:3000\"]",
        "Browser origins that may read the HTTP API."},
       text_list(HM_FIELD(cors.allow_origins))},
  };
  return all;
}

#undef HM_FIELD

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string nearest_key(std::string_view name) {
  std::string_view best;
  size_t best_distance = SIZE_MAX;
  for (const Key& key : keys()) {
    const size_t distance = edit_distance(name, key.info.name);
    if (distance < best_distance) {
      best_distance = distance;
      best = key.info.name;
    }
  }
  return std::string(best);
}

class Reader {
 public:
  Reader(Loaded& loaded, std::string_view name) : loaded_(loaded), name_(name) {}

  void read(const toml::table& root) {
    for (const auto& [section, node] : root) {
      if (section.str() == "provider") {
        read_providers(node);
      } else if (section.str() == "cloud" || section.str() == "capture") {
        continue;  // the original product's sections: readable, without effect
      } else if (const toml::table* table = node.as_table()) {
        for (const auto& [key, value] : *table)
          read_key(std::string(section.str()) + '.' + std::string(key.str()), value);
      } else {
        unknown(section.str(), node);
      }
    }
  }

 private:
  void read_key(const std::string& name, const toml::node& node) {
    const auto found =
        std::ranges::find_if(keys(), [&](const Key& key) { return key.info.name == name; });
    if (found == keys().end()) return unknown(name, node);
    const std::string problem = found->access.set(loaded_.config, node);
    if (!problem.empty())
      fault(node, name + ' ' + problem, "; using " + std::string(found->info.default_text));
  }

  void read_providers(const toml::node& node) {
    const toml::array* list = node.as_array();
    if (list == nullptr)
      return fault(node, "provider must be written as [[provider]]", "; ignored");
    for (const toml::node& item : *list) {
      const toml::table* table = item.as_table();
      if (table == nullptr) {
        fault(item, "provider must be written as [[provider]]", "; ignored");
        continue;
      }
      ExtraProvider provider = read_provider(*table);
      if (const std::string problem = check_provider(provider); !problem.empty()) {
        fault(item, "[[provider]] " + problem, "; ignored");
      } else if (loaded_.config.providers.size() == kMaxProviders) {
        fault(item, "more than 64 [[provider]]", "; ignored");
      } else {
        loaded_.config.providers.push_back(std::move(provider));
      }
    }
  }

  ExtraProvider read_provider(const toml::table& table) {
    ExtraProvider provider;
    const std::map<std::string_view, std::string*> fields{{"name", &provider.name},
                                                          {"host", &provider.host},
                                                          {"shape", &provider.shape},
                                                          {"path", &provider.path},
                                                          {"rates", &provider.rates}};
    for (const auto& [key, value] : table) {
      const auto words = value.value_exact<std::string>();
      const auto field = fields.find(key.str());
      if (field == fields.end() || !words) {
        warn(value, "provider." + std::string(key.str()) +
                        " is not one of the texts name, host, shape, path, rates; ignored");
      } else {
        *field->second = *words;
      }
    }
    return provider;
  }

  void unknown(std::string_view name, const toml::node& node) {
    warn(node,
         "unknown key " + std::string(name) + " (nearest: " + nearest_key(name) + "); ignored");
  }

  void warn(const toml::node& node, const std::string& sentence) {
    loaded_.warnings.push_back(place_of(node) + sentence);
  }

  void fault(const toml::node& node, const std::string& sentence, const std::string& at_start) {
    loaded_.warnings.push_back(place_of(node) + sentence + at_start);
    loaded_.faults.push_back(place_of(node) + sentence);
  }

  [[nodiscard]] std::string place_of(const toml::node& node) const {
    return name_ + ':' + std::to_string(node.source().begin.line) + ": ";
  }

  Loaded& loaded_;
  std::string name_;
};

std::string base64(std::string_view bytes) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](size_t k) -> uint32_t {
      return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U;
    };
    const uint32_t group = (at(0) << 16) | (at(1) << 8) | at(2);
    text += kAlphabet[(group >> 18) & 63];
    text += kAlphabet[(group >> 12) & 63];
    text += i + 1 < bytes.size() ? kAlphabet[(group >> 6) & 63] : '=';
    text += i + 2 < bytes.size() ? kAlphabet[group & 63] : '=';
  }
  return text;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decode(std::string_view encoded) {
  std::string decoded;
  for (size_t i = 0; i < encoded.size(); ++i) {
    const int high = i + 2 < encoded.size() ? hex_value(encoded[i + 1]) : -1;
    const int low = i + 2 < encoded.size() ? hex_value(encoded[i + 2]) : -1;
    if (encoded[i] == '%' && high >= 0 && low >= 0) {
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += encoded[i];
    }
  }
  return decoded;
}

void override_from_environment(Loaded& loaded) {
  if (const char* proxy = std::getenv("HALTON_METER_UPSTREAM_PROXY");
      proxy != nullptr && *proxy != '\0') {
    if (check_proxy(proxy).empty()) {
      loaded.config.upstream.proxy = proxy;
    } else {
      loaded.warnings.emplace_back("HALTON_METER_UPSTREAM_PROXY " + check_proxy(proxy) +
                                   "; ignored");
    }
  }
  if (const char* roots = std::getenv("HALTON_METER_UPSTREAM_CA_FILE");
      roots != nullptr && *roots != '\0')
    loaded.config.upstream.ca_file = roots;
}

}  // namespace

const std::vector<KeyInfo>& known_keys() {
  static const std::vector<KeyInfo> infos = [] {
    std::vector<KeyInfo> all;
    for (const Key& key : keys()) all.push_back(key.info);
    return all;
  }();
  return infos;
}

std::vector<const KeyInfo*> differences(const Config& a, const Config& b) {
  static constexpr KeyInfo kProviders{"[[provider]]", "", "", ""};
  std::vector<const KeyInfo*> different;
  for (const Key& key : keys())
    if (!key.access.same(a, b)) different.push_back(&key.info);
  if (a.providers != b.providers) different.push_back(&kProviders);
  return different;
}

Loaded parse(std::string_view content, std::string_view name) {
  Loaded loaded;
  const toml::parse_result parsed = toml::parse(content, name);
  if (!parsed) {
    loaded.faults.push_back(std::string(name) + ':' +
                            std::to_string(parsed.error().source().begin.line) + ": " +
                            std::string(parsed.error().description()));
    loaded.warnings.push_back(loaded.faults.back() +
                              "; the whole file is ignored and defaults are used until it is "
                              "mended");
    return loaded;
  }
  Reader(loaded, name).read(parsed.table());
  return loaded;
}

Loaded load(const std::filesystem::path& path) {
  Loaded loaded;
  const auto content = read_file(path, 1024 * 1024);
  if (content) {
    loaded = parse(*content, path.string());
  } else if (content.error().code != Code::not_found) {
    loaded.faults.push_back(path.string() + " cannot be read (" + describe(content.error()) + ')');
    loaded.warnings.push_back(loaded.faults.back() + "; defaults are used");
  }
  override_from_environment(loaded);
  return loaded;
}

bool parse_proxy(std::string_view url, ProxyAddress& out) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return false;
  url.remove_prefix(kScheme.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  ProxyAddress address;
  if (const size_t at = url.rfind('@'); at != std::string_view::npos) {
    address.basic_auth = base64(percent_decode(url.substr(0, at)));
    url.remove_prefix(at + 1);
  }
  const size_t colon = url.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view host = url.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string port(url.substr(colon + 1));
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos)
    return false;
  const int number = std::stoi(port);
  if (host.empty() || number < 1 || number > 65535) return false;
  address.host = host;
  address.port = static_cast<uint16_t>(number);
  out = std::move(address);
  return true;
}

}  // namespace hm::config
