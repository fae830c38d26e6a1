#include "cli/settings.h"

#include <utility>

#include "cli/client_env.h"
#include "cli/pair_state.h"
#include "common/config/last_good.h"
#include "common/wire/host_match.h"

namespace hm::cli {

Settings load_settings(const Context& context) {
  Settings settings;
  config::Loaded loaded = config::load_in_force(context.home.config());
  const config::Config& config = loaded.config;
  settings.warnings = std::move(loaded.warnings);
  wire::HostTable hosts;
  for (const config::ExtraProvider& provider : config.providers) hosts.add(provider.host);
  settings.metered_hosts = hosts.names();
  settings.has_upstream_proxy = !config.upstream.proxy.empty();
  if (!config.upstream.ca_file.empty()) settings.upstream_roots = {config.upstream.ca_file};
  settings.known_edge_ports.push_back(static_cast<uint16_t>(config.daemon.edge_port));
  if (const auto ports = bound_ports(context.place); ports && ports->edge != 0)
    settings.known_edge_ports.push_back(ports->edge);
  // A shell that was set up while the edge had another port.
  const std::string_view marked = look_up(context.environment, "HALTON_METER_ENV_PORT");
  if (const uint16_t port = loopback_port("127.0.0.1:" + std::string(marked)); port != 0)
    settings.known_edge_ports.push_back(port);
  return settings;
}

}  // namespace hm::cli
