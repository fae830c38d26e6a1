#include "common/wire/host_match.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace hm::wire {

TEST_CASE("the built-in hosts are metered on port 443 alone, and exactly") {
  const HostTable table;
  CHECK(built_in_hosts().size() >= 6);
  for (const std::string& host : built_in_hosts()) {
    CHECK(table.contains(host, 443));
    CHECK_FALSE(table.contains(host, 80));
    CHECK_FALSE(table.contains("x." + host, 443));
    CHECK_FALSE(table.contains(host.substr(1), 443));
  }
  for (const char* login : {"auth.openai.com", "claude.ai", "console.anthropic.com",
                            "accounts.google.com", "oauth2.googleapis.com"})
    CHECK_FALSE(table.contains(login, 443));
}

TEST_CASE("further hosts, with and without a port") {
  HostTable table;
  CHECK(table.add("LLM.Example.org"));
  CHECK(table.add("local.example.org:8443"));
  CHECK(table.contains("llm.example.org", 443));
  CHECK(table.contains("local.example.org", 8443));
  CHECK_FALSE(table.contains("local.example.org", 443));
  for (const char* bad : {"", ":443", "a:0", "a b", "a:b", "https://a"})
    CHECK_FALSE(table.add(bad));

  CHECK(table.add("llm.example.org:8443"));
  const auto names = table.names();
  CHECK(std::ranges::count(names, "llm.example.org") == 1);
  CHECK(std::ranges::is_sorted(names));
}

}  // namespace hm::wire
