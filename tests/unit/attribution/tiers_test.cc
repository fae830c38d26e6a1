// Slugs, .haltonrc, git and the order of the tiers, over a file system made of a map.
#include "interceptor/attribution/tiers.h"

#include <catch2/catch.hpp>
#include <map>

#include "interceptor/attribution/git.h"
#include "interceptor/attribution/slug.h"

namespace hm::attribution {
namespace {

// Names ending in '/' are folders; all parents exist.
class MapView final : public FileView {
 public:
  explicit MapView(std::map<std::string, std::string> files,
                   std::map<std::string, uint64_t> devices = {})
      : files_(std::move(files)), devices_(std::move(devices)) {}

  [[nodiscard]] Kind kind_of(const std::filesystem::path& path) const override {
    if (files_.contains(path.string())) return Kind::file;
    const auto next = files_.lower_bound(path.string() + "/");
    return next != files_.end() && next->first.starts_with(path.string() + "/") ? Kind::folder
                                                                                : Kind::none;
  }
  [[nodiscard]] std::optional<std::string> read(const std::filesystem::path& path,
                                                size_t max_bytes) const override {
    const auto found = files_.find(path.string());
    if (found == files_.end() || found->second.size() > max_bytes) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] std::optional<uint64_t> device_of(
      const std::filesystem::path& folder) const override {
    const auto found = devices_.find(folder.string());
    return found == devices_.end() ? 1 : found->second;
  }

