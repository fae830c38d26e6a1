// Private to common/net: the address of a unix socket by path. A path longer than sun_path holds
// (107 bytes) is reached through a descriptor of its folder, which stays open as long as this
// object.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>

#include "common/base/result.h"

namespace hm::net {

class UnixAddress {
 public:
  [[nodiscard]] static Result<UnixAddress> of(const std::filesystem::path& path);
  ~UnixAddress();
  UnixAddress(UnixAddress&& other) noexcept;
  UnixAddress& operator=(UnixAddress&&) = delete;

  [[nodiscard]] const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&address_); }
  [[nodiscard]] socklen_t length() const { return sizeof address_; }
  [[nodiscard]] const char* path() const { return address_.sun_path; }

 private:
  UnixAddress() = default;

  sockaddr_un address_{};
  int folder_ = -1;
};

// The user at the other end of a connected unix socket (SO_PEERCRED) is the one we run as.
[[nodiscard]] bool same_user(int descriptor);

}  // namespace hm::net
