// A connection without ALPN: what its client begins with decides.
#include "interceptor/http/unnamed_observer.h"

#include <catch2/catch.hpp>

#include "tests/support/h2_wire.h"
#include "tests/unit/http/h1_dialogue.h"

namespace hm::test {
namespace {

using namespace h2;  // NOLINT: the words of the frames are the language of these tests

const std::string kGet = "GET /a HTTP/1.1\r\nHost: api.test\r\n\r\n";
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

struct Watched {
  H1Transcript seen;
  http::UnnamedObserver observer{seen};

  // In pieces of `size` bytes.
  void say(bool from_client, const std::string& text, size_t size) {
    for (size_t at = 0; at < text.size(); at += size) {
      const std::string piece = text.substr(at, size);
      const auto read = from_client ? observer.from_client(as_bytes(piece))
                                    : observer.from_origin(as_bytes(piece));
      if (!read) seen.error(read.error());
    }
  }
};

TEST_CASE("without ALPN: HTTP/1") {
  const size_t size = GENERATE(1U, 2U, 3U, 5U, 1000U);
  Watched watched;
  CHECK_FALSE(watched.observer.mid_message());
  watched.say(true, kGet, size);
  watched.say(false, kOk, size);
  CHECK(watched.seen.text == "1> GET /a @api.test\n1>.\n1< 200\n1< 'hi'\n1complete\n");
  CHECK_FALSE(watched.observer.http2());
}

TEST_CASE("without ALPN: a method that begins like the preface") {
  Watched watched;
  watched.say(true, "PR", 1);
  CHECK(watched.observer.mid_message());
  watched.say(true, "OPFIND /a HTTP/1.1\r\nHost: h\r\n\r\n", 1);
  CHECK(watched.seen.text == "1> PROPFIND /a @h\n1>.\n");
}

TEST_CASE("without ALPN: HTTP/2, whose origin may speak first") {
  const size_t size = GENERATE(1U, 3U, 4U, 7U, 1000U);
  const bool first = GENERATE(true, false);
  Watched watched;
  const std::string greeting = settings();
  if (first) watched.say(false, greeting, size);
  watched.say(true, kPreface + settings() + request(1, kWholeHead), size);
  if (!first) watched.say(false, greeting, size);
  watched.say(false, response(1, kEndHeaders) + data(1, "hi", kEndStream), size);
  CHECK(watched.observer.http2());
  CHECK(watched.seen.text.find("1< 200\n1< 'hi'\n1complete\n") != std::string::npos);
  CHECK_FALSE(watched.observer.mid_message());
}

TEST_CASE("without ALPN: an origin that speaks first, and no client") {
  Watched watched;
  watched.say(false, "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n", 7);
  watched.observer.origin_ended(true);
  watched.observer.client_ended(true);
  CHECK(watched.seen.text.empty());
  Watched flood;
  flood.say(false, std::string(20'000, 'x'), 1000);
  CHECK(flood.seen.text.starts_with("error malformed\n"));
}

}  // namespace
}  // namespace hm::test
