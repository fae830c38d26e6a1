#include "interceptor/tls/contexts.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <system_error>

#include "common/base/fs.h"
#include "interceptor/tls/engine_state.h"
#include "interceptor/tls/origin_sessions.h"
#include "interceptor/tls/root_index.h"

namespace hm::tls {
namespace {

// Debian, Ubuntu, Arch, Alpine; Fedora, RHEL; openSUSE; newer Fedora; BSD-like layouts. Our own
// SSL_CERT_FILE is no source: it may well name the bundle that we made for clients.
constexpr std::array<const char*, 5> kSystemBundles{
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem"};

bssl::UniquePtr<SSL_CTX> make_context() {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) != 1)
    return nullptr;
  // No store of sessions: towards clients tickets do the same without memory of ours.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

}  // namespace

std::filesystem::path system_root_bundle() {
  for (const char* path : kSystemBundles) {
    std::error_code error;
    if (std::filesystem::is_regular_file(path, error) &&
        std::filesystem::file_size(path, error) > 0 && !error)
      return path;
  }
  return {};
}

Result<std::unique_ptr<ClientSideContext>> ClientSideContext::create() {
  bssl::UniquePtr<SSL_CTX> context = make_context();
  if (context == nullptr) return fail(Code::library, "tls.contexts.client", take_library_error());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  install_client_side_callbacks(context.get());
  return std::unique_ptr<ClientSideContext>(new ClientSideContext(context.release()));
}

ClientSideContext::~ClientSideContext() {
  SSL_CTX_free(static_cast<SSL_CTX*>(context_));
}

Result<std::unique_ptr<OriginSideContext>> OriginSideContext::create(const Options& options) {
  bssl::UniquePtr<SSL_CTX> context = make_context();
  if (context == nullptr) return fail(Code::library, "tls.contexts.origin", take_library_error());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  install_origin_side_callbacks(context.get());

  X509_STORE* store = SSL_CTX_get_cert_store(context.get());
  // A company's file may hold its issuing CA alone, without the root above it.
  X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);

  auto roots = std::make_unique<RootIndex>();
  size_t count = 0;
  const std::filesystem::path system =
      options.system_roots.empty() ? system_root_bundle() : options.system_roots;
  if (!system.empty()) {
    // A minimal container has no roots; extra ones may still make us useful.
    if (const auto pem = read_file(system)) count += roots->add(*pem);
  }
  if (!options.extra_roots.empty()) {
    const auto pem = read_file(options.extra_roots);
    if (!pem) return std::unexpected(pem.error());
    const size_t added = roots->add(*pem);
    if (added == 0) return fail(Code::malformed, "tls.contexts.extra_roots");
    count += added;
  }
  if (count == 0) return fail(Code::not_found, "tls.contexts.roots");
  if (!RootIndex::install(context.get(), std::move(roots)))
    return fail(Code::library, "tls.contexts.roots", take_library_error());
  std::unique_ptr<OriginSideContext> made(new OriginSideContext(context.release()));
  if (options.resume) {
    made->sessions_ = std::make_shared<OriginSessions>(*options.clock);
    keep_origin_sessions(static_cast<SSL_CTX*>(made->raw()));
  }
  return made;
}

OriginSideContext::OriginSideContext(void* context) : context_(context) {}

OriginSideContext::~OriginSideContext() {
  SSL_CTX_free(static_cast<SSL_CTX*>(context_));
}

}  // namespace hm::tls
