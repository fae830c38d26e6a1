// What BoringSSL's callbacks and the Engine tell each other about one connection. Private to this
// folder. Each SSL carries a pointer to its state as application data.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "interceptor/tls/client_hello.h"

namespace hm::tls {

class OriginSessions;

struct EngineState {
  bool paused = false;    // the hello was read, answer() is awaited
  bool answered = false;  // answer() came: the handshake may go on
  ClientHello hello;
  std::string chosen_alpn;  // by the origin; empty for none
  bool certificate_requested = false;
  std::shared_ptr<OriginSessions> sessions;  // origin side: where what it offers to resume is kept
  std::string session_key;                   // name and offer
  bool offered_session = false;              // ours, to resume
  int64_t verified_at_us = 0;                // steady: when the origin showed its certificate
  int alert = -1;                            // last alert of the peer that was not an orderly end
};

void install_client_side_callbacks(SSL_CTX* context);
void install_origin_side_callbacks(SSL_CTX* context);
void keep_origin_sessions(SSL_CTX* context);

// The oldest entry of BoringSSL's error queue, packed; empties the queue.
int64_t take_library_error();

}  // namespace hm::tls
