// The two SSL_CTX of the process. Origin verification is always on; there is no switch.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace hm::tls {

class OriginSessions;

// Towards clients: TLS 1.2 and 1.3, certificate chosen per connection after the pause, session
// tickets on, no early data.
class ClientSideContext {
 public:
  [[nodiscard]] static Result<std::unique_ptr<ClientSideContext>> create();
  ~ClientSideContext();
  void* raw() const { return context_; }  // SSL_CTX*, for the engine

 private:
  explicit ClientSideContext(void* context) : context_(context) {}
  void* context_;
};

// Towards origins: TLS 1.2 and 1.3, roots of the system (the first of Debian's, Fedora's, ...
// bundle files that exists) plus `extra_roots`, name checked, no client certificate ever sent.
// Sessions are resumed with origins that offer it (origin_sessions.h).
class OriginSideContext {
 public:
  struct Options {
    std::filesystem::path system_roots;  // empty: the system's own places
    std::filesystem::path extra_roots;   // PEM, may be empty
    bool resume = true;
    const Clock* clock = &system_clock();
  };
  // Blocks (reads files): before the loop runs, or elsewhere.
  [[nodiscard]] static Result<std::unique_ptr<OriginSideContext>> create(const Options& options);
  ~OriginSideContext();
  // Connections that have begun keep what they began with.
  void swap(OriginSideContext& other) noexcept {
    std::swap(context_, other.context_);
    sessions_.swap(other.sessions_);  // what was verified with other roots is not resumed
  }
  void* raw() const { return context_; }
  // Null: none are kept.
  [[nodiscard]] const std::shared_ptr<OriginSessions>& sessions() const { return sessions_; }

 private:
  explicit OriginSideContext(void* context);
  void* context_;
  std::shared_ptr<OriginSessions> sessions_;  // shared with the engines
};

// Path of the system's root bundle, empty when none was found.
[[nodiscard]] std::filesystem::path system_root_bundle();

}  // namespace hm::tls
