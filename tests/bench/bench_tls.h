// TLS for the bench programs, straight on BoringSSL and a socket: as plain as a TLS end can be. The
// load does not verify its peer (every proxy shows a certificate of its own); that costs all of
// them the same.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace hm::bench {

struct TlsFree {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* tls) const { SSL_free(tls); }
};
using TlsContext = std::unique_ptr<SSL_CTX, TlsFree>;
using TlsEnd = std::unique_ptr<SSL, TlsFree>;

TlsContext client_context();  // offers http/1.1, takes no session tickets along
TlsContext server_context(const std::string& certificate, const std::string& key);

TlsEnd client_end(SSL_CTX* context, int fd, const std::string& server_name);  // shakes hands
TlsEnd server_end(SSL_CTX* context, int fd);                                  // not yet

void write_all(SSL* tls, std::string_view bytes);
// Blocking; 0 at the end of the stream.
size_t read_some(SSL* tls, std::span<char> into);

}  // namespace hm::bench
