#include "interceptor/relay/tap.h"

#include <catch2/catch.hpp>
#include <string>

#include "interceptor/meter/provider_registry.h"

using namespace hm;
using namespace hm::relay;

namespace {

struct NoSink final : RecordSink {
  bool push(CallRecord&& /*record*/) noexcept override { return true; }
  bool push(MissRecord&& /*record*/) noexcept override { return true; }
};

struct Fixture {
  explicit Fixture(std::string_view alpn)
      : tap(*registry.find("api.openai.com", 443), facts, alpn, system_clock(), sink) {}
  [[nodiscard]] bool may_begin(std::string_view bytes) const {
    return tap.may_begin_call(as_bytes(bytes));
  }
  void client(std::string_view bytes) { tap.look(true, as_bytes(bytes)); }
  void origin(std::string_view bytes) { tap.look(false, as_bytes(bytes)); }

  meter::ProviderRegistry registry;
  meter::ConnectionFacts facts;
  NoSink sink;
  Tap tap;
};

}  // namespace

TEST_CASE("what of a client's bytes may begin a call: HTTP/1.1") {
  Fixture one("http/1.1");
  CHECK(one.may_begin("POST /v1/chat/completions HTTP/1.1\r\n"));
  one.client("POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\n");
  CHECK_FALSE(one.may_begin("Content-Length: 4\r\n\r\n"));
  one.client("Content-Length: 4\r\n\r\n");
  CHECK_FALSE(one.may_begin("{}  "));  // under way: noted already
  one.client("{}  ");
  one.origin("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
  CHECK(one.may_begin("POST"));  // the next on a kept connection
}

TEST_CASE("what of a client's bytes may begin a call: HTTP/2") {
  Fixture two("h2");
  two.client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  using namespace std::string_literals;
  CHECK(two.may_begin("\0\0\1\1\5\0\0\0\1x"s));        // HEADERS
  CHECK_FALSE(two.may_begin("\0\0\4\10\0\0\0\0\0"s));  // WINDOW_UPDATE
  CHECK_FALSE(two.may_begin("\0\0"s));
}
