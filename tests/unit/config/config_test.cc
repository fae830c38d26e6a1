#include "common/config/config.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <set>

#include "common/config/last_good.h"
#include "tests/support/temp_folder.h"

namespace hm::config {
namespace {

using hm::test::TempFolder;

bool mentions(const Loaded& loaded, std::string_view part) {
  return std::ranges::any_of(loaded.warnings, [part](const std::string& warning) {
    return warning.find(part) != std::string::npos;
  });
}

}  // namespace

TEST_CASE("without a file there are defaults, in silence") {
  const Loaded loaded = load("/nonexistent/config.toml");
  CHECK(loaded.warnings.empty());
  CHECK(loaded.config.daemon.edge_port == 8081);
  CHECK(loaded.config.daemon.internal_port == 8090);
  CHECK(loaded.config.daemon.api_port == 8765);
  CHECK(loaded.config.edge.ask_limit_ms == 300);
  CHECK(loaded.config.tagging.default_project == "misc");
  CHECK(loaded.config.cors.allow_origins == std::vector<std::string>{"http://localhost:3000"});
}

TEST_CASE("every section is read") {
  const Loaded loaded = parse(R"(
[daemon]
edge_port = 8181
internal_port = 8190
api_port = 8865
[upstream]
proxy = "http://user:p%40ss@proxy.example.org:3128"
no_proxy = [".example.org", "10.0.0.1"]
ca_file = "/etc/ca.pem"
[upstream.connect_to]
"api.openai.com:443" = "127.0.0.1:9443"
[edge]
connect_timeout_ms = 5000
ask_limit_ms = 50
first_answer_limit_ms = 700
head_timeout_ms = 900
knock_open_ms = 100
knock_closed_ms = 50
max_connections = 16
drain_ms = 0
[intercept]
max_sessions = 7
decoded_limit_mib = 1
[tagging]
default_project = "team/app"
[log]
level = "debug"
max_bytes = 65536
[cors]
allow_origins = []
[cloud]
enabled = true
base_url = 5
[capture]
bodies = false
[[provider]]
name = "mistral"
host = "api.mistral.ai"
shape = "openai"
path = "/v1/"
rates = "mistral"
)",
                              "config.toml");
  CHECK(loaded.warnings.empty());
  const Config& config = loaded.config;
  CHECK(config.daemon.edge_port == 8181);
  CHECK(config.daemon.internal_port == 8190);
  CHECK(config.daemon.api_port == 8865);
  CHECK(config.upstream.no_proxy == std::vector<std::string>{".example.org", "10.0.0.1"});
  CHECK(config.upstream.ca_file == "/etc/ca.pem");
  CHECK(config.upstream.connect_to.at("api.openai.com:443") == "127.0.0.1:9443");
  CHECK(config.edge.connect_timeout_ms == 5000);
  CHECK(config.edge.ask_limit_ms == 50);
  CHECK(config.edge.first_answer_limit_ms == 700);
  CHECK(config.edge.head_timeout_ms == 900);
  CHECK(config.edge.knock_open_ms == 100);
  CHECK(config.edge.knock_closed_ms == 50);
  CHECK(config.edge.max_connections == 16);
  CHECK(config.edge.drain_ms == 0);
  CHECK(config.intercept.max_sessions == 7);
  CHECK(config.intercept.decoded_limit_mib == 1);
  CHECK(config.tagging.default_project == "team/app");
  CHECK(config.log.level == "debug");
  CHECK(config.log.max_bytes == 65536);
  CHECK(config.cors.allow_origins.empty());
  REQUIRE(config.providers.size() == 1);
  CHECK(config.providers[0].name == "mistral");
  CHECK(config.providers[0].host == "api.mistral.ai");
  CHECK(config.providers[0].shape == "openai");
  CHECK(config.providers[0].path == "/v1");
  CHECK(config.providers[0].rates == "mistral");
}

