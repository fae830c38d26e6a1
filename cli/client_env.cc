#include "cli/client_env.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "cli/env_files.h"

namespace hm::cli {
namespace {

constexpr size_t kSlugLimit = 128;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  return out;
}

// `folder` in front of a PATH-like list, there once.
std::string in_front(std::string_view folder, std::string_view list) {
  std::string out(folder);
  while (!list.empty()) {
    const size_t colon = list.find(':');
    const std::string_view entry = list.substr(0, colon);
    list = colon == std::string_view::npos ? std::string_view() : list.substr(colon + 1);
    if (!entry.empty() && entry != folder) out += ":" + std::string(entry);
  }
  return out;
}

}  // namespace

std::string_view either(const Environment& environment, std::string_view first,
                        std::string_view second) {
  const std::string_view value = look_up(environment, first);
  return value.empty() ? look_up(environment, second) : value;
}

std::string no_proxy_with_loopback(std::string_view before) {
  if (trimmed(before) == "*") return "*";
  std::vector<std::string> entries;
  const auto add = [&](std::string_view entry) {
    entry = trimmed(entry);
    const auto same = [&](const std::string& other) { return lower(other) == lower(entry); };
    if (!entry.empty() && std::none_of(entries.begin(), entries.end(), same))
      entries.emplace_back(entry);
  };
  while (!before.empty()) {
    const size_t comma = before.find(',');
    add(before.substr(0, comma));
    before = comma == std::string_view::npos ? std::string_view() : before.substr(comma + 1);
  }
  for (const std::string_view ours : {"localhost", "127.0.0.1", "::1"}) add(ours);
  std::string out;
  for (const std::string& entry : entries) out += (out.empty() ? "" : ",") + entry;
  return out;
}

std::optional<std::string> project_slug(std::string_view text) {
  std::string slug = lower(trimmed(text));
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == ':' ||
           c == '/';
  };
  if (slug.empty() || slug.size() > kSlugLimit || !std::all_of(slug.begin(), slug.end(), allowed))
    return std::nullopt;
  return slug;
}

uint16_t loopback_port(std::string_view url) {
  const std::string text = lower(url);
  std::string_view rest = text;
  if (rest.starts_with("http://")) rest.remove_prefix(7);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  bool loopback = false;
  for (const std::string_view host : {"127.0.0.1:", "localhost:", "[::1]:"}) {
    if (!rest.starts_with(host)) continue;
    rest.remove_prefix(host.size());
    loopback = true;
    break;
  }
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), port);
  return loopback && error == std::errc() && end == rest.data() + rest.size() ? port : uint16_t{0};
}

EarlierProxy earlier_proxy(const Environment& environment, const std::vector<uint16_t>& ours) {
  for (const std::string_view name : {"https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"}) {
    const std::string_view url = trimmed(look_up(environment, name));
    if (url.empty()) continue;
    const uint16_t port = loopback_port(url);
    if (port != 0 && std::find(ours.begin(), ours.end(), port) != ours.end()) continue;
    EarlierProxy proxy{std::string(url), true};
    if (const size_t scheme = url.find("://"); scheme != std::string_view::npos)
      proxy.supported = lower(url.substr(0, scheme)) == "http";
    else
      proxy.url.insert(0, "http://");
    return proxy;
  }
  return {};
}

std::vector<std::string> earlier_roots(const Environment& environment,
                                       const std::vector<ClientPlaces>& ours) {
  static constexpr std::array<std::string_view, 5> kUsual = {
      "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt",
      "/etc/ssl/ca-bundle.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"};
  std::vector<std::string> found;
  for (const std::string_view name : {"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE",
                                      "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE"}) {
    const std::string_view file = look_up(environment, name);
    if (!file.starts_with('/') || file.ends_with("/certifi/cacert.pem")) continue;
    if (std::find(kUsual.begin(), kUsual.end(), file) != kUsual.end()) continue;
    const bool of_ours = std::any_of(ours.begin(), ours.end(), [&](const ClientPlaces& places) {
      return file == places.bundle.native() || file == places.ca_cert.native();
    });
    if (!of_ours && std::find(found.begin(), found.end(), file) == found.end())
      found.emplace_back(file);
  }
  return found;
}

Variables client_variables(const Environment& current, const ClientPlaces& places,
                           const RunTags& tags, Reach reach) {
  Variables out;
  const auto set = [&](std::string_view name, std::string value) {
    out.emplace_back(name, std::move(value));
  };
  const std::string proxy = "http://127.0.0.1:" + std::to_string(places.edge_port);
  set("HTTPS_PROXY", proxy);
  set("https_proxy", proxy);
  if (reach == Reach::one_command) {
    // Plain http is never metered. A proxy that serves it alone stays in charge of it.
    const std::string_view https = either(current, "https_proxy", "HTTPS_PROXY");
    const std::string_view http = either(current, "http_proxy", "HTTP_PROXY");
    if (http.empty() || http == https || loopback_port(http) == places.edge_port) {
      set("HTTP_PROXY", proxy);
      set("http_proxy", proxy);
    }
  }
  set("NO_PROXY", no_proxy_with_loopback(either(current, "NO_PROXY", "no_proxy")));
  set("no_proxy", no_proxy_with_loopback(either(current, "no_proxy", "NO_PROXY")));

  // These replace a client's roots, so they name roots and our CA together.
  static constexpr std::array kBundleNames = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
                                              "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE"};
  for (const char* name : kBundleNames) set(name, places.bundle.string());
  if (reach == Reach::one_command) set("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", places.bundle.string());
  // These add to a client's roots: ours alone is enough, unless the user had added others.
  const std::string added = (places.own_roots ? places.bundle : places.ca_cert).string();
  set("NODE_EXTRA_CA_CERTS", added);
  set("CODEX_CA_CERTIFICATE", added);
  if (reach == Reach::one_command) set("DENO_CERT", added);

  set("PYTHONPATH", in_front(places.python_dir.native(), look_up(current, "PYTHONPATH")));
  set("NODE_USE_ENV_PROXY", "1");
  // Marks the variables as ours, also when the edge has another port one day.
  if (reach == Reach::shell) set("HALTON_METER_ENV_PORT", std::to_string(places.edge_port));
  if (!tags.project.empty()) set("HALTON_PROJECT", tags.project);
  if (!tags.run_id.empty()) set("HALTON_METER_RUN", tags.run_id);
  if (!tags.run_folder.empty()) set("HALTON_METER_RUN_DIR", tags.run_folder);
  return out;
}

Environment with_variables(Environment environment, const Variables& variables) {
  for (const auto& [name, value] : variables) environment.insert_or_assign(name, value);
  return environment;
}

std::string export_lines(const Variables& variables, Shell shell) {
  std::string out;
  for (const auto& [name, value] : variables) {
    if (shell == Shell::fish) {
      out += "set -gx " + name + " " + shell_quoted(value, shell == Shell::fish) + ";\n";
    } else {
      out += "export " + name + "=" + shell_quoted(value, shell == Shell::fish) + "\n";
    }
  }
  return out;
}

}  // namespace hm::cli
