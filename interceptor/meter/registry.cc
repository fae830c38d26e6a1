#include <algorithm>
#include <optional>

#include "interceptor/meter/provider.h"

namespace hm::meter {

namespace providers {
#define HM_PROVIDER(name, host) extern const Provider name;
#include "common/wire/providers.inc"
#undef HM_PROVIDER
}  // namespace providers

namespace {

#define HM_PROVIDER(name, host) &providers::name,
constexpr const Provider* kProviders[] = {
#include "common/wire/providers.inc"
};
#undef HM_PROVIDER

struct HostLine {
  std::string_view host;
  const Provider* provider;
};

#define HM_PROVIDER(name, host) {host, &providers::name},
constexpr HostLine kHosts[] = {
#include "common/wire/providers.inc"
};
#undef HM_PROVIDER

std::optional<uint8_t> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<uint8_t>(c - 'A' + 10);
  return std::nullopt;
}

// Everything but an escaped '/', so that an escape never changes the number of segments.
std::string percent_decoded(std::string_view text, bool decode_slash) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto high = hex_digit(text[i + 1]);
      const auto low = hex_digit(text[i + 2]);
      if (high && low) {
        const auto byte = static_cast<char>(*high * 16 + *low);
        if (byte != '/' || decode_slash) {
          out.push_back(byte);
          i += 2;
          continue;
        }
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

std::string_view path_of(std::string_view target) {
  if (const size_t scheme = target.find("://"); !target.starts_with('/') && scheme < 8) {
    const size_t slash = target.find('/', scheme + 3);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  target = target.substr(0, target.find_first_of("?#"));
  if (target.size() > 1 && target.ends_with('/')) target.remove_suffix(1);
  return target;
}

struct Captures {
  std::string_view model;
  std::string_view id;
};

// Backtracks over the few stars of one pattern. Bounded: a path is at most a few kilobytes and a
// pattern has at most two stars. In one piece, because all of it works on the same two rests.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
bool matches(std::string_view pattern, std::string_view path, Captures& captures) {
  while (!pattern.empty()) {
    const bool braces = pattern.front() == '{';
    if (pattern.front() != '*' && !braces) {
      if (path.empty() || path.front() != pattern.front()) return false;
      pattern.remove_prefix(1);
      path.remove_prefix(1);
      continue;
    }
    const bool any = pattern.starts_with("**");
    const size_t length = braces ? pattern.find('}') + 1 : (any ? 2 : 1);
    const std::string_view name = pattern.substr(0, length);
    const std::string_view rest = pattern.substr(length);
    const size_t reach = any ? path.size() : std::min(path.find('/'), path.size());
    // Longest first: a model name may hold a colon, the verb is what follows the last one. The
    // version pattern `v1*` also stands for plain `v1`.
    for (size_t taken = reach + 1; taken-- > 0;) {
      if (taken == 0 && braces) return false;
      if (!matches(rest, path.substr(taken), captures)) continue;
      if (name == "{model}") captures.model = path.substr(0, taken);
      if (name == "{id}") captures.id = path.substr(0, taken);
      return true;
    }
    return false;
  }
  return path.empty();
}

}  // namespace

const Provider* provider_for_host(std::string_view host) {
  const auto* found = std::ranges::find(kHosts, host, &HostLine::host);
  return found == std::end(kHosts) ? nullptr : found->provider;
}

const Provider* provider_by_name(std::string_view name) {
  for (const Provider* provider : kProviders) {
    if (provider->name == name) return provider;
  }
  return nullptr;
}

std::span<const Provider* const> all_providers() {
  return kProviders;
}

RouteMatch match_route(const Provider& provider, std::string_view method, std::string_view target,
                       bool upgrade) {
  const std::string path = percent_decoded(path_of(target), false);
  for (const Route& route : provider.routes) {
    if (route.method != method || (route.use == RouteUse::websocket) != upgrade) continue;
    Captures captures;
    if (!matches(route.path, path, captures)) continue;
    return {&route, percent_decoded(captures.model, true), percent_decoded(captures.id, true)};
  }
  return {};
}

}  // namespace hm::meter