TEST_CASE("a bad value is its default and one warning; its neighbours are read") {
  struct Case {
    const char* text;
    const char* key;
  };
  const auto [text, key] =
      GENERATE(Case{"[daemon]\nedge_port = 0\n", "daemon.edge_port"},
               Case{"[daemon]\nedge_port = 65536\n", "daemon.edge_port"},
               Case{"[daemon]\nedge_port = \"8081\"\n", "daemon.edge_port"},
               Case{"[daemon]\nedge_port = 80.5\n", "daemon.edge_port"},
               Case{"[edge]\nask_limit_ms = -1\n", "edge.ask_limit_ms"},
               Case{"[upstream]\nproxy = \"socks://a:1\"\n", "upstream.proxy"},
               Case{"[upstream]\nno_proxy = [1]\n", "upstream.no_proxy"},
               Case{"[upstream]\nca_file = []\n", "upstream.ca_file"},
               Case{"[upstream]\nconnect_to = 5\n", "upstream.connect_to"},
               Case{"[upstream.connect_to]\n\"a:1\" = \"b:2\"\nx = 5\n", "upstream.connect_to"},
               Case{"[tagging]\ndefault_project = \"No Slug\"\n", "tagging.default_project"},
               Case{"[log]\nlevel = \"loud\"\n", "log.level"});
  INFO(text);
  const Loaded loaded = parse(std::string(text) + "[cors]\nallow_origins = [\"http://a\"]\n", "c");
  REQUIRE(loaded.warnings.size() == 1);
  CHECK(mentions(loaded, key));
  CHECK(mentions(loaded, "c:"));
  const Config defaults;
  CHECK(loaded.config.daemon.edge_port == defaults.daemon.edge_port);
  CHECK(loaded.config.edge.ask_limit_ms == defaults.edge.ask_limit_ms);
  CHECK(loaded.config.upstream.proxy.empty());
  CHECK(loaded.config.upstream.no_proxy.empty());
  CHECK(loaded.config.upstream.ca_file.empty());
  CHECK(loaded.config.upstream.connect_to.empty());
  CHECK(loaded.config.tagging.default_project == "misc");
  CHECK(loaded.config.log.level == "info");
  CHECK(loaded.config.cors.allow_origins == std::vector<std::string>{"http://a"});
}

TEST_CASE("an unknown key is a warning with the nearest known one") {
  const Loaded loaded =
      parse("[daemon]\nedge_prot = 1\n[egde]\nask_limit_ms = 5\nstray = 1\n", "c");
  CHECK(loaded.warnings.size() == 3);
  CHECK(mentions(loaded, "unknown key daemon.edge_prot (nearest: daemon.edge_port)"));
  CHECK(mentions(loaded, "unknown key egde.ask_limit_ms (nearest: edge.ask_limit_ms)"));
  CHECK(mentions(parse("stray = 1\n", "c"), "unknown key stray"));
}

TEST_CASE("a file that does not parse is all defaults and one warning") {
  for (const std::string& text :
       {std::string("[daemon\n"), std::string("edge_port"), std::string("\x00\x01", 2),
        std::string("[daemon]\nedge_port = 1\nedge_port = 2\n"), std::string("\xff\xfe\xff")}) {
    const Loaded loaded = parse("[tagging]\ndefault_project = \"x\"\n" + text, "c.toml");
    INFO(text);
    REQUIRE(loaded.warnings.size() == 1);
    CHECK(mentions(loaded, "c.toml:"));
    CHECK(loaded.config.tagging.default_project == "misc");
  }
}

TEST_CASE("incomplete providers are left out, with a warning") {
  const Loaded loaded = parse(R"(
[[provider]]
name = "half"
[[provider]]
name = "odd"
host = "API.Example.com:8443"
shape = "openai"
colour = "red"
)",
                              "c");
  CHECK(loaded.warnings.size() == 2);
  REQUIRE(loaded.config.providers.size() == 1);
  CHECK(loaded.config.providers[0].name == "odd");
  CHECK(loaded.config.providers[0].host == "api.example.com:8443");
  CHECK(loaded.config.providers[0].rates == "odd");
  CHECK(parse("provider = 5\n", "c").warnings.size() == 1);
}

