// What the interceptor takes up while it runs: `reload` of config.toml and of rates.toml. See
// common/setup/config_reload.h. Connections that have begun keep what they began with.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "common/base/log.h"
#include "interceptor/app/app_parts.h"
#include "interceptor/http/decoder.h"
#include "interceptor/pricing/user_rates.h"

namespace hm {

relay::RelayLimits InterceptorApp::Parts::limits() const {
  relay::RelayLimits limits;
  limits.max_sessions = most_sessions;
  limits.hello_timeout_ms = loaded.config.intercept.hello_timeout_ms;
  limits.handshake_timeout_ms = loaded.config.intercept.handshake_timeout_ms;
  return limits;
}

uint64_t InterceptorApp::Parts::decoded_bytes() const {
  return static_cast<uint64_t>(loaded.config.intercept.decoded_limit_mib) * 1024 * 1024;
}

void InterceptorApp::Parts::take_up_config(const std::vector<std::string>& changed,
                                           const setup::ConfigReload::Done& done) {
  const config::Config& config = loaded.config;
  setup::update_dial_options(dial_options, config, config.edge.connect_timeout_ms);
  most_sessions = setup::raise_descriptor_limit(static_cast<size_t>(config.intercept.max_sessions));
  context->limits = limits();
  trust->keep_for(config.intercept.trust_memory_s * 1'000'000);
  attributor->set_default_project(config.tagging.default_project);
  http::set_decoded_limit(decoded_bytes());
  api->set_allow_origins(config.cors.allow_origins);

  warnings = loaded.warnings;
  if (std::ranges::find(changed, "[[provider]]") != changed.end()) {
    providers.retire_added();
    hosts = wire::HostTable();
    provider_warnings.clear();
    add_providers();
  }
  warnings.insert(warnings.end(), provider_warnings.begin(), provider_warnings.end());
  check_coverage();

  // The file's content may be new under the same name, and so may the system's roots.
  using Made = Result<std::unique_ptr<tls::OriginSideContext>>;
  if (roots_work == nullptr) roots_work = std::make_unique<net::Work>(loop);
  const bool started = roots_work->start<std::shared_ptr<Made>>(
      [file = config.upstream.ca_file] {
        tls::OriginSideContext::Options roots;
        roots.extra_roots = file;
        return std::make_shared<Made>(tls::OriginSideContext::create(roots));
      },
      [this, done](const std::shared_ptr<Made>& made) {
        if (*made) {
          origin_side->swap(***made);
          return done({});
        }
        log::warn("config.roots_kept").with(made->error());
        done({"[upstream] ca_file cannot be read; the roots from before stay"});
      });
  if (!started) done({"[upstream] ca_file cannot be read just now; the roots from before stay"});
}

// A file with a fault changes nothing: what is in force stays.
void InterceptorApp::Parts::read_rates() {
  if (rates_work == nullptr) rates_work = std::make_unique<net::Work>(loop);
  rates_work->start<pricing::UserRates>(
      [file = home.rates()] { return pricing::load_user_rates(file); },
      [this](pricing::UserRates rates) {
        rates_warning.clear();
        if (!rates.fault.empty()) {
          rates_warning = rates.fault + "; the rates from before stay in force";
          log::warn("pricing.rates_kept").with("text", rates_warning);
          return;
        }
        rates_card = rates.card->id();
        writer->set_rates(std::move(rates.card));
        log::info("pricing.rates").with("card", rates_card);
      });
}

}  // namespace hm
