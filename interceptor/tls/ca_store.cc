#include "interceptor/tls/ca_store.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "common/base/fs.h"
#include "interceptor/tls/authority_parts.h"
#include "interceptor/tls/ca_certificate.h"
#include "interceptor/tls/engine_state.h"
#include "interceptor/tls/names.h"
#include "interceptor/tls/x509_tools.h"

namespace hm::tls {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxPem = 64 * 1024;
constexpr auto kLockPatience = std::chrono::seconds(10);

// Two starters: one makes the CA, the other waits and loads it. The kernel drops the lock with its
// holder, so there is no such thing as a stale one.
class FolderLock {
 public:
  ~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  FolderLock() = default;
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  Result<void> take(const fs::path& folder) {
    fd_ = ::open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd_ < 0)
      return fail(errno == EACCES || errno == EROFS ? Code::permission : Code::system,
                  "ca_store.lock", errno);
    const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return fail(Code::system, "ca_store.lock", errno);
      if (std::chrono::steady_clock::now() > deadline) return fail(Code::busy, "ca_store.lock");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return {};
  }

 private:
  int fd_ = -1;
};

Result<void> check_folder(const fs::path& folder) {
  struct stat info{};
  if (::stat(folder.c_str(), &info) != 0) return fail(Code::system, "ca_store.folder", errno);
  if (!S_ISDIR(info.st_mode)) return fail(Code::system, "ca_store.folder", ENOTDIR);
  if (info.st_uid != ::geteuid() || (info.st_mode & 077U) != 0)
    return fail(Code::permission, "ca_store.folder");
  return {};
}

Result<void> check_key_file(const fs::path& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0)
    return fail(errno == EACCES ? Code::permission : Code::system, "ca_store.key", errno);
  if (!S_ISREG(info.st_mode)) return fail(Code::malformed, "ca_store.key");
  if (info.st_uid != ::geteuid() || (info.st_mode & 077U) != 0)
    return fail(Code::permission, "ca_store.key");
  return {};
}

bool is_there(const fs::path& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0;
}

bssl::UniquePtr<EVP_PKEY> parse_key(const std::string& pem) {
  const bssl::UniquePtr<BIO> memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (memory == nullptr) return nullptr;
  const auto no_password = [](char*, int, int, void*) { return -1; };
  return bssl::UniquePtr<EVP_PKEY>(
      PEM_read_bio_PrivateKey(memory.get(), nullptr, no_password, nullptr));
}

Result<std::unique_ptr<Authority::Parts>> assemble(bssl::UniquePtr<X509> certificate,
                                                   bssl::UniquePtr<EVP_PKEY> key) {
  auto parts = std::make_unique<Authority::Parts>();
  parts->pem = to_pem(certificate.get());
  parts->not_before_us = wall_of(X509_get0_notBefore(certificate.get()));
  parts->not_after_us = wall_of(X509_get0_notAfter(certificate.get()));
  parts->hosts = permitted_hosts(certificate.get());
  uint8_t* der = nullptr;
  const int length = i2d_X509(certificate.get(), &der);
  if (length > 0) parts->der.reset(CRYPTO_BUFFER_new(der, static_cast<size_t>(length), nullptr));
  OPENSSL_free(der);
  if (parts->pem.empty() || parts->der == nullptr)
    return fail(Code::library, "ca_store.assemble", take_library_error());
  parts->certificate = std::move(certificate);
  parts->key = std::move(key);
  return parts;
}

Result<std::unique_ptr<Authority::Parts>> load(const fs::path& certificate_file,
                                               const fs::path& key_file) {
  if (auto good = check_key_file(key_file); !good) return std::unexpected(good.error());
  auto key_pem = read_file(key_file, kMaxPem);
  if (!key_pem) return std::unexpected(key_pem.error());
  auto certificate_pem = read_file(certificate_file, kMaxPem);
  if (!certificate_pem) return std::unexpected(certificate_pem.error());

  std::vector<bssl::UniquePtr<X509>> certificates = read_certificates(*certificate_pem);
  bssl::UniquePtr<EVP_PKEY> key = parse_key(*key_pem);
  OPENSSL_cleanse(key_pem->data(), key_pem->size());
  const bool belongs = certificates.size() == 1 && key != nullptr &&
                       X509_check_private_key(certificates.front().get(), key.get()) == 1 &&
                       (X509_get_extension_flags(certificates.front().get()) & EXFLAG_CA) != 0;
  take_library_error();
  if (!belongs) return fail(Code::malformed, "ca_store.load");
  return assemble(std::move(certificates.front()), std::move(key));
}

