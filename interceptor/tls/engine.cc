//   client end:  wants_bytes --ClientHello--> paused --answer()--> wants_bytes --Finished--> done
//   origin end:  wants_bytes --------------------------------------------------Finished--> done
//   failed is final; so is a failed read() or write() after done.
#include "interceptor/tls/engine.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <climits>

#include "interceptor/tls/bio.h"
#include "interceptor/tls/contexts.h"
#include "interceptor/tls/engine_state.h"
#include "interceptor/tls/leaf.h"
#include "interceptor/tls/names.h"
#include "interceptor/tls/origin_sessions.h"
#include "interceptor/tls/plain_alert.h"

namespace hm::tls {
namespace {

constexpr size_t kIncomingLimit = 1024 * 1024;
constexpr uint8_t kHandshakeRecord = 22;
constexpr uint8_t kAlertRecord = 21;

// RFC 8446 6.2: the words for "I do not accept your certificate". decrypt_error and
// handshake_failure are about something else.
bool says_mistrust(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
      return true;
    default:
      return false;
  }
}

bool offer_alpn(SSL* ssl, const std::vector<std::string>& protocols) {
  if (protocols.empty()) return true;
  std::string wire;  // RFC 7301 3.1, without the outer length
  for (const std::string& protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255) return false;
    wire.push_back(static_cast<char>(protocol.size()));
    wire += protocol;
  }
  // Zero is success here, unlike in the rest of the library.
  return SSL_set_alpn_protos(ssl, reinterpret_cast<const uint8_t*>(wire.data()),
                             static_cast<unsigned>(wire.size())) == 0;
}

bool expect_name(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  if (is_ip_literal(host)) return X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1;
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return !host.empty() && X509_VERIFY_PARAM_set1_host(param, host.data(), host.size()) == 1 &&
         SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

}  // namespace

struct Engine::Parts {
  ByteQueue incoming{kIncomingLimit};
  ByteQueue outgoing;
  EngineState state;
  PlainAlertWatch plain_alert;
  bssl::UniquePtr<SSL> ssl;  // last: it points to the queues and the state
  bool server = false;
  bool saw_first_byte = false;
  bool no_tls = false;  // the first byte is not one that TLS could begin with
  bool done = false;
  bool close_sent = false;
  Failure failure = Failure::none;
  Error error;

  void set_up(SSL_CTX* context) {
    ssl.reset(SSL_new(context));
    bssl::UniquePtr<BIO> bio = make_queue_bio(incoming, outgoing);
    if (ssl == nullptr || bio == nullptr) {
      ssl.reset();
      fail_with(Failure::other, {Code::exhausted, "tls.engine.create"});
      return;
    }
    SSL_set_app_data(ssl.get(), &state);
    BIO* shared = bio.release();
    BIO_up_ref(shared);  // one reference for each direction
    SSL_set0_rbio(ssl.get(), shared);
    SSL_set0_wbio(ssl.get(), shared);
  }

  // Only sessions of this very name and offer: what the origin answered is what it would answer
  // now.
  void offer_session(const std::shared_ptr<OriginSessions>& sessions, const std::string& host,
                     const std::vector<std::string>& alpn) {
    if (sessions == nullptr) return;
    state.sessions = sessions;
    state.session_key = host;
    for (const std::string& protocol : alpn) state.session_key.append(1, '\n').append(protocol);
    auto known = sessions->take(state.session_key);
    if (!known || SSL_set_session(ssl.get(), known->session.get()) != 1) return;
    state.offered_session = true;
    state.verified_at_us = known->verified_at_us;
  }

  void note_done() {
    done = true;
    if (state.sessions != nullptr && SSL_session_reused(ssl.get()) == 0)
      state.verified_at_us = state.sessions->now_us();
  }

  void fail_with(Failure why, const Error& what) {
    if (failure != Failure::none) return;
    failure = why;
    error = what;
  }

  [[nodiscard]] int alert() const {
    return state.alert >= 0 || done ? state.alert : plain_alert.alert();
  }
  [[nodiscard]] bool refused() const { return server && says_mistrust(alert()); }

