// The environment that brings a client's calls through the meter (`run`, `env`). Pure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/context.h"

namespace hm::cli {

struct ClientPlaces {
  uint16_t edge_port = 0;
  std::filesystem::path bundle;      // system roots and our CA
  std::filesystem::path ca_cert;     // our CA alone
  std::filesystem::path python_dir;  // holds certifi/
  bool own_roots = false;            // the bundle holds roots that only this user has
};

struct RunTags {
  std::string project;     // slug; empty: none
  std::string run_id;      // UUID of this `run`; empty: none
  std::string run_folder;  // of the pair that `run` started; empty: the usual pair
};

// A shell keeps the variables for everything typed into it, so it gets the careful selection: no
// HTTP_PROXY, gRPC and Deno (`providers.md` 13.8).
enum class Reach : unsigned char { one_command, shell };

using Variables = std::vector<std::pair<std::string, std::string>>;

// Sorted by nothing: in the order a person would read them. Only what has to be set.
[[nodiscard]] Variables client_variables(const Environment& current, const ClientPlaces& places,
                                         const RunTags& tags, Reach reach);

[[nodiscard]] Environment with_variables(Environment environment, const Variables& variables);

// "a,b" and our loopback names, none twice; a lone "*" stays alone.
[[nodiscard]] std::string no_proxy_with_loopback(std::string_view before);

// Lower-cased; letters, digits, - _ : / and at most 128 characters. Empty optional: malformed.
[[nodiscard]] std::optional<std::string> project_slug(std::string_view text);

// A variable that has two spellings; the first one counts when it is set.
[[nodiscard]] std::string_view either(const Environment& environment, std::string_view first,
                                      std::string_view second);

struct EarlierProxy {
  std::string url;        // as the user set it; empty: none
  bool supported = true;  // http:// or no scheme; anything else we cannot speak to
};

// The proxy that https calls took before us: https_proxy, HTTPS_PROXY, ALL_PROXY, all_proxy. One on
// a loopback port of `ours` is not an earlier one.
[[nodiscard]] EarlierProxy earlier_proxy(const Environment& environment,
                                         const std::vector<uint16_t>& ours);

// The files of roots that the user named for TLS clients (SSL_CERT_FILE, NODE_EXTRA_CA_CERTS and
// the like), none twice; not ours, not those of the system's usual places, and not certifi's own.
[[nodiscard]] std::vector<std::string> earlier_roots(const Environment& environment,
                                                     const std::vector<ClientPlaces>& ours);

// "http://127.0.0.1:8081" or with localhost: the port; 0 otherwise.
[[nodiscard]] uint16_t loopback_port(std::string_view url);

enum class Shell : unsigned char { posix, fish };

[[nodiscard]] std::string export_lines(const Variables& variables, Shell shell);

}  // namespace hm::cli
