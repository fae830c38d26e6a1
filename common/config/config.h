// config.toml as one immutable struct, read at start and by `reload`. A bad value is its default
// plus a warning; a file that does not parse is all defaults plus one warning; an unknown key is a
// warning with the nearest known key; no file is all defaults, in silence. Nothing here ends a
// process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hm::config {

struct Daemon {
  int64_t edge_port = 8081;
  int64_t internal_port = 8090;
  int64_t api_port = 8765;
};

struct Upstream {
  std::string proxy;  // http://[user:password@]host:port; a secret when it has a password
  std::vector<std::string> no_proxy;
  std::string ca_file;
  std::map<std::string, std::string, std::less<>> connect_to;  // "host:port" -> "address:port"
};

struct Edge {
  int64_t connect_timeout_ms = 10'000;
  int64_t ask_limit_ms = 300;
  int64_t first_answer_limit_ms = 10'000;
  int64_t head_timeout_ms = 10'000;
  int64_t knock_open_ms = 1'000;
  int64_t knock_closed_ms = 200;
  int64_t max_connections = 4096;
  int64_t drain_ms = 600'000;
};

struct Intercept {
  int64_t max_sessions = 1024;
  int64_t hello_timeout_ms = 5'000;
  int64_t handshake_timeout_ms = 8'000;
  int64_t trust_memory_s = 3'600;
  int64_t decoded_limit_mib = 64;
  int64_t drain_ms = 600'000;
};

struct Tagging {
  std::string default_project = "misc";
};

struct Log {
  std::string level = "info";
  int64_t max_bytes = 10 * 1024 * 1024;
};

struct Cors {
  std::vector<std::string> allow_origins{"http://localhost:3000"};
};

// [[provider]]: a further host that speaks a known wire shape. Only usable ones are kept. A host
// may occur more than once, with other shapes or paths.
struct ExtraProvider {
  std::string name;   // provider id of its calls
  std::string host;   // lower case, "host" or "host:port"
  std::string shape;  // a word of provider_shapes()
  std::string path;   // in front of the shape's own paths, may hold * and {model}; empty = any
  std::string rates;  // rate namespace; the name when not told
  bool operator==(const ExtraProvider&) const = default;
};

struct Config {
  Daemon daemon;
  Upstream upstream;
  Edge edge;
  Intercept intercept;
  Tagging tagging;
  Log log;
  Cors cors;
  std::vector<ExtraProvider> providers;
};

struct Loaded {
  Config config;
  std::vector<std::string> warnings;  // one sentence each, with the next step
  // Those of the warnings that speak of something that cannot be used, without what is done about
  // it at start. `reload` takes up nothing of a file with a fault.
  std::vector<std::string> faults;
};

// Blocks. The environment overrides two keys for a pair that `run` starts:
// HALTON_METER_UPSTREAM_PROXY and HALTON_METER_UPSTREAM_CA_FILE.
[[nodiscard]] Loaded load(const std::filesystem::path& path);

// The same from text, without the environment. `name` stands in warnings for the file.
[[nodiscard]] Loaded parse(std::string_view text, std::string_view name);

// Every key: for docs and for `nearest known key`.
struct KeyInfo {
  std::string_view name;  // "daemon.edge_port"
  std::string_view type;
  std::string_view default_text;
  std::string_view meaning;
  bool needs_restart = false;  // `reload` cannot take it up
};
[[nodiscard]] const std::vector<KeyInfo>& known_keys();
[[nodiscard]] const std::vector<KeyInfo>& provider_keys();  // those inside [[provider]]
// The keys that two configurations do not have in common; all of [[provider]] is one.
[[nodiscard]] std::vector<const KeyInfo*> differences(const Config& a, const Config& b);
[[nodiscard]] std::span<const std::string_view> provider_shapes();

// "http://user:p%40ss@proxy:3128". Pure; nullopt when it is no http:// proxy address.
struct ProxyAddress {
  std::string host;
  uint16_t port = 0;
  std::string basic_auth;  // base64 of user:password, empty without
};
[[nodiscard]] bool parse_proxy(std::string_view url, ProxyAddress& out);

}  // namespace hm::config