  Handshake handshake_failed() {
    const int64_t detail = take_library_error();
    if (server && !state.answered) {
      // Nothing may have left: the bytes will be replayed on a raw tunnel.
      outgoing.clear();
      fail_with(Failure::not_tls, {Code::malformed, "tls.client.hello", detail});
    } else if (no_tls) {
      outgoing.clear();
      fail_with(Failure::not_tls, {Code::malformed, "tls.origin.hello", detail});
    } else if (state.certificate_requested) {
      fail_with(Failure::client_certificate, {Code::unsupported, "tls.origin.certificate_request"});
    } else if (!server && ERR_GET_LIB(static_cast<uint32_t>(detail)) == ERR_LIB_SSL &&
               ERR_GET_REASON(static_cast<uint32_t>(detail)) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
      fail_with(Failure::origin_unverified,
                {Code::library, "tls.origin.verify", SSL_get_verify_result(ssl.get())});
    } else if (refused()) {
      fail_with(Failure::peer_refused, {Code::library, "tls.client.alert", alert()});
    } else {
      fail_with(Failure::other,
                {Code::library, server ? "tls.client.handshake" : "tls.origin.handshake", detail});
    }
    return Handshake::failed;
  }
};

Engine::Engine() : parts_(std::make_unique<Parts>()) {}

Engine::~Engine() {
  // Whatever the reason was: the next handshake with this origin is one in full.
  const EngineState& state = parts_->state;
  if (state.offered_session && !parts_->done) state.sessions->give_up(state.session_key);
}

std::unique_ptr<Engine> Engine::towards_client(const ClientSideContext& context) {
  std::unique_ptr<Engine> engine(new Engine());
  Parts& parts = *engine->parts_;
  parts.server = true;
  parts.set_up(static_cast<SSL_CTX*>(context.raw()));
  if (parts.ssl != nullptr) SSL_set_accept_state(parts.ssl.get());
  return engine;
}

std::unique_ptr<Engine> Engine::towards_origin(const OriginSideContext& context,
                                               const std::string& host,
                                               const std::vector<std::string>& alpn) {
  std::unique_ptr<Engine> engine(new Engine());
  Parts& parts = *engine->parts_;
  parts.set_up(static_cast<SSL_CTX*>(context.raw()));
  if (parts.ssl == nullptr) return engine;
  SSL_set_connect_state(parts.ssl.get());
  if (!expect_name(parts.ssl.get(), plain_host(host)) || !offer_alpn(parts.ssl.get(), alpn))
    parts.fail_with(Failure::other, {Code::malformed, "tls.origin.offer", take_library_error()});
  else
    parts.offer_session(context.sessions(), host, alpn);
  return engine;
}

bool Engine::feed(Bytes ciphertext) {
  Parts& parts = *parts_;
  if (ciphertext.empty()) return true;
  if (!parts.incoming.append(ciphertext)) return false;
  if (!parts.saw_first_byte) {
    parts.saw_first_byte = true;
    // SSLv2's hello would be taken by the library; no client that we could serve sends one.
    const uint8_t first = ciphertext.front();
    parts.no_tls = first != kHandshakeRecord && (parts.server || first != kAlertRecord);
  }
  if (!parts.done) parts.plain_alert.feed(ciphertext);
  return true;
}

ByteQueue& Engine::outgoing() {
  return parts_->outgoing;
}

