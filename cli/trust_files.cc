#include "cli/trust_files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "interceptor/tls/ca_store.h"
#include "interceptor/tls/trust_bundle.h"

namespace hm::cli {

ClientPlaces home_places(const Home& home) {
  return {.edge_port = 0,
          .bundle = home.bundle(),
          .ca_cert = home.ca_cert(),
          .python_dir = home.python_dir()};
}

std::string unusable_home(const Home& home) {
  if (const auto made = ensure_dir(home.root()); !made)
    return home.root().string() + " cannot be made (" + describe(made.error()) + ")";
  if (::access(home.root().c_str(), W_OK | X_OK) != 0)
    return home.root().string() + " cannot be written to (" + std::strerror(errno) + ")";
  return {};
}

ClientPlaces home_places(const Home& home, const Settings& settings) {
  ClientPlaces places = home_places(home);
  places.own_roots = !settings.upstream_roots.empty();
  return places;
}

ClientPlaces places_in(const Home& home, const std::filesystem::path& folder) {
  ClientPlaces places = home_places(home);
  places.bundle = folder / "certifi" / "cacert.pem";
  places.python_dir = folder;
  return places;
}

Result<std::string> ensure_authority(const Context& context,
                                     const std::vector<std::string>& hosts) {
  if (auto made = ensure_dir(context.home.root()); !made) return std::unexpected(made.error());
  auto authority = tls::Authority::load_or_create(context.home.ca_dir(), hosts, *context.clock);
  if (!authority) return std::unexpected(authority.error());
  return (*authority)->certificate_pem();
}

Result<void> ensure_bundle(const ClientPlaces& places, const std::string& authority_pem,
                           const std::vector<std::string>& extra_roots) {
  if (auto made = ensure_dir(places.bundle.parent_path()); !made) return made;
  tls::TrustBundleSources sources;
  sources.extra_roots.assign(extra_roots.begin(), extra_roots.end());
  sources.authority_pem = authority_pem;
  auto wrote = tls::refresh_trust_bundle(sources, places.bundle);
  if (!wrote) return std::unexpected(wrote.error());
  return {};
}

Result<ClientPlaces> ensure_certificates(const Context& context, const Settings& settings) {
  const auto authority = ensure_authority(context, settings.metered_hosts);
  if (!authority) return std::unexpected(authority.error());
  ClientPlaces places = home_places(context.home, settings);
  if (const auto made = ensure_bundle(places, *authority, settings.upstream_roots); !made)
    return std::unexpected(made.error());
  return places;
}

std::vector<std::string> readable_earlier_roots(const Environment& environment,
                                                const std::vector<ClientPlaces>& ours) {
  std::vector<std::string> files = earlier_roots(environment, ours);
  std::erase_if(files, [](const std::string& file) { return ::access(file.c_str(), R_OK) != 0; });
  return files;
}

}  // namespace hm::cli
