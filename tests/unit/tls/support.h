// A plain BoringSSL peer on memory, and the things that a handshake with it needs.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "interceptor/tls/ca_store.h"
#include "interceptor/tls/contexts.h"
#include "interceptor/tls/engine.h"
#include "interceptor/tls/leaf_cache.h"
#include "interceptor/tls/x509_tools.h"
#include "tests/support/splits.h"
#include "tests/support/temp_folder.h"

namespace hm::test {

inline const std::vector<std::string>& metered() {
  static const std::vector<std::string> hosts{"api.example.com", "other.example.org", "127.0.0.1"};
  return hosts;
}

// One CA, one leaf cache and both contexts; the origin side trusts the CA alone.
struct World {
  TempFolder dir;
  std::unique_ptr<tls::Authority> authority =
      *tls::Authority::load_or_create(dir.path() / "ca", metered(), system_clock());
  tls::LeafCache leaves{*authority, system_clock()};
  std::unique_ptr<tls::ClientSideContext> client_side = *tls::ClientSideContext::create();
  std::unique_ptr<tls::OriginSideContext> origin_side = *tls::OriginSideContext::create(
      {dir.path() / "no-such-file", dir.path() / "ca" / "ca-cert.pem"});
};

inline World& world() {
  static World only;
  return only;
}

struct PeerOptions {
  bool server = false;
  uint16_t version = TLS1_3_VERSION;
  std::vector<std::string> alpn;  // client: offered; server: the first of these that is offered
  std::string server_name;        // client
  std::string trusted_pem;        // client: verifies when not empty
  bool ask_client_certificate = false;
  X509* certificate = nullptr;  // server
  EVP_PKEY* key = nullptr;
};

class PlainPeer {
 public:
  explicit PlainPeer(const PeerOptions& options) : alpn_(options.alpn) {
    context_.reset(SSL_CTX_new(TLS_method()));
    SSL_CTX_set_min_proto_version(context_.get(), options.version);
    SSL_CTX_set_max_proto_version(context_.get(), options.version);
    if (!options.trusted_pem.empty()) {
      for (auto& root : tls::read_certificates(options.trusted_pem))
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), root.get());
      SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    }
    if (options.ask_client_certificate)
      SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    if (options.certificate != nullptr) {
      SSL_CTX_use_certificate(context_.get(), options.certificate);
      SSL_CTX_use_PrivateKey(context_.get(), options.key);
    }
    if (options.server) SSL_CTX_set_alpn_select_cb(context_.get(), select, this);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (options.server) {
      SSL_set_accept_state(ssl_.get());
      return;
    }
    SSL_set_connect_state(ssl_.get());
    if (!options.server_name.empty())
      SSL_set_tlsext_host_name(ssl_.get(), options.server_name.c_str());
    std::string wire;
    for (const std::string& name : options.alpn) wire += static_cast<char>(name.size()) + name;
    if (!wire.empty())
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const uint8_t*>(wire.data()),
                          static_cast<unsigned>(wire.size()));
  }

  bool handshake() {  // true when done
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) return true;
    if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ) failed_ = true;
    return false;
  }
  [[nodiscard]] bool failed() const { return failed_; }

  void give(Bytes bytes) {
    BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
  }
  std::string take() {
    const uint8_t* data = nullptr;
    size_t length = 0;
    BIO_mem_contents(SSL_get_wbio(ssl_.get()), &data, &length);
    std::string out(reinterpret_cast<const char*>(data), length);
    BIO_reset(SSL_get_wbio(ssl_.get()));
    return out;
  }
  bool write(const std::string& text) {
    return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) ==
           static_cast<int>(text.size());
  }
  std::string read() {  // all there is
    std::string out;
    char buffer[16 * 1024];
    while (true) {
      ERR_clear_error();
      const int got = SSL_read(ssl_.get(), buffer, sizeof buffer);
      if (got <= 0) {
        if (SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN) ended_ = true;
        return out;
      }
      out.append(buffer, static_cast<size_t>(got));
    }
  }
  [[nodiscard]] bool ended() const { return ended_; }
  void close() { SSL_shutdown(ssl_.get()); }
  [[nodiscard]] SSL* raw() { return ssl_.get(); }
  [[nodiscard]] std::string alpn() const {
    const uint8_t* data = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(ssl_.get(), &data, &length);
    return {reinterpret_cast<const char*>(data), length};
  }

 private:
  static int select(SSL* /*ssl*/, const uint8_t** out, uint8_t* out_length, const uint8_t* in,
                    unsigned in_length, void* argument) {
    const auto* self = static_cast<PlainPeer*>(argument);
    for (const std::string& wanted : self->alpn_) {
      for (unsigned at = 0; at < in_length; at += 1U + in[at]) {
        if (std::string(reinterpret_cast<const char*>(in + at + 1), in[at]) != wanted) continue;
        *out = in + at + 1;
        *out_length = in[at];
        return SSL_TLSEXT_ERR_OK;
      }
    }
    return SSL_TLSEXT_ERR_NOACK;
  }

  std::vector<std::string> alpn_;
  bssl::UniquePtr<SSL_CTX> context_;
  bssl::UniquePtr<SSL> ssl_;
  bool failed_ = false;
  bool ended_ = false;
};