Engine::Handshake Engine::handshake() {
  Parts& parts = *parts_;
  if (parts.done) return Handshake::done;
  if (parts.failure != Failure::none) return Handshake::failed;
  if (parts.no_tls) return parts.handshake_failed();
  if (parts.state.paused && !parts.state.answered) return Handshake::paused;

  ERR_clear_error();
  const int result = SSL_do_handshake(parts.ssl.get());
  if (result == 1) {
    parts.note_done();
    return Handshake::done;
  }
  switch (SSL_get_error(parts.ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Handshake::wants_bytes;
    case SSL_ERROR_PENDING_CERTIFICATE:
      return Handshake::paused;
    default:
      return parts.handshake_failed();
  }
}

const ClientHello& Engine::hello() const {
  return parts_->state.hello;
}

Result<void> Engine::answer(const Leaf& leaf, std::string_view alpn) {
  Parts& parts = *parts_;
  EngineState& state = parts.state;
  if (!state.paused || state.answered || parts.failure != Failure::none)
    return fail(Code::internal, "tls.answer.state");
  if (!alpn.empty() &&
      std::find(state.hello.alpn.begin(), state.hello.alpn.end(), alpn) == state.hello.alpn.end())
    return fail(Code::malformed, "tls.answer.alpn");

  ERR_clear_error();
  const std::array<CRYPTO_BUFFER*, 2> chain{leaf.certificate.get(), leaf.authority.get()};
  if (SSL_set_chain_and_key(parts.ssl.get(), chain.data(), chain.size(), leaf.key.get(), nullptr) !=
      1)
    return fail(Code::library, "tls.answer.certificate", take_library_error());
  state.chosen_alpn.assign(alpn);
  state.answered = true;
  return {};
}

bool Engine::has_unread() const {
  return !parts_->incoming.empty() || SSL_has_pending(parts_->ssl.get()) == 1;
}

Engine::Read Engine::read(MutBytes out, size_t& count) {
  Parts& parts = *parts_;
  count = 0;
  if (parts.failure != Failure::none) return Read::failed;
  if (!parts.done || out.empty()) return Read::wants_bytes;

  ERR_clear_error();
  const int length = static_cast<int>(std::min<size_t>(out.size(), INT_MAX));
  const int got = SSL_read(parts.ssl.get(), out.data(), length);
  if (got > 0) {
    count = static_cast<size_t>(got);
    return Read::bytes;
  }
  switch (SSL_get_error(parts.ssl.get(), got)) {
    case SSL_ERROR_WANT_READ:
      return Read::wants_bytes;
    case SSL_ERROR_ZERO_RETURN:
      return Read::ended;
    default:
      break;
  }
  const int64_t detail = take_library_error();
  if (parts.refused())  // some stacks judge the leaf after their Finished
    parts.fail_with(Failure::peer_refused, {Code::library, "tls.client.alert", parts.alert()});
  else
    parts.fail_with(Failure::other, {Code::library, "tls.read", detail});
  return Read::failed;
}

Result<void> Engine::write(Bytes plaintext) {
  Parts& parts = *parts_;
  if (!parts.done || parts.close_sent) return fail(Code::internal, "tls.write.state");
  while (!plaintext.empty()) {
    ERR_clear_error();
    const int length = static_cast<int>(std::min<size_t>(plaintext.size(), INT_MAX));
    const int wrote = SSL_write(parts.ssl.get(), plaintext.data(), length);
    if (wrote <= 0) {
      parts.fail_with(Failure::other, {Code::library, "tls.write", take_library_error()});
      return std::unexpected(parts.error);
    }
    plaintext = plaintext.subspan(static_cast<size_t>(wrote));
  }
  return {};
}

void Engine::send_close_notify() {
  Parts& parts = *parts_;
  if (!parts.done || parts.close_sent) return;
  parts.close_sent = true;
  ERR_clear_error();
  SSL_shutdown(parts.ssl.get());  // once: a second call would wait for the peer's
  ERR_clear_error();
}

std::string Engine::alpn() const {
  const uint8_t* data = nullptr;
  unsigned length = 0;
  if (parts_->ssl != nullptr) SSL_get0_alpn_selected(parts_->ssl.get(), &data, &length);
  return length == 0 ? std::string() : std::string(as_text(Bytes(data, length)));
}

std::string_view Engine::version() const {
  return parts_->ssl == nullptr ? "" : SSL_get_version(parts_->ssl.get());
}

bool Engine::resumed() const {
  return parts_->done && SSL_session_reused(parts_->ssl.get()) != 0;
}

Engine::Failure Engine::failure() const {
  return parts_->failure;
}
const Error& Engine::error() const {
  return parts_->error;
}
int Engine::peer_alert() const {
  return parts_->alert();
}
bool Engine::client_refusal() const {
  return parts_->refused();
}

}  // namespace hm::tls
