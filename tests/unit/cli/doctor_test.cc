// Checks that need a world that cannot be made for real here: another time, little memory. And what
// leaves the machine with `doctor --bundle`.
#include <catch2/catch.hpp>
#include <cstring>

#include "cli/checks/check.h"
#include "cli/lock_holders.h"
#include "cli/redact.h"
#include "cli/support_bundle.h"
#include "interceptor/pricing/rate_card.h"
#include "tests/unit/cli/cli_fixture.h"

using namespace hm::cli;

namespace {

struct SetClock final : hm::Clock {
  int64_t wall = 0;
  [[nodiscard]] int64_t wall_us() const override { return wall; }
  [[nodiscard]] int64_t steady_us() const override { return hm::system_clock().steady_us(); }
};

constexpr int64_t kDayUs = int64_t{86'400} * 1'000'000;
constexpr int64_t kMiB = 1024 * 1024;

int64_t card_day_us() {
  const auto day = hm::pricing::parse_day(hm::pricing::RateCard::bundled().card_date());
  return int64_t{day.value_or(0)} * kDayUs;
}

}  // namespace

TEST_CASE_METHOD(CliFixture, "doctor: a clock before this version was made, a card that is old",
                 "[doctor]") {
  SetClock clock;
  context.clock = &clock;
  const auto look = [&](const Check& check) { return check.run(Patient{context}); };
  clock.wall = card_day_us() + kDayUs;
  CHECK(look(kClockCheck).severity == Severity::fine);
  CHECK(look(kRatesCheck).severity == Severity::fine);
  clock.wall = card_day_us() - 3 * kDayUs;
  CHECK(look(kClockCheck).severity == Severity::broken);
  CHECK(look(kClockCheck).next.find("set-ntp") != std::string::npos);
  clock.wall = card_day_us() + 91 * kDayUs;
  CHECK(look(kRatesCheck).severity == Severity::note);
  CHECK(look(kRatesCheck).text.find("91 days") != std::string::npos);

  std::filesystem::create_directories(context.home.root());
  REQUIRE(hm::replace_file(context.home.rates(), "nonsense ["));
  CHECK(look(kRatesCheck).severity == Severity::inconsistent);
}

TEST_CASE("doctor: memory of our processes and of the machine", "[doctor]") {
  CHECK(judge_memory(20 * kMiB, 80 * kMiB, 4000 * kMiB).severity == Severity::fine);
  CHECK(judge_memory(20 * kMiB, 2000 * kMiB, 4000 * kMiB).severity == Severity::inconsistent);
  const Finding little = judge_memory(20 * kMiB, 80 * kMiB, 50 * kMiB);
  CHECK(little.severity == Severity::inconsistent);
  CHECK(little.text.find("available 50 MiB") != std::string::npos);
  CHECK(judge_memory(-1, -1, -1).severity == Severity::skipped);
}

TEST_CASE("doctor: which process is an LLM tool", "[doctor]") {
  struct Case {
    std::vector<std::string> words;
    const char* tool;
  };
  for (const Case& one : {
           Case{{}, ""},
           Case{{"claude"}, "claude"},
           Case{{"/opt/bin/codex", "exec"}, "codex"},
           Case{{"node", "/usr/bin/claude", "-p"}, "claude"},
           Case{{"/usr/bin/node", "--no-warnings=DEP0040", "/usr/bin/gemini"}, "gemini"},
           Case{{"node", "/x/node_modules/@openai/codex/bin/codex.js"}, "codex"},
           Case{{"python3.11", "-m", "aider", "--model", "x"}, "aider"},
           Case{{"/venv/bin/python", "-u", "/venv/bin/aider"}, "aider"},
           Case{{"bun", "run", "opencode"}, "opencode"},
           Case{{"less", "codex"}, ""},
           Case{{"node", "server.js", "claude"}, ""},
           Case{{"python3", "-m"}, ""},
           Case{{"claude-monitor"}, ""},
       }) {
    INFO((one.words.empty() ? std::string("nothing") : one.words.back()));
    CHECK(known_tool(one.words) == one.tool);
  }
}

TEST_CASE("locks of /proc/locks; who waits for one has none", "[doctor]") {
  const auto locks = parse_locks(
      "1: POSIX  ADVISORY  WRITE 4711 fd:01:1234567 120 120\n"
      "1: -> POSIX  ADVISORY  WRITE 4712 fd:01:1234567 120 120\n"
      "2: FLOCK  ADVISORY  READ 9 00:1a:88 0 EOF\nnonsense\n");
  REQUIRE(locks.size() == 2);
  CHECK(locks[0].pid == 4711);
  CHECK(locks[0].major == 0xfd);
  CHECK(locks[0].minor == 1);
  CHECK(locks[0].inode == 1234567);
  CHECK(locks[0].write);
  CHECK_FALSE(locks[1].write);
}

TEST_CASE("what is sent holds no secret, and is still of use", "[redact]") {
  const RedactWords words{"/home/jane", "jane"};
  const auto gone = [&](const std::string& text, const std::string& secret) {
    const std::string told = redact(text, words);
    INFO(told);
    CHECK(told.find(secret) == std::string::npos);
  };
  gone("proxy = \"http://me:hunter2@proxy.corp:3128\"", "hunter2");
  gone("https://a:b@c:d@host/x", "a:b@c:d");
  gone("Authorization: Bearer abc.def-ghi", "abc.def");
  gone("{\"x-api-key\":\"short1\",\"n\":1}", "short1");
  gone("{\"api_key\": \"with \\\" quote9\"}", "quote9");
  gone("HTTP GET /v1?key=AIzaShort&alt=sse", "AIzaShort");
  gone("used sk-ant-api03-abcdefghijk for it", "api03");
  gone("token=ghp_0123456789abcdef", "ghp_");
  gone("left a eyJhbGciOiJIUzI1NiJ9.e30.abc there", "eyJ");
  gone("blob 0123456789abcdef0123456789abcdef0123456789abcdef end", "0123456789abcdef0");
  gone("password = 'it is long'", "long");
  gone("mail jane.doe@example.com", "example.com");
  gone("/home/jane/.halton-meter", "jane");
  gone("the user jane did", "jane");
  gone("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\nx", "AAAA");
  gone("-----BEGIN PRIVATE KEY-----\nBBBB", "BBBB");

  for (const std::string kept :
       {"{\"at\":\"2026-11-24T15:08:23.421642Z\",\"event\":\"intercept.start\",\"call\":"
        "\"c504fbe4b7d6dccd3a0ca2cedbee23dc\"}",
        "port 8081, pid 4711, 100.0 %", "host=api.openai.com input_tokens=12 tokens: 7",
        "/usr/lib/systemd/system/halton-meter.service",
        "id 123e4567-e89b-12d3-a456-426614174000 of it"})
    CHECK(redact(kept, words) == kept);
  CHECK(redact("proxy = \"http://me:x@proxy.corp:3128\"", words) ==
        "proxy = \"http://[redacted]@proxy.corp:3128\"");
  CHECK(redact("/home/jane/a", words) == "~/a");
}

TEST_CASE("an archive that tar reads", "[redact]") {
  const std::string archive =
      tar_archive({{"a.txt", "hello"}, {"b.txt", std::string(512, 'x')}}, 1'700'000'000'000'000);
  CHECK(archive.size() == 512 * (1 + 1 + 1 + 1 + 2));
  CHECK(std::strcmp(archive.c_str(), "a.txt") == 0);
  CHECK(archive.substr(257, 5) == "ustar");
  unsigned sum = 8 * ' ';
  for (size_t i = 0; i < 512; ++i)
    if (i < 148 || i >= 156) sum += static_cast<unsigned char>(archive[i]);
  CHECK(std::stoul(archive.substr(148, 6), nullptr, 8) == sum);
}
