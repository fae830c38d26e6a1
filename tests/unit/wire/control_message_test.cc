#include "common/wire/control_message.h"

#include <catch2/catch.hpp>

namespace hm::wire {

TEST_CASE("control requests") {
  const auto plain = parse_control_request("hm/1 status");
  REQUIRE(plain);
  CHECK(plain->verb == "status");
  CHECK(plain->arguments.empty());

  const auto line = control_request("ledger-ack", {"upto=5", "x"});
  CHECK(line == "hm/1 ledger-ack upto=5 x");
  const auto parsed = parse_control_request(line + "\r\n");
  REQUIRE(parsed);
  CHECK(parsed->verb == "ledger-ack");
  CHECK(parsed->arguments == std::vector<std::string>{"upto=5", "x"});
  CHECK(parse_control_request("hm/1 a  b ")->arguments == std::vector<std::string>{"b"});

  for (const char* bad :
       {"", "status", "hm/2 status", "hm/1", "hm/1 ", "HM/1 status", "hm/1\tx", "hm/1 a\nb"})
    CHECK(parse_control_request(bad).error().code == Code::malformed);
}

TEST_CASE("answers keep every byte of a value") {
  const std::string odd = "a\nb\r\\n=c \\";
  const std::string text =
      ControlAnswer().add("odd", odd).add("number", -5).add("empty", "").add("odd", "2").text();
  CHECK(text.starts_with("protocol=1\n"));
  const auto fields = ControlFields::parse(text);
  REQUIRE(fields);
  CHECK(fields->number("protocol") == 1);
  CHECK(fields->find("odd") == odd);
  CHECK(fields->number("number") == -5);
  CHECK(fields->find("empty") == "");
  CHECK_FALSE(fields->find("absent"));
  CHECK_FALSE(fields->number("odd"));
  CHECK(fields->all().size() == 5);
}

TEST_CASE("errors are one line") {
  CHECK(ControlAnswer::error("two\nlines") == "error=two\\nlines\n");
  CHECK(ControlFields::parse("error=no\n")->find("error") == "no");
}

TEST_CASE("control answers that are none") {
  CHECK(ControlFields::parse("no equals sign\n").error().code == Code::malformed);
  CHECK(ControlFields::parse("")->all().empty());
  CHECK(ControlFields::parse("a=1")->number("a") == 1);  // the last line end may be missing
  std::string many;
  for (int i = 0; i <= 100'000; ++i) many += "k=v\n";
  CHECK_FALSE(ControlFields::parse(many));
}

TEST_CASE("packed fields keep every byte of a value") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string packed = pack_fields({{"host", "api.openai.com"}, {"odd", all}, {"empty", ""}});
  CHECK(packed.starts_with("host=api.openai.com odd=%00%01"));
  CHECK(packed.find('\n') == std::string::npos);
  const auto fields = unpack_fields(packed);
  REQUIRE(fields.size() == 3);
  CHECK(fields[0] == std::pair<std::string, std::string>{"host", "api.openai.com"});
  CHECK(fields[1].second == all);
  CHECK(fields[2].second.empty());
  CHECK(unpack_fields("  nonsense a=1 b=%zz%4").size() == 2);
}

}  // namespace hm::wire