 private:
  std::map<std::string, std::string> files_;
  std::map<std::string, uint64_t> devices_;
};

TEST_CASE("slugs that somebody wrote") {
  using Row = std::pair<std::string, std::string>;  // empty: refused
  const auto [text, slug] = GENERATE(values<Row>({{"shop", "shop"},
                                                  {"  Shop-2_b:x/y \n", "shop-2_b:x/y"},
                                                  {"", ""},
                                                  {"   ", ""},
                                                  {"my project", ""},
                                                  {"a.b", ""},
                                                  {"--", ""},
                                                  {"caf\xc3\xa9", ""},
                                                  {std::string(100, 'a'), std::string(100, 'a')},
                                                  {std::string(101, 'a'), ""},
                                                  {std::string("a\0b", 3), ""}}));
  CAPTURE(text);
  CHECK(parse_slug(text).value_or("") == slug);
}

TEST_CASE("slugs from names of folders") {
  using Row = std::pair<std::string, std::string>;
  const auto [name, slug] = GENERATE(values<Row>({{"shop", "shop"},
                                                  {"My Project (2)", "my-project-2"},
                                                  {"my.site.example", "my-site-example"},
                                                  {".config", "config"},
                                                  {"a_b", "a_b"},
                                                  {"docker:x", "docker-x"},
                                                  {"caf\xc3\xa9 bar", "caf-bar"},
                                                  {"...", ""},
                                                  {"___", ""},
                                                  {"", ""},
                                                  {std::string(300, 'x'), std::string(100, 'x')}}));
  CAPTURE(name);
  CHECK(slug_from_name(name).value_or("") == slug);
}

TEST_CASE("rc files are read leniently") {
  using Row = std::pair<std::string, std::string>;
  const auto [text, slug] =
      GENERATE(values<Row>({{"project = \"shop\"\n", "shop"},
                            {"project=shop", "shop"},
                            {"# project = no\r\n\r\n  project\t=  'Shop' # yes\r\n", "shop"},
                            {"project = shop # why\n", "shop"},
                            {"[tagging]\nother = 1\nproject = \"a/b\"\n", "a/b"},
                            {"\xef\xbb\xbfproject=shop\n", "shop"},
                            {"project = first\nproject = second\n", "first"},
                            {"project = \"two words\"\n", ""},
                            {"project = \"open\n", ""},
                            {"project =\n", ""},
                            {"projects = shop\nproject\n", ""},
                            {"", ""},
                            {"project = \"a#b\"", ""}}));
  CAPTURE(text);
  CHECK(parse_rcfile(text).value_or("") == slug);
}

struct Story {
  const char* title;
  std::map<std::string, std::string> files;
  std::string environment;
  std::string cwd;
  std::string project;
  std::string tier;
  std::string branch;
};

TEST_CASE("the first tier with an answer wins") {
  const std::string head = "ref: refs/heads/main\n";
  const Story story = GENERATE_COPY(values<Story>({
      {"environment before all",
       {{"/home/u/shop/.haltonrc", "project=rc"}, {"/home/u/shop/.git/HEAD", head}},
       "From-Env",
       "/home/u/shop",
       "from-env",
       "env",
       "main"},
      {"malformed environment is no answer",
       {{"/home/u/shop/.haltonrc", "project=rc"}},
       "not a slug",
       "/home/u/shop",
       "rc",
       "rcfile",
       ""},
      {"rc file above",
       {{"/home/u/.haltonrc", "project=rc"}},
       "",
       "/home/u/a/b",
       "rc",
       "rcfile",
       ""},
      {"the nearest rc file decides",
       {{"/home/u/.haltonrc", "project=far"}, {"/home/u/a/.haltonrc", "project=near"}},
       "",
       "/home/u/a/b",
       "near",
       "rcfile",
       ""},
      {"a malformed rc file is no answer",
       {{"/home/u/.haltonrc", "project=far"}, {"/home/u/a/.haltonrc", "project=?"}},
       "",
       "/home/u/a/b",
       "b",
       "workdir",
       ""},
      {"git",
       {{"/home/u/My Shop/.git/HEAD", "ref: refs/heads/feature/x\n"}},
       "",
       "/home/u/My Shop/src/deep",
       "my-shop",
       "git",
       "feature/x"},
      {"the nearest repository",
       {{"/home/u/a/.git/HEAD", head}, {"/home/u/a/sub/.git/HEAD", "ref: refs/heads/dev"}},
       "",
       "/home/u/a/sub",
       "sub",
       "git",
       "dev"},
      {"a worktree",
       {{"/home/u/tree/.git", "gitdir: /home/u/a/.git/worktrees/tree\n"},
        {"/home/u/a/.git/worktrees/tree/HEAD", "ref: refs/heads/wt\n"}},
       "",
       "/home/u/tree/x",
       "tree",
       "git",
       "wt"},
      {"a submodule with a relative pointer",
       {{"/home/u/a/lib/.git", "gitdir: ../.git/modules/lib\r\n"},
        {"/home/u/a/.git/modules/lib/HEAD", head}},
       "",
       "/home/u/a/lib",
       "lib",
       "git",
       "main"},
      {"detached",
       {{"/home/u/a/.git/HEAD", "0123456789012345678901234567890123456789\n"}},
       "",
       "/home/u/a",
       "a",
       "git",
       ""},
      {"reftable",
       {{"/home/u/a/.git/HEAD", "ref: refs/heads/.invalid\n"}},
       "",
       "/home/u/a",
       "a",
       "git",
       ""},
      {"a repository in home is none",
       {{"/home/u/.git/HEAD", head}},
       "",
       "/home/u/notes",
       "notes",
       "workdir",
       ""},
      {"nothing above home counts",
       {{"/home/.git/HEAD", head}, {"/home/.haltonrc", "project=no"}},
       "",
       "/home/u/notes",
       "notes",
       "workdir",
       ""},
      {"outside home up to the root",
       {{"/.haltonrc", "project=root"}},
       "",
       "/srv/app",
       "root",
       "rcfile",
       ""},
      {"working folder", {}, "", "/srv/Some App/", "some-app", "workdir", ""},
      {"root folder", {}, "", "/", "house", "smart_default", ""},
      {"no working folder", {}, "", "", "house", "smart_default", ""},
      {"a relative one is none", {}, "", "x/y", "house", "smart_default", ""},
  }));
  CAPTURE(story.title);
  const MapView files(story.files);
  ClientFacts facts;
  facts.pid = 42;
  facts.name = "claude";
  facts.run_id = "r1";
  facts.cwd = story.cwd;
  facts.project = story.environment;
  const Attribution found = resolve(facts, files, {"House", "/home/u/"});
  CHECK(found.project == story.project);
  CHECK(found.tier == story.tier);
  CHECK(found.git_branch == story.branch);
  CHECK(found.client_pid == 42);
  CHECK(found.client_name == "claude");
  CHECK(found.run_id == "r1");
  CHECK(found.cwd == story.cwd);
}

TEST_CASE("climbing is bounded") {
  SECTION("by depth") {
    std::string deep;
    for (int i = 0; i < 200; ++i) deep += "/d";
    CHECK(folders_upward(deep, "", MapView({})).size() == 64);
  }
  SECTION("by the file system's border") {
    const MapView files({{"/mnt/.git/HEAD", ""}}, {{"/mnt/disk", 2}, {"/mnt/disk/a", 2}});
    const auto upward = folders_upward("/mnt/disk/a", "", files);
    REQUIRE(upward.size() == 2);
    CHECK(upward.back() == "/mnt/disk");
  }
  SECTION("by home") {
    CHECK(folders_upward("/home/u/a", "/home/u", MapView({})).back() == "/home/u");
  }
}

TEST_CASE("a broken default falls back to misc") {
  CHECK(unknown_client({"not a slug", {}}).project == "misc");
  CHECK(unknown_client({"Team", {}}).project == "team");
  CHECK(unknown_client({}).tier == "smart_default");
}

}  // namespace
}  // namespace hm::attribution
