// Which provider stands behind a host: the built-in ones and those that the configuration adds.
// Changed by `reload` alone. Its Providers live as long as it does, also those of hosts that are no
// longer configured: calls to them may be under way, and records show their names. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "interceptor/meter/provider.h"

namespace hm::meter {

// A further host that speaks a known wire shape.
struct FurtherHost {
  std::string host;  // lower case, without port
  uint16_t port = 443;
  std::string name;   // provider id of its records
  std::string rates;  // rate namespace; may be one that no card knows: then calls are unpriced
  std::string shape;  // openai, anthropic or gemini: whose table of routes
  // Pattern (see Route::path) of what stands where that provider's own paths have /v1. Empty: any,
  // so that /v1/chat/completions, /openai/v1/chat/completions and /chat/completions all count.
  std::string path;
};

class ProviderRegistry {
 public:
  ProviderRegistry();  // the built-in hosts
  ~ProviderRegistry();
  ProviderRegistry(const ProviderRegistry&) = delete;
  ProviderRegistry& operator=(const ProviderRegistry&) = delete;

  // A host that is added again gets the further routes beside those it has. Empty when it was
  // added, else why not, as the second half of a sentence.
  [[nodiscard]] std::string add(const FurtherHost& further);

  // From here on only built-in hosts are found, until others are added.
  void retire_added();

  // Lower-case host; built-in ones on every port. Null for hosts that are not metered.
  [[nodiscard]] const Provider* find(std::string_view host, uint16_t port) const;

 private:
  struct Entry;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<std::unique_ptr<Entry>> retired_;
};

}  // namespace hm::meter
