#include "tests/bench/bench_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace hm::bench {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void no_delay(int fd) {
  const int on = 1;
  static_cast<void>(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
}

void ask_connect(int fd, const Address& target) {
  const std::string where = target.host + ":" + std::to_string(target.port);
  write_all(fd, "CONNECT " + where + " HTTP/1.1\r\nHost: " + where + "\r\n\r\n");
  const std::string head = read_head(fd);
  if (head.find(" 200 ") == std::string::npos) die("the proxy answered: " + head);
}

// RFC 1928: no authentication, CONNECT, a domain name.
void ask_socks(int fd, const Address& target) {
  write_all(fd, std::string_view("\x05\x01\x00", 3));
  char chosen[2];
  read_exactly(fd, chosen);
  if (chosen[1] != 0) die("the SOCKS proxy wants authentication");
  std::string request("\x05\x01\x00\x03", 4);
  request += static_cast<char>(target.host.size());
  request += target.host;
  request += static_cast<char>(target.port >> 8);
  request += static_cast<char>(target.port & 0xff);
  write_all(fd, request);
  char answer[10];  // an IPv4 address comes back
  read_exactly(fd, answer);
  if (answer[1] != 0) die("the SOCKS proxy refused");
}

}  // namespace

void die(std::string_view what) {
  std::fprintf(stderr, "bench: %.*s (%s)\n", static_cast<int>(what.size()), what.data(),
               std::strerror(errno));
  std::exit(1);
}

int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

Address parse_address(std::string_view text) {
  Address address;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) die("an address is HOST:PORT");
  address.host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (parsed.ec != std::errc() || address.port == 0) die("a port is a number from 1 to 65535");
  return address;
}

int listen_on(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  const int on = 1;
  static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
  const sockaddr_in address = loopback(port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("bind");
  if (::listen(fd, 4096) != 0) die("listen");
  return fd;
}

uint16_t local_port(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) die("getsockname");
  return ntohs(address.sin_port);
}

int connect_to(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  const sockaddr_in address = loopback(port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    die("connect to port " + std::to_string(port));
  no_delay(fd);
  return fd;
}

int accept_from(int listener, bool blocking) {
  const int fd =
      ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK));
  if (fd >= 0) no_delay(fd);
  return fd;
}

void set_blocking(int fd, bool blocking) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (::fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) != 0) die("fcntl");
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) die("send");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void read_exactly(int fd, std::span<char> into) {
  while (!into.empty()) {
    const ssize_t got = ::recv(fd, into.data(), into.size(), 0);
    if (got <= 0) die("the connection ended early");
    into = into.subspan(static_cast<size_t>(got));
  }
}

std::string read_head(int fd) {
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    char byte = 0;
    read_exactly(fd, {&byte, 1});
    head += byte;
    if (head.size() > 65'536) die("a head without an end");
  }
  return head;
}

Way parse_way(std::string_view word) {
  if (word == "direct") return Way::direct;
  if (word == "connect") return Way::connect;
  if (word == "socks") return Way::socks;
  die("--way is direct, connect or socks");
}

int open_way(Way way, uint16_t dial, const Address& target) {
  const int fd = connect_to(dial);
  if (way == Way::connect) ask_connect(fd, target);
  if (way == Way::socks) ask_socks(fd, target);
  return fd;
}

}  // namespace hm::bench
