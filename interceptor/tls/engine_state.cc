#include "interceptor/tls/engine_state.h"

#include <openssl/err.h>

#include "interceptor/tls/hello_parser.h"
#include "interceptor/tls/origin_sessions.h"

namespace hm::tls {
namespace {

EngineState& state_of(const SSL* ssl) {
  return *static_cast<EngineState*>(SSL_get_app_data(ssl));
}

// The pause: called after the ClientHello was parsed and before anything is written.
ssl_select_cert_result_t on_client_hello(const SSL_CLIENT_HELLO* raw) {
  EngineState& state = state_of(raw->ssl);
  if (state.answered) return ssl_select_cert_success;
  state.hello = ClientHello{};
  if (!parse_client_hello(*raw, state.hello)) return ssl_select_cert_error;
  state.paused = true;
  return ssl_select_cert_retry;
}

int on_alpn(SSL* ssl, const uint8_t** out, uint8_t* out_length, const uint8_t* /*in*/,
            unsigned /*in_length*/, void* /*argument*/) {
  const std::string& chosen = state_of(ssl).chosen_alpn;
  if (chosen.empty()) return SSL_TLSEXT_ERR_NOACK;
  *out = reinterpret_cast<const uint8_t*>(chosen.data());
  *out_length = static_cast<uint8_t>(chosen.size());
  return SSL_TLSEXT_ERR_OK;
}

void on_info(const SSL* ssl, int type, int value) {
  if (type != SSL_CB_READ_ALERT) return;
  const int description = value & 0xff;
  if (description == SSL_AD_CLOSE_NOTIFY || description == SSL_AD_USER_CANCELLED) return;
  state_of(ssl).alert = description;
}

// Called on the origin side only when the origin sent a CertificateRequest. Going on without a
// certificate would change what the client's own handshake would have been: give up instead, so
// that the session can tunnel.
int on_certificate_request(SSL* ssl, void* /*argument*/) {
  state_of(ssl).certificate_requested = true;
  return 0;
}

// The reference is ours when 1 is returned.
int on_new_session(SSL* ssl, SSL_SESSION* session) {
  const EngineState& state = state_of(ssl);
  if (state.sessions == nullptr || SSL_SESSION_is_resumable(session) == 0) return 0;
  // TLS 1.2 hands it out within the handshake.
  const bool before_done = state.verified_at_us == 0;
  state.sessions->keep(state.session_key,
                       {bssl::UniquePtr<SSL_SESSION>(session),
                        before_done ? state.sessions->now_us() : state.verified_at_us});
  return 1;
}

}  // namespace

void install_client_side_callbacks(SSL_CTX* context) {
  SSL_CTX_set_select_certificate_cb(context, on_client_hello);
  SSL_CTX_set_alpn_select_cb(context, on_alpn, nullptr);
  SSL_CTX_set_info_callback(context, on_info);
}

void install_origin_side_callbacks(SSL_CTX* context) {
  SSL_CTX_set_cert_cb(context, on_certificate_request, nullptr);
  SSL_CTX_set_info_callback(context, on_info);
}

void keep_origin_sessions(SSL_CTX* context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, on_new_session);
}

int64_t take_library_error() {
  const uint32_t packed = ERR_peek_error();
  ERR_clear_error();
  return static_cast<int64_t>(packed);
}

}  // namespace hm::tls
