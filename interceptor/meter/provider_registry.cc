#include "interceptor/meter/provider_registry.h"

#include <deque>

namespace hm::meter {
namespace {

// What stands in front when nothing is told. Every openai path is told by its end; `/messages` and
// `/models` alone are the ends of other calls too (threads, lists), so there the version belongs to
// it.
std::string_view usual_path(std::string_view shape) {
  if (shape == "anthropic") return "**/v1";
  if (shape == "gemini") return "**/v1*";
  return "**";
}

bool is_shape(std::string_view word) {
  return word == "openai" || word == "anthropic" || word == "gemini";
}

// "/v1/messages" or "/v1*/models/..." behind another path. Routes elsewhere (the sockets of Gemini)
// are the same everywhere.
std::string moved(std::string_view route, std::string_view path) {
  constexpr std::string_view kVersion = "/v1";
  if (!route.starts_with(kVersion)) return std::string(route);
  route.remove_prefix(kVersion.size());
  if (route.starts_with('*')) route.remove_prefix(1);
  return std::string(path).append(route);
}

}  // namespace

// Owns the texts that its Provider's views show; never moved.
struct ProviderRegistry::Entry {
  std::string host;
  uint16_t port = 0;
  std::string name;
  std::string rates;
  std::deque<std::string> paths;
  std::vector<Route> routes;
  Provider provider;
};

ProviderRegistry::ProviderRegistry() = default;
ProviderRegistry::~ProviderRegistry() = default;

std::string ProviderRegistry::add(const FurtherHost& further) {
  if (!is_shape(further.shape)) return "has an unknown shape";
  if (further.port == 443 && provider_for_host(further.host) != nullptr)
    return "names a host that is metered anyway";
  Entry* entry = nullptr;
  for (const auto& known : entries_)
    if (known->host == further.host && known->port == further.port) entry = known.get();
  if (entry != nullptr && (entry->name != further.name || entry->rates != further.rates))
    return "names a host that another one has with a different name or different rates";

  const Provider& family = *provider_by_name(further.shape);
  if (entry == nullptr) {
    entry = entries_.emplace_back(std::make_unique<Entry>()).get();
    entry->host = further.host;
    entry->port = further.port;
    entry->name = further.name;
    entry->rates = further.rates;
    entry->provider.name = entry->name;
    entry->provider.id = entry->name;
    entry->provider.rate_namespace = entry->rates;
    entry->provider.billing = family.billing;
  }
  const std::string_view path =
      further.path.empty() ? usual_path(further.shape) : std::string_view(further.path);
  for (const Route& route : family.routes) {
    Route own = route;
    own.path = entry->paths.emplace_back(moved(route.path, path));
    entry->routes.push_back(own);
  }
  entry->provider.routes = entry->routes;
  return {};
}

void ProviderRegistry::retire_added() {
  for (auto& entry : entries_) retired_.push_back(std::move(entry));
  entries_.clear();
}

const Provider* ProviderRegistry::find(std::string_view host, uint16_t port) const {
  for (const auto& entry : entries_)
    if (entry->host == host && entry->port == port) return &entry->provider;
  return provider_for_host(host);
}

}  // namespace hm::meter