TEST_CASE("a provider that cannot be used is left out; the warning names what could be") {
  struct Row {
    const char* line;
    const char* word;
  };
  const auto [line, word] = GENERATE(values<Row>({
      {R"(shape = "soap")", "openai, anthropic and gemini"},
      {R"(host = "https://api.example.com")", "without https://"},
      {R"(host = "http://127.0.0.1:11434")", "without TLS"},
      {R"(host = "*.openai.azure.com")", "one exact name"},
      {R"(host = "10.0.0.1")", "one exact name"},
      {R"(host = "[::1]")", "one exact name"},
      {R"(host = "api.example.com:0")", "one exact name"},
      {R"(host = "api.example.com.")", "one exact name"},
      {R"(host = "a..b")", "one exact name"},
      {R"(host = "auth.openai.com")", "login host"},
      {R"(host = "Accounts.Google.com:443")", "login host"},
      {R"(name = "My Provider")", "name"},
      {R"(rates = "x y")", "rates"},
      {R"(path = "openai/v1")", "path"},
      {R"(path = "/v1?x=1")", "path"},
      {R"(path = "/d/{model")", "path"},
  }));
  CAPTURE(line);
  std::string text = "[[provider]]\n";
  for (const char* given :
       {R"(name = "one")", R"(host = "api.example.com")", R"(shape = "openai")"}) {
    const std::string_view key = std::string_view(given).substr(0, 4);
    text += std::string(std::string_view(line).starts_with(key) ? line : given) + "\n";
  }
  if (std::string_view(line).starts_with("rates") || std::string_view(line).starts_with("path"))
    text += std::string(line) + "\n";
  text += "[[provider]]\nname = \"two\"\nhost = \"api.groq.com\"\nshape = \"openai\"\n";
  const Loaded loaded = parse(text, "c.toml");
  REQUIRE(loaded.warnings.size() == 1);
  CHECK(mentions(loaded, word));
  REQUIRE(loaded.config.providers.size() == 1);
  CHECK(loaded.config.providers[0].name == "two");
}

TEST_CASE("the page of the configuration names every key as the code has it") {
  std::ifstream in(std::string(HM_SOURCE_DIR) + "/docs/config.md");
  const std::string page(std::istreambuf_iterator<char>(in), {});
  size_t rows = 0;
  const auto check = [&](const KeyInfo& key) {
    std::string row = "| `" + std::string(key.name) + "` | " + std::string(key.type) + " | ";
    row += key.default_text.empty() ? "" : "`" + std::string(key.default_text) + "`";
    row += " | " + std::string(key.meaning) + " | ";
    row += key.needs_restart ? "`restart` |" : "`reload` |";
    INFO("missing or different: " << row);
    CHECK(page.find(row) != std::string::npos);
    ++rows;
  };
  for (const KeyInfo& key : known_keys()) check(key);
  for (const KeyInfo& key : provider_keys()) check(key);
  size_t on_page = 0;
  for (size_t at = page.find("\n| `"); at != std::string::npos; at = page.find("\n| `", at + 1))
    ++on_page;
  CHECK(on_page == rows);
}

TEST_CASE("two configurations differ by their keys") {
  CHECK(differences({}, {}).empty());
  const auto names = [](const std::string& text) {
    std::vector<std::string> list;
    for (const KeyInfo* key : differences({}, parse(text, "c.toml").config))
      list.emplace_back(key->name);
    return list;
  };
  using Names = std::vector<std::string>;
  CHECK(names("[daemon]\napi_port = 1\n[log]\nlevel = \"warn\"\n[cors]\nallow_origins = []\n") ==
        Names{"daemon.api_port", "log.level", "cors.allow_origins"});
  CHECK(names("[upstream.connect_to]\n\"a:1\" = \"b:2\"\n") == Names{"upstream.connect_to"});
  CHECK(names("[[provider]]\nname = \"x\"\nhost = \"x.test\"\nshape = \"openai\"\n") ==
        Names{"[[provider]]"});
  for (const KeyInfo& key : known_keys())
    CHECK(key.needs_restart == key.name.starts_with("daemon."));
}

TEST_CASE("what cannot be used is a fault, an unknown key is not") {
  CHECK(parse("[log]\ncolour = 1\n", "c.toml").faults.empty());
  CHECK(parse("[log]\nlevel = 1\n", "c.toml").faults ==
        std::vector<std::string>{"c.toml:2: log.level must be a text in quotes"});
  CHECK(parse("[log\n", "c.toml").faults.size() == 1);
  CHECK(parse("[[provider]]\nname = \"x\"\n", "c.toml").faults.size() == 1);
}

TEST_CASE("files: a folder, an oversized one, the environment") {
  const TempFolder folder;
  const Loaded none = load(folder.path());
  CHECK(none.warnings.size() == 1);
  CHECK(none.config.daemon.edge_port == 8081);

  const auto file = folder.path() / "config.toml";
  std::ofstream(file) << "[upstream]\nproxy = \"http://file:1\"\nca_file = \"/file\"\n";
  CHECK(load(file).config.upstream.proxy == "http://file:1");
  ::setenv("HALTON_METER_UPSTREAM_PROXY", "http://run:2", 1);
  ::setenv("HALTON_METER_UPSTREAM_CA_FILE", "/run.pem", 1);
  const Loaded overridden = load(file);
  CHECK(overridden.config.upstream.proxy == "http://run:2");
  CHECK(overridden.config.upstream.ca_file == "/run.pem");
  ::setenv("HALTON_METER_UPSTREAM_PROXY", "nonsense", 1);
  const Loaded refused = load(file);
  CHECK(refused.config.upstream.proxy == "http://file:1");
  CHECK(mentions(refused, "HALTON_METER_UPSTREAM_PROXY"));
  ::unsetenv("HALTON_METER_UPSTREAM_PROXY");
  ::unsetenv("HALTON_METER_UPSTREAM_CA_FILE");

  std::ofstream(file, std::ios::app) << std::string(2'000'000, '#');
  CHECK(load(file).warnings.size() == 1);
}

TEST_CASE("the table of keys is complete, and its defaults are the real ones") {
  std::set<std::string_view> names;
  std::string text;
  for (const KeyInfo& key : known_keys()) {
    INFO(key.name);
    CHECK(names.insert(key.name).second);
    CHECK_FALSE(key.type.empty());
    CHECK_FALSE(key.meaning.empty());
    text += std::string(key.name) + " = " + std::string(key.default_text) + "\n";
  }
  // Written down as they stand, the defaults change nothing and disturb nobody.
  const Loaded loaded = parse(text, "c");
  CHECK(loaded.warnings.empty());
  const Config defaults;
  CHECK(loaded.config.intercept.handshake_timeout_ms == defaults.intercept.handshake_timeout_ms);
  CHECK(loaded.config.intercept.drain_ms == defaults.intercept.drain_ms);
  CHECK(loaded.config.edge.first_answer_limit_ms == defaults.edge.first_answer_limit_ms);
  CHECK(loaded.config.log.max_bytes == defaults.log.max_bytes);
  CHECK(loaded.config.cors.allow_origins == defaults.cors.allow_origins);
}

TEST_CASE("proxy addresses") {
  ProxyAddress address;
  REQUIRE(parse_proxy("http://proxy:3128", address));
  CHECK(address.host == "proxy");
  CHECK(address.port == 3128);
  CHECK(address.basic_auth.empty());
  REQUIRE(parse_proxy("http://user:p%40ss@[::1]:80/", address));
  CHECK(address.host == "::1");
  CHECK(address.port == 80);
  CHECK(address.basic_auth == "dXNlcjpwQHNz");  // user:p@ss
  for (const char* bad :
       {"", "proxy:3128", "https://proxy:1", "http://proxy", "http://:1", "http://proxy:0",
        "http://proxy:65536", "http://proxy:1x", "http://proxy:-1"}) {
    INFO(bad);
    CHECK_FALSE(parse_proxy(bad, address));
  }
}

TEST_CASE("a file with a fault: the last one without is in force") {
  const TempFolder folder;
  const auto file = folder.path() / "config.toml";
  const auto write = [&](const char* text) { std::ofstream(file) << text; };
  const auto port = [&] { return load_in_force(file).config.daemon.edge_port; };
  write("[daemon\n");
  remember(file);  // nothing to remember
  CHECK(port() == 8081);
  CHECK(mentions(load_in_force(file), "defaults"));

  write("[daemon]\nedge_port = 9000\nunheard_of = 1\n");
  remember(file);
  CHECK(port() == 9000);
  for (const char* text : {"[daemon\n", "[daemon]\nedge_port = 'x'\n"}) {
    write(text);
    remember(file);
    CHECK(port() == 9000);
    const Loaded loaded = load_in_force(file);
    CHECK(loaded.faults.size() == 1);
    REQUIRE(loaded.warnings.size() == 1);
    CHECK(mentions(loaded, "config.toml:"));
    CHECK(mentions(loaded, "halton-meter reload"));
  }
  write("[daemon]\nedge_port = 9001\n");
  CHECK(port() == 9001);
  std::filesystem::remove(file);
  CHECK(port() == 8081);
  remember(file);
  write("[daemon\n");
  CHECK(port() == 8081);
}

}  // namespace hm::config
