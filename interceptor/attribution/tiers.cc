#include "interceptor/attribution/tiers.h"

#include <algorithm>
#include <array>
#include <vector>

#include "interceptor/attribution/git.h"
#include "interceptor/attribution/slug.h"

namespace hm::attribution {
namespace {

constexpr size_t kMaxRcfile = 64 * 1024;

using Slug = std::optional<std::string>;

// Everything a tier may look at; what several need is found once.
struct Case {
  const ClientFacts& facts;
  const FileView& files;
  std::vector<std::filesystem::path> upward;
  std::optional<std::filesystem::path> repository;
};

Slug from_environment(const Case& from) {
  return parse_slug(from.facts.project);
}

Slug from_rcfile(const Case& from) {
  for (const std::filesystem::path& folder : from.upward)
    if (const auto text = from.files.read(folder / ".haltonrc", kMaxRcfile))
      return parse_rcfile(*text);  // the nearest decides, even when it is malformed
  return std::nullopt;
}

Slug from_git(const Case& from) {
  if (!from.repository) return std::nullopt;
  return slug_from_name(from.repository->filename().string());
}

Slug from_working_folder(const Case& from) {
  if (from.upward.empty()) return std::nullopt;
  return slug_from_name(from.upward.front().filename().string());
}

struct Tier {
  const char* name;
  Slug (*find)(const Case& from);
};

constexpr std::array<Tier, 4> kTiers{{{"env", from_environment},
                                      {"rcfile", from_rcfile},
                                      {"git", from_git},
                                      {"workdir", from_working_folder}}};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string_view value_of(std::string_view text) {
  if (text.starts_with('"') || text.starts_with('\'')) {
    const size_t end = text.find(text.front(), 1);
    return end == std::string_view::npos ? std::string_view() : text.substr(1, end - 1);
  }
  return trimmed(text.substr(0, text.find('#')));
}

}  // namespace

std::optional<std::string> parse_rcfile(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    if (trimmed(line.substr(0, equals)) != "project") continue;
    return parse_slug(value_of(trimmed(line.substr(equals + 1))));
  }
  return std::nullopt;
}

Attribution unknown_client(const TagConfig& config) {
  Attribution out;
  out.project = parse_slug(config.default_project).value_or("misc");
  out.tier = "smart_default";
  return out;
}

Attribution resolve(const ClientFacts& facts, const FileView& files, const TagConfig& config) {
  Case from{facts, files, {}, std::nullopt};
  std::filesystem::path home = config.home.lexically_normal();
  if (!home.has_filename() && home.has_relative_path()) home = home.parent_path();
  from.upward = folders_upward(facts.cwd, home, files);
  from.repository = git_folder(from.upward, home, files);

  Attribution out = unknown_client(config);
  out.client_name = facts.name;
  out.client_pid = facts.pid;
  out.cwd = facts.cwd;
  out.run_id = facts.run_id;
  if (from.repository) out.git_branch = git_branch(*from.repository, files);
  for (const Tier& tier : kTiers) {
    if (Slug slug = tier.find(from)) {
      out.project = std::move(*slug);
      out.tier = tier.name;
      break;
    }
  }
  return out;
}

}  // namespace hm::attribution
