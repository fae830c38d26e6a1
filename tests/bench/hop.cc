// The floor: one hop that does nothing but carry. Accepts, reads a CONNECT head, dials the target
// on loopback and copies bytes both ways with epoll and one buffer. No limits, no half-close, no
// errors worth the name: what a relay cannot be cheaper than.
//
//   bench_hop [--port N]      prints its port and serves until it is killed
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/bench_socket.h"

namespace {

using namespace hm::bench;

// Blocking writes are fine here: the far side of a benchmark reads.
void carry(int from, int to, std::vector<int>& peer) {
  static std::array<char, 65'536> buffer;
  const ssize_t got = ::recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got > 0) return write_all(to, {buffer.data(), static_cast<size_t>(got)});
  ::close(from);
  ::close(to);
  peer[static_cast<size_t>(from)] = peer[static_cast<size_t>(to)] = -1;
}

void remember(std::vector<int>& peer, int a, int b) {
  const auto most = static_cast<size_t>(std::max(a, b));
  if (peer.size() <= most) peer.resize(most + 64, -1);
  peer[static_cast<size_t>(a)] = b;
  peer[static_cast<size_t>(b)] = a;
}

void watch(int poll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

void take_connection(int listener, int poll, std::vector<int>& peer) {
  const int client = accept_from(listener, true);
  if (client < 0) return;
  const std::string head = read_head(client);
  const size_t begin = head.find(' ') + 1;
  const Address target =
      parse_address(std::string_view(head).substr(begin, head.find(' ', begin) - begin));
  const int origin = connect_to(target.port);
  write_all(client, "HTTP/1.1 200 Connection Established\r\n\r\n");
  remember(peer, client, origin);
  watch(poll, client);
  watch(poll, origin);
}

}  // namespace

int main(int argc, char** argv) {
  uint16_t port = 0;
  if (argc == 3 && std::string_view(argv[1]) == "--port")
    port = static_cast<uint16_t>(std::stoi(argv[2]));
  const int listener = listen_on(port);
  std::printf("%u\n", local_port(listener));
  std::fflush(stdout);
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  watch(poll, listener);
  std::vector<int> peer;
  while (true) {
    std::array<epoll_event, 64> events;
    const int count = ::epoll_wait(poll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == listener) {
        take_connection(listener, poll, peer);
      } else if (peer[static_cast<size_t>(fd)] >= 0) {
        carry(fd, peer[static_cast<size_t>(fd)], peer);
      }
    }
  }
}
