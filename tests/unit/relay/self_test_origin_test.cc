#include "interceptor/relay/self_test_origin.h"

#include <catch2/catch.hpp>

using hm::relay::self_test_answer;

TEST_CASE("the self-test's answer waits for the whole request", "[selftest]") {
  const std::string request =
      "POST /v1/messages/count_tokens HTTP/1.1\r\nHost: x\r\nx-halton-SELFTEST: 0a1b-2c\r\n"
      "Content-Length: 4\r\n\r\nbody";
  for (size_t cut = 0; cut < request.size(); ++cut)
    CHECK(self_test_answer(std::string_view(request).substr(0, cut)).empty());
  const std::string answer = self_test_answer(request);
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(answer.find("request-id: 0a1b-2c\r\n") != std::string::npos);
  CHECK(answer.ends_with("{\"input_tokens\":1}"));
}

TEST_CASE("what is not the self-test gets a 400, and is not kept without end", "[selftest]") {
  CHECK(self_test_answer("GET / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 400"));
  CHECK(self_test_answer("GET / HTTP/1.1\r\nX-Halton-Selftest: a\r\n b\r\n\r\n")
            .starts_with("HTTP/1.1 "));
  CHECK(self_test_answer("GET / HTTP/1.1\r\nX-Halton-Selftest: \"><\r\n\r\n")
            .starts_with("HTTP/1.1 400"));
  CHECK(self_test_answer(std::string(20'000, 'x')).starts_with("HTTP/1.1 400"));
  CHECK(self_test_answer("POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
            .starts_with("HTTP/1.1 400"));
}