inline std::string drain(tls::Engine& engine) {
  std::string out = engine.outgoing().copy_all();
  engine.outgoing().clear();
  return out;
}

inline bool feed(tls::Engine& engine, const std::string& bytes) {
  return engine.feed(as_bytes(bytes));
}

inline std::string read_all(tls::Engine& engine, tls::Engine::Read& last) {
  std::string out;
  std::vector<uint8_t> buffer(16 * 1024);
  size_t count = 0;
  while ((last = engine.read(buffer, count)) == tls::Engine::Read::bytes)
    out.append(as_text(Bytes(buffer).first(count)));
  return out;
}

// Runs both ends to a standstill. The bytes towards the engine come in pieces of `split`; `answer`
// is called at the pause.
template <class Answer>
tls::Engine::Handshake shake(tls::Engine& engine, PlainPeer& peer, const Split& split,
                             Answer&& answer) {
  auto state = tls::Engine::Handshake::wants_bytes;
  const auto step = [&] {
    state = engine.handshake();
    if (state == tls::Engine::Handshake::paused) {
      answer();
      state = engine.handshake();
    }
  };
  for (int idle = 0; idle < 3;) {
    peer.handshake();
    step();
    const std::string up = peer.take();
    feed_split(as_bytes(up), split, [&](Bytes piece) {
      if (!engine.feed(piece)) std::abort();
      step();
    });
    const std::string down = drain(engine);
    peer.give(as_bytes(down));
    idle = up.empty() && down.empty() ? idle + 1 : 0;
  }
  return state;
}

struct MintOptions {
  std::string host = "api.example.com";
  int64_t begins_s = -86'400;  // from now
  int64_t ends_s = 86'400;
  std::string name = "test";  // subject's common name
};

struct Minted {
  bssl::UniquePtr<X509> certificate;
  bssl::UniquePtr<EVP_PKEY> key;
};

// A server certificate signed by itself.
inline Minted mint_self_signed(const MintOptions& options) {
  Minted made;
  made.key = tls::make_p256_key();
  const int64_t now = system_clock().wall_us() / 1'000'000;
  made.certificate =
      tls::begin_certificate(made.key.get(), {now + options.begins_s, now + options.ends_s});
  X509* raw = made.certificate.get();
  X509_NAME_add_entry_by_txt(X509_get_subject_name(raw), "CN", MBSTRING_ASC,
                             reinterpret_cast<const uint8_t*>(options.name.c_str()), -1, -1, 0);
  X509_set_issuer_name(raw, X509_get_subject_name(raw));
  const std::string name = "DNS:" + options.host;
  (void)tls::add_extension(raw, raw, NID_subject_alt_name, name.c_str());
  X509_sign(raw, made.key.get(), EVP_sha256());
  return made;
}

}  // namespace hm::test
