#include "common/setup/kept_sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/notify.h"

namespace hm::setup {
namespace {

uint16_t port_of(int descriptor) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      address.sin_family != AF_INET)
    return 0;
  return ntohs(address.sin_port);
}

// systemd takes no descriptor twice, so the old name has to leave first. We hold the socket
// meanwhile.
void rename(const NamedDescriptor& kept, const std::string& name) {
  if (!notify::available()) return;
  notify::forget(kept.name);
  if (!notify::store(name, kept.descriptor))
    log::warn("setup.socket_not_kept").with("socket", name);
}

}  // namespace

void KeptSockets::close_rest() {
  for (const NamedDescriptor& one : kept_) {
    ::close(one.descriptor);
    if (one.name.starts_with(kWatchPurpose)) notify::forget(one.name);
  }
  kept_.clear();
}

std::string KeptSockets::name_of(std::string_view purpose, uint16_t wanted) {
  return std::string(purpose) + '-' + std::to_string(wanted);
}

int KeptSockets::claim(std::string_view purpose, uint16_t wanted) {
  const std::string mine = name_of(purpose, wanted);
  const std::string prefix = std::string(purpose) + '-';
  const bool named =
      std::ranges::find(kept_, mine, &NamedDescriptor::name) != kept_.end() || wanted == 0;
  int claimed = -1;
  std::erase_if(kept_, [&](const NamedDescriptor& one) {
    const bool at_port =
        !named && one.name.starts_with(prefix) && port_of(one.descriptor) == wanted;
    if (at_port && claimed < 0) rename(one, mine);
    if ((at_port || one.name == mine) && claimed < 0) {
      claimed = one.descriptor;
      return true;
    }
    if (!one.name.starts_with(prefix)) return false;
    ::close(one.descriptor);
    if (one.name != mine) notify::forget(one.name);
    return true;
  });
  any_claimed_ = any_claimed_ || claimed >= 0;
  return claimed;
}

void KeptSockets::keep(std::string_view purpose, uint16_t wanted, int claimed, int in_use) {
  if (in_use < 0 || in_use == claimed || !notify::available()) return;
  const std::string name = name_of(purpose, wanted);
  // What was claimed and turned out to be of no use must not come back under the same name.
  if (claimed >= 0) notify::forget(name);
  if (!notify::store(name, in_use)) log::warn("setup.socket_not_kept").with("socket", name);
}

}  // namespace hm::setup
