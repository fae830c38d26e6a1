// Loopback sockets of the bench programs: blocking unless said otherwise, TCP_NODELAY always. A
// bench that cannot do what it was asked says so and ends the process: half a measurement is none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace hm::bench {

[[noreturn]] void die(std::string_view what);  // with errno's text

int64_t now_ns();  // CLOCK_MONOTONIC, the same for every process of the machine

struct Address {
  std::string host;  // as it stands in a CONNECT
  uint16_t port = 0;
};

// "127.0.0.1:8081"; dies on anything else.
Address parse_address(std::string_view text);

int listen_on(uint16_t port);  // 127.0.0.1; 0 = any free one
uint16_t local_port(int fd);
int connect_to(uint16_t port);                 // 127.0.0.1
int accept_from(int listener, bool blocking);  // -1: nobody there (non-blocking listener)
void set_blocking(int fd, bool blocking);

void write_all(int fd, std::string_view bytes);
void read_exactly(int fd, std::span<char> into);
std::string read_head(int fd);  // up to and with the empty line, byte by byte: nothing is over-read

// How the load reaches its target.
enum class Way : uint8_t { direct, connect, socks };
Way parse_way(std::string_view word);

// A connection to `target` straight, through an HTTP proxy's CONNECT or a SOCKS5 proxy. `dial` is
// where a direct connection goes (the target's name need not resolve).
int open_way(Way way, uint16_t dial, const Address& target);

}  // namespace hm::bench
