#include "cli/client_env.h"

#include <catch2/catch.hpp>

using namespace hm::cli;

namespace {

const ClientPlaces kPlaces{.edge_port = 40001,
                           .bundle = "/h/python/certifi/cacert.pem",
                           .ca_cert = "/h/ca/ca-cert.pem",
                           .python_dir = "/h/python"};

Environment for_run(const Environment& current, const RunTags& tags = {}) {
  return with_variables(current, client_variables(current, kPlaces, tags, Reach::one_command));
}

}  // namespace

TEST_CASE("a command gets proxy, certificates and tags") {
  const Environment env =
      for_run({{"PATH", "/bin"}}, {.project = "shop", .run_id = "some-id", .run_folder = "/r"});
  CHECK(env.at("PATH") == "/bin");
  for (const char* name : {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"})
    CHECK(env.at(name) == "http://127.0.0.1:40001");
  for (const char* name : {"NO_PROXY", "no_proxy"})
    CHECK(env.at(name) == "localhost,127.0.0.1,::1");
  for (const char* name : {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
                           "GIT_SSL_CAINFO", "AWS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"})
    CHECK(env.at(name) == "/h/python/certifi/cacert.pem");
  for (const char* name : {"NODE_EXTRA_CA_CERTS", "CODEX_CA_CERTIFICATE", "DENO_CERT"})
    CHECK(env.at(name) == "/h/ca/ca-cert.pem");
  CHECK(env.at("PYTHONPATH") == "/h/python");
  CHECK(env.at("NODE_USE_ENV_PROXY") == "1");
  CHECK(env.at("HALTON_PROJECT") == "shop");
  CHECK(env.at("HALTON_METER_RUN") == "some-id");
  CHECK(env.at("HALTON_METER_RUN_DIR") == "/r");
}

TEST_CASE("no project is set when none is asked for") {
  CHECK_FALSE(for_run({}).contains("HALTON_PROJECT"));
  CHECK(for_run({{"HALTON_PROJECT", "mine"}}).at("HALTON_PROJECT") == "mine");
}

TEST_CASE("a shell gets the careful selection") {
  const Environment env = with_variables({}, client_variables({}, kPlaces, {}, Reach::shell));
  CHECK(env.contains("HTTPS_PROXY"));
  for (const char* name : {"HTTP_PROXY", "http_proxy", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
                           "DENO_CERT", "HALTON_METER_RUN"})
    CHECK_FALSE(env.contains(name));
}

TEST_CASE("what was there in NO_PROXY stays, and nothing is there twice") {
  CHECK(no_proxy_with_loopback("") == "localhost,127.0.0.1,::1");
  CHECK(no_proxy_with_loopback("corp.example, .lan") ==
        "corp.example,.lan,localhost,127.0.0.1,::1");
  CHECK(no_proxy_with_loopback("LOCALHOST,a,a,,") == "LOCALHOST,a,127.0.0.1,::1");
  CHECK(no_proxy_with_loopback("*") == "*");
  CHECK(for_run({{"no_proxy", "a"}}).at("NO_PROXY") == "a,localhost,127.0.0.1,::1");
  const Environment both = for_run({{"no_proxy", "a"}, {"NO_PROXY", "b"}});
  CHECK(both.at("NO_PROXY") == "b,localhost,127.0.0.1,::1");
  CHECK(both.at("no_proxy") == "a,localhost,127.0.0.1,::1");
  // Twice over changes nothing.
  const Environment once = for_run({{"PYTHONPATH", "/x"}, {"NO_PROXY", "b"}});
  CHECK(for_run(once) == once);
}

TEST_CASE("our certifi comes first on the Python path, once") {
  CHECK(for_run({{"PYTHONPATH", "/a:/b"}}).at("PYTHONPATH") == "/h/python:/a:/b");
  CHECK(for_run({{"PYTHONPATH", "/a:/h/python:/b"}}).at("PYTHONPATH") == "/h/python:/a:/b");
}

TEST_CASE("a proxy for plain http alone stays in charge of it") {
  CHECK(for_run({{"http_proxy", "http://corp:3128"}}).at("http_proxy") == "http://corp:3128");
  CHECK_FALSE(for_run({{"http_proxy", "http://corp:3128"}}).contains("HTTP_PROXY"));
  const Environment same = {{"HTTP_PROXY", "http://corp:3128"},
                            {"HTTPS_PROXY", "http://corp:3128"}};
  CHECK(for_run(same).at("HTTP_PROXY") == "http://127.0.0.1:40001");
}

TEST_CASE("project slugs") {
  CHECK(project_slug("Shop") == "shop");
  CHECK(project_slug("docker:web/a_b-1") == "docker:web/a_b-1");
  for (const char* bad : {"", " ", "a b", "a.b", "caf\xc3\xa9", "a\nb"})
    CHECK_FALSE(project_slug(bad));
  CHECK_FALSE(project_slug(std::string(129, 'a')));
}

TEST_CASE("loopback ports") {
  CHECK(loopback_port("http://127.0.0.1:8081") == 8081);
  CHECK(loopback_port("http://127.0.0.1:8081/") == 8081);
  CHECK(loopback_port("HTTP://LocalHost:8081") == 8081);
  CHECK(loopback_port("127.0.0.1:8081") == 8081);
  for (const char* other : {"", "http://corp:8081", "http://127.0.0.1", "http://127.0.0.1:x",
                            "http://127.0.0.1:99999", "http://u:p@127.0.0.1:8081"})
    CHECK(loopback_port(other) == 0);
}

TEST_CASE("an earlier proxy is found and never taken for ours") {
  const auto found = [](const Environment& env) { return earlier_proxy(env, {8081, 40001}); };
  CHECK(found({}).url.empty());
  CHECK(found({{"HTTPS_PROXY", "http://corp:3128"}}).url == "http://corp:3128");
  CHECK(found({{"HTTPS_PROXY", "corp:3128"}}).url == "http://corp:3128");
  CHECK(found({{"HTTPS_PROXY", "http://a:1"}, {"https_proxy", "http://b:2"}}).url == "http://b:2");
  CHECK(found({{"HTTPS_PROXY", "http://127.0.0.1:8081"}}).url.empty());
  CHECK(found({{"HTTPS_PROXY", "http://127.0.0.1:40001/"}}).url.empty());
  CHECK(found({{"HTTPS_PROXY", "http://127.0.0.1:3128"}}).url == "http://127.0.0.1:3128");
  CHECK(found({{"HTTPS_PROXY", "http://127.0.0.1:8081"}, {"ALL_PROXY", "http://corp:1"}}).url ==
        "http://corp:1");
  CHECK(found({{"HTTP_PROXY", "http://corp:3128"}}).url.empty());
  CHECK_FALSE(found({{"ALL_PROXY", "socks5://corp:1080"}}).supported);
  CHECK_FALSE(found({{"HTTPS_PROXY", "https://corp:443"}}).supported);
  CHECK(found({{"HTTPS_PROXY", "HTTP://corp:443"}}).supported);
}

TEST_CASE("roots of the user's own are kept") {
  const std::vector<ClientPlaces> ours{kPlaces};
  CHECK(earlier_roots({}, ours).empty());
  CHECK(earlier_roots({{"SSL_CERT_FILE", "/corp/roots.pem"}}, ours) ==
        std::vector<std::string>{"/corp/roots.pem"});
  CHECK(earlier_roots({{"SSL_CERT_FILE", kPlaces.bundle.string()},
                       {"NODE_EXTRA_CA_CERTS", "/corp/a.pem"},
                       {"REQUESTS_CA_BUNDLE", "/corp/b.pem"},
                       {"CURL_CA_BUNDLE", "/corp/a.pem"},
                       {"AWS_CA_BUNDLE", "/venv/certifi/cacert.pem"}},
                      ours) == std::vector<std::string>{"/corp/a.pem", "/corp/b.pem"});
  CHECK(earlier_roots({{"SSL_CERT_FILE", kPlaces.bundle.string()}}, ours).empty());
  CHECK(earlier_roots({{"SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"}}, ours).empty());
}

TEST_CASE("export lines survive any value") {
  const Variables variables{{"A", "x y"}, {"B", "it's"}, {"C", "back\\slash $HOME `x`"}};
  CHECK(export_lines(variables, Shell::posix) ==
        "export A='x y'\nexport B='it'\\''s'\nexport C='back\\slash $HOME `x`'\n");
  CHECK(export_lines(variables, Shell::fish) ==
        "set -gx A 'x y';\nset -gx B 'it\\'s';\nset -gx C 'back\\\\slash $HOME `x`';\n");
}
