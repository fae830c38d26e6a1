// One TLS end without a socket: ciphertext is fed in and taken out, plaintext likewise. BoringSSL
// behind a BIO over two ByteQueues. Relay-loop thread only; the context must outlive it.
//
// The end towards the client pauses after it has read the ClientHello and before it has written a
// byte: the session shakes hands with the origin first, and only then answers with a leaf and the
// protocol that the origin chose. Until answer() everything can still become a raw tunnel.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/byte_queue.h"
#include "common/base/bytes.h"
#include "common/base/result.h"
#include "interceptor/tls/client_hello.h"

namespace hm::tls {

class ClientSideContext;  // contexts.h: for the end towards the client (we are the server)
class OriginSideContext;  // contexts.h: for the end towards the origin (we are the client)
struct Leaf;              // leaf_cache.h

class Engine {
 public:
  enum class Handshake : uint8_t {
    wants_bytes,  // feed() more, send what outgoing() holds
    paused,       // client end only: hello() is there; call answer()
    done,
    failed,  // failure() says why; outgoing() may hold an alert
  };

  enum class Read : uint8_t {
    bytes,        // some plaintext was given out
    wants_bytes,  // nothing until more ciphertext is fed
    ended,        // close_notify received: orderly end of this direction
    failed,
  };

  // Why a handshake failed, in the words that the ladder needs.
  enum class Failure : uint8_t {
    none,
    not_tls,             // no ClientHello in these bytes, or TLS that we cannot speak
    origin_unverified,   // chain, name or date of the origin's certificate
    client_certificate,  // the origin asked for a client certificate
    peer_refused,        // the peer sent an alert that says it does not trust us (client_refusal())
    other,
  };

  [[nodiscard]] static std::unique_ptr<Engine> towards_client(const ClientSideContext& context);
  // Offers exactly `alpn` (none when empty), SNI `host` unless it is an IP literal, and verifies
  // the origin's certificate for `host`, or resumes a session in which it was verified.
  [[nodiscard]] static std::unique_ptr<Engine> towards_origin(const OriginSideContext& context,
                                                              const std::string& host,
                                                              const std::vector<std::string>& alpn);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Ciphertext from the peer; false when more than 1 MiB would be unread (the caller's pausing
  // failed). Nothing is processed until handshake() or read().
  [[nodiscard]] bool feed(Bytes ciphertext);
  // Ciphertext for the peer. The caller consumes it.
  [[nodiscard]] ByteQueue& outgoing();

  [[nodiscard]] Handshake handshake();
  [[nodiscard]] const ClientHello& hello() const;  // once paused
  // Lets the paused client end go on. `alpn` is what the origin chose, empty for none.
  [[nodiscard]] Result<void> answer(const Leaf& leaf, std::string_view alpn);

  // Plaintext into `out`; `count` says how much.
  [[nodiscard]] Read read(MutBytes out, size_t& count);
  // Ciphertext is here that has not become plaintext: a part of a record, or not read yet.
  [[nodiscard]] bool has_unread() const;
  // Encrypts all of it into outgoing(). Only after the handshake is done.
  [[nodiscard]] Result<void> write(Bytes plaintext);
  // Half-close of our direction; reading goes on. Idempotent.
  void send_close_notify();

  [[nodiscard]] std::string alpn() const;          // negotiated, empty for none
  [[nodiscard]] std::string_view version() const;  // "TLSv1.3"
  [[nodiscard]] bool resumed() const;              // an earlier session, once done
  [[nodiscard]] Failure failure() const;
  [[nodiscard]] const Error& error() const;  // details of the failure, for the log
  [[nodiscard]] int peer_alert() const;      // alert number of RFC 8446 6, -1 for none
  // The peer's alert says it does not accept our certificate (bad_certificate, unknown_ca, ...).
  [[nodiscard]] bool client_refusal() const;

 private:
  Engine();
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::tls
