#include "common/wire/first_flight.h"

#include <catch2/catch.hpp>
#include <string>

using hm::wire::is_handshake_only;

namespace {

std::string record(char type, size_t length) {
  return std::string{type, 3, 1, static_cast<char>(length >> 8), static_cast<char>(length)} +
         std::string(length, 'x');
}

}  // namespace

TEST_CASE("a hello may be sent again, wherever it is cut", "[wire]") {
  const std::string flights[] = {
      record(22, 517),
      record(22, 300) + record(22, 1700),  // a hello in two records
      record(22, 517) + record(20, 1),     // and the word for middle boxes
      record(22, 0) + record(22, 5),
  };
  for (const std::string& flight : flights) {
    for (size_t cut = 0; cut <= flight.size(); ++cut) {
      CAPTURE(cut, flight.size());
      CHECK(is_handshake_only(std::string_view(flight).substr(0, cut)));
    }
  }
}

TEST_CASE("what could be a request may not", "[wire]") {
  CHECK_FALSE(is_handshake_only("P"));
  CHECK_FALSE(is_handshake_only("POST /v1/messages HTTP/1.1\r\n"));
  CHECK_FALSE(is_handshake_only(std::string(1, '\0')));
  CHECK_FALSE(is_handshake_only("\x16POST"));  // no version of TLS
  CHECK_FALSE(is_handshake_only(record(23, 16)));
  CHECK_FALSE(is_handshake_only(record(20, 1)));
  CHECK_FALSE(is_handshake_only(record(21, 2)));
  // Early data: a request under the keys of an earlier connection.
  const std::string early = record(22, 517) + record(20, 1) + record(23, 1);
  for (size_t cut = 522 + 6 + 1; cut <= early.size(); ++cut)
    CHECK_FALSE(is_handshake_only(std::string_view(early).substr(0, cut)));
}
