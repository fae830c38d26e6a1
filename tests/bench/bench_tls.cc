#include "tests/bench/bench_tls.h"

#include <poll.h>

#include "tests/bench/bench_socket.h"

namespace hm::bench {
namespace {

constexpr unsigned char kHttp11[] = "\x08http/1.1";

int choose_http11(SSL*, const uint8_t** chosen, uint8_t* length, const uint8_t*, unsigned, void*) {
  *chosen = kHttp11 + 1;
  *length = 8;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

TlsContext client_context() {
  TlsContext context(SSL_CTX_new(TLS_method()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  if (SSL_CTX_set_alpn_protos(context.get(), kHttp11, 9) != 0) die("ALPN");
  return context;
}

TlsContext server_context(const std::string& certificate, const std::string& key) {
  TlsContext context(SSL_CTX_new(TLS_method()));
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1)
    die("certificate or key cannot be read");
  SSL_CTX_set_alpn_select_cb(context.get(), choose_http11, nullptr);
  return context;
}

TlsEnd client_end(SSL_CTX* context, int fd, const std::string& server_name) {
  TlsEnd tls(SSL_new(context));
  SSL_set_fd(tls.get(), fd);
  SSL_set_tlsext_host_name(tls.get(), server_name.c_str());
  if (SSL_connect(tls.get()) != 1) die("TLS handshake");
  return tls;
}

TlsEnd server_end(SSL_CTX* context, int fd) {
  TlsEnd tls(SSL_new(context));
  SSL_set_fd(tls.get(), fd);
  SSL_set_accept_state(tls.get());
  return tls;
}

void write_all(SSL* tls, std::string_view bytes) {
  while (!bytes.empty()) {
    const int sent = SSL_write(tls, bytes.data(), static_cast<int>(bytes.size()));
    if (sent > 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
      continue;
    }
    if (SSL_get_error(tls, sent) != SSL_ERROR_WANT_WRITE) return;  // the peer has gone
    pollfd room{SSL_get_fd(tls), POLLOUT, 0};
    if (::poll(&room, 1, 10'000) != 1) die("a peer that does not read");
  }
}

size_t read_some(SSL* tls, std::span<char> into) {
  const int got = SSL_read(tls, into.data(), static_cast<int>(into.size()));
  return got > 0 ? static_cast<size_t>(got) : 0;
}

}  // namespace hm::bench
