#include "common/net/unix_address.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "common/net/uv_handle.h"

namespace hm::net {

Result<UnixAddress> UnixAddress::of(const std::filesystem::path& path) {
  UnixAddress result;
  std::string text = path.string();
  if (text.size() >= sizeof result.address_.sun_path) {
    result.folder_ = open(path.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (result.folder_ < 0) return fail_with(errno, "control_socket.folder");
    text = "/proc/self/fd/" + std::to_string(result.folder_) + "/" + path.filename().string();
  }
  if (text.empty() || text.size() >= sizeof result.address_.sun_path)
    return fail(Code::too_large, "control_socket.path");
  result.address_.sun_family = AF_UNIX;
  std::memcpy(result.address_.sun_path, text.c_str(), text.size() + 1);
  return result;
}

UnixAddress::~UnixAddress() {
  if (folder_ >= 0) close(folder_);
}

UnixAddress::UnixAddress(UnixAddress&& other) noexcept
    : address_(other.address_), folder_(std::exchange(other.folder_, -1)) {}

bool same_user(int descriptor) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
         peer.uid == geteuid();
}

}  // namespace hm::net
