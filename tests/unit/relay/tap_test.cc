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
  [[nodiscard]] int64_t may_begin(std::string_view bytes) const {
    return tap.may_begin(as_bytes(bytes));
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
  CHECK(one.may_begin("POST /v1/chat/completions HTTP/1.1\r\n") == 1);
  one.client("POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\n");
  CHECK(one.may_begin("Content-Length: 4\r\n\r\n") == 0);
  one.client("Content-Length: 4\r\n\r\n");
  CHECK(one.may_begin("{}  ") == 0);  // under way: noted already
  one.client("{}  ");
  one.origin("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
  CHECK(one.may_begin("POST") == 1);  // the next on a kept connection
}

TEST_CASE("what of a client's bytes may begin a call: HTTP/2") {
  using namespace std::string_literals;
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const std::string settings = "\0\0\0\4\0\0\0\0\0"s;
  const std::string headers = "\0\0\1\1\4\0\0\0\1x"s;
  const std::string data = "\0\0\2\0\1\0\0\0\1{}"s;
  const std::string update = "\0\0\4\10\0\0\0\0\0\0\0\1\0"s;
  Fixture two("h2");
  CHECK(two.may_begin(preface + settings + headers) == 1);
  two.client(preface + settings);
  CHECK(two.may_begin(update) == 0);
  CHECK(two.may_begin(update + headers + data + headers) == 2);
  CHECK(two.may_begin(headers + data.substr(0, 10)) == 1);
  CHECK(two.may_begin("\0\0"s) == 0);
  Fixture unnamed("");
  CHECK(unnamed.may_begin(preface + settings + headers + headers) == 2);
}