Result<std::unique_ptr<Authority::Parts>> make(const fs::path& certificate_file,
                                               const fs::path& key_file,
                                               const std::vector<std::string>& hosts,
                                               const Clock& clock) {
  std::vector<std::string> plain;
  for (const std::string& host : hosts) {
    plain.push_back(plain_host(host));
    if (!is_dns_name(plain.back()) && !is_ip_literal(plain.back()))
      return fail(Code::malformed, "ca_store.hosts");
  }
  if (plain.empty()) return fail(Code::malformed, "ca_store.hosts");

  bssl::UniquePtr<EVP_PKEY> key = make_p256_key();
  bssl::UniquePtr<X509> certificate =
      key == nullptr ? nullptr : make_ca_certificate(key.get(), plain, clock.wall_us() / 1'000'000);
  std::string key_pem = key == nullptr ? std::string() : to_pem(key.get());
  if (certificate == nullptr || key_pem.empty())
    return fail(Code::library, "ca_store.make", take_library_error());
  auto parts = assemble(std::move(certificate), std::move(key));
  if (!parts) return parts;

  // The certificate goes last: a key without one is an unfinished creation, and is made anew.
  ::unlink(certificate_file.c_str());
  ::unlink(key_file.c_str());
  auto wrote = replace_file(key_file, key_pem, 0600);
  OPENSSL_cleanse(key_pem.data(), key_pem.size());
  if (wrote) wrote = replace_file(certificate_file, (*parts)->pem, 0644);
  if (!wrote) return std::unexpected(wrote.error());
  // The reader's umask must not decide who can read a certificate that is there to be read.
  ::chmod(certificate_file.c_str(), 0644);
  return parts;
}

enum class Wish : uint8_t { load_or_make, make_anew };

Result<std::unique_ptr<Authority::Parts>> obtain(const fs::path& folder,
                                                 const std::vector<std::string>& hosts,
                                                 const Clock& clock, Wish wish) {
  if (auto there = ensure_dir(folder, 0700); !there) return std::unexpected(there.error());
  if (auto good = check_folder(folder); !good) return std::unexpected(good.error());
  const fs::path certificate_file = folder / "ca-cert.pem";
  FolderLock lock;
  if (auto taken = lock.take(folder); !taken) {
    // A home that turned read-only still has its CA, and nobody can be writing it.
    const bool may_read = taken.error().code == Code::permission && wish == Wish::load_or_make &&
                          is_there(certificate_file);
    if (!may_read) return std::unexpected(taken.error());
  }
  const fs::path key_file = folder / "ca-key.pem";
  if (wish == Wish::load_or_make && is_there(certificate_file)) {
    if (!is_there(key_file)) return fail(Code::malformed, "ca_store.key_missing");
    return load(certificate_file, key_file);
  }
  return make(certificate_file, key_file, hosts, clock);
}

}  // namespace

Authority::Authority() = default;
Authority::~Authority() = default;

Result<std::unique_ptr<Authority>> Authority::load_or_create(const std::filesystem::path& folder,
                                                             const std::vector<std::string>& hosts,
                                                             const Clock& clock) {
  auto parts = obtain(folder, hosts, clock, Wish::load_or_make);
  if (!parts) return std::unexpected(parts.error());
  std::unique_ptr<Authority> authority(new Authority());
  authority->parts_ = std::move(*parts);
  return authority;
}

Result<std::unique_ptr<Authority>> Authority::create(const std::filesystem::path& folder,
                                                     const std::vector<std::string>& hosts,
                                                     const Clock& clock) {
  auto parts = obtain(folder, hosts, clock, Wish::make_anew);
  if (!parts) return std::unexpected(parts.error());
  std::unique_ptr<Authority> authority(new Authority());
  authority->parts_ = std::move(*parts);
  return authority;
}

const std::string& Authority::certificate_pem() const {
  return parts_->pem;
}
int64_t Authority::not_after_us() const {
  return parts_->not_after_us;
}

bool Authority::valid_at(int64_t wall_us) const {
  return parts_->not_before_us <= wall_us && wall_us <= parts_->not_after_us;
}

bool Authority::covers(const std::string& host) const {
  // IPv6 has many spellings: compare as the certificate's own text.
  const std::string plain = plain_host(host);
  return parts_->hosts.contains(is_ip_literal(plain) ? canonical_ip(plain) : plain);
}

}  // namespace hm::tls
