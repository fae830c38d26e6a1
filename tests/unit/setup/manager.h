// A supervisor's notify socket for one test: what was said to it, and the descriptors that came
// along.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/base/notify.h"
#include "tests/unit/net/net_support.h"

namespace hm::setup::test {

using net::test::Fd;

struct Word {
  std::string text;
  Fd descriptor;
};

class Manager {
 public:
  Manager() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    std::string name = (std::filesystem::temp_directory_path() / "hm_setup_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder = name;
    const std::string path = folder / "notify";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    notify::mute(false);
  }
  ~Manager() {
    ::unsetenv("NOTIFY_SOCKET");
    std::filesystem::remove_all(folder);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // The next word; empty text: nothing was said.
  Word hear() {
    char text[512];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec part{text, sizeof text};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0) return {};
    Word word{std::string(text, static_cast<size_t>(got)), Fd()};
    if (const cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(head), sizeof descriptor);
      word.descriptor = Fd(descriptor);
    }
    return word;
  }

  std::filesystem::path folder;

 private:
  Fd socket_;
};

}  // namespace hm::setup::test
