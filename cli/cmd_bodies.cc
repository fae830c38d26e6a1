#include <array>

#include "cli/command.h"
#include "cli/env_files.h"
#include "cli/json_text.h"
#include "cli/period.h"
#include "cli/period_flags.h"
#include "cli/text.h"
#include "interceptor/store/bodies.h"

namespace hm::cli {
namespace {

std::string size_text(int64_t bytes) {
  if (bytes < 10 * 1024) return thousands(bytes) + " B";
  if (bytes < 10 * 1024 * 1024) return thousands(bytes / 1024) + " KiB";
  return thousands(bytes / (1024 * 1024)) + " MiB";
}

int failed(Context& context, const Error& error) {
  if (error.code != Code::busy) return cannot_read(context, "bodies", error);
  *context.err << "halton-meter bodies: the database is locked by another program; close it, then "
                  "again.\nWhat to do: lsof "
               << shell_quoted(context.home.database().string(), false) << "\n";
  return kNotWell;
}

void print_json(Context& context, const store::BodyStats& stats) {
  JsonText json;
  const auto time = [](const std::optional<int64_t>& at) {
    return at ? std::optional(iso8601_utc(*at)) : std::nullopt;
  };
  json.begin_object();
  json.key("bodies").begin_array();
  for (const store::BodyCount& group : stats.groups)
    json.begin_object()
        .member("project", group.project)
        .member("direction", group.direction)
        .member("count", group.count)
        .member("bytes", group.bytes)
        .member("original_bytes", group.original_bytes)
        .member("truncated", group.truncated)
        .member("redactions", group.redactions)
        .end_object();
  json.end_array();
  json.member("oldest", time(stats.oldest_us)).member("newest", time(stats.newest_us));
  json.member("database_bytes", stats.database_bytes).member("free_bytes", stats.free_bytes);
  *context.out << json.end_object().take();
}

int stats(Context& context, const Flags& flags) {
  auto stats = store::body_stats(context.home.database());
  if (!stats && stats.error().code != Code::not_found) return failed(context, stats.error());
  const store::BodyStats found = stats.value_or(store::BodyStats{});
  if (flags.has("json")) {
    print_json(context, found);
    return kFine;
  }
  if (found.groups.empty()) {
    *context.out << "No bodies are stored.\n";
  } else {
    Table table({{"project"},
                 {"direction"},
                 {"bodies", Align::right},
                 {"size", Align::right},
                 {"cut", Align::right, 1},
                 {"secrets masked", Align::right, 2}});
    for (const store::BodyCount& group : found.groups)
      table.add({printable(group.project), group.direction, thousands(group.count),
                 size_text(group.bytes), thousands(group.truncated), thousands(group.redactions)});
    *context.out << table.text(context.style);
    if (found.oldest_us && found.newest_us)
      *context.out << "From " << local_time(*found.oldest_us) << " to "
                   << local_time(*found.newest_us) << ".\n";
  }
  *context.out << "Database: " << size_text(found.database_bytes) << ", of these "
               << size_text(found.free_bytes) << " free (bodies purge --vacuum gives them back).\n";
  return kFine;
}

int purge(Context& context, const Flags& flags) {
  std::optional<int64_t> before_us;
  if (const auto text = flags.value("older-than")) {
    const auto duration = parse_duration_us(*text);
    if (!duration)
      return usage_error(context, "bodies",
                         "'" + printable(*text) + "' is no duration like 12h or 30d");
    before_us = context.clock->wall_us() - *duration;
  }
  const bool dry = flags.has("dry-run");
  auto purged = store::purge_bodies(context.home.database(), before_us, dry);
  if (!purged && purged.error().code == Code::not_found) purged = store::PurgedBodies{};
  if (!purged) return failed(context, purged.error());
  if (flags.has("json")) {
    JsonText json;
    *context.out << json.begin_object()
                        .member("dry_run", dry)
                        .member("count", purged->count)
                        .member("bytes", purged->bytes)
                        .end_object()
                        .take();
  } else {
    *context.out << thousands(purged->count) << (purged->count == 1 ? " body" : " bodies") << ", "
                 << size_text(purged->bytes) << (dry ? ", would be removed.\n" : ", removed.\n");
  }
  if (!flags.has("vacuum") || dry) return kFine;
  *context.err << "Rewriting the database; rows wait meanwhile ...\n" << std::flush;
  const auto done = store::vacuum(context.home.database());
  if (!done && done.error().code != Code::not_found) return failed(context, done.error());
  return kFine;
}

int run(Context& context, const Flags& flags) {
  const auto& words = flags.operands();
  if (words.size() != 1) return usage_error(context, "bodies", "say stats or purge");
  for (const char* flag : {"older-than", "dry-run", "vacuum"})
    if (words[0] == "stats" && flags.has(flag))
      return usage_error(context, "bodies", "--" + std::string(flag) + " belongs to purge");
  if (words[0] == "stats") return stats(context, flags);
  if (words[0] == "purge") return purge(context, flags);
  return usage_error(context, "bodies", "'" + printable(words[0]) + "' is neither stats nor purge");
}

constexpr std::array kFlags = {
    FlagSpec{"older-than", "TIME", "purge: only those older than 12h, 30d, ..."},
    FlagSpec{"dry-run", "", "purge: only count"},
    FlagSpec{"vacuum", "", "purge: make the file smaller, too (blocks writers meanwhile)"},
    FlagSpec{"json", "", "as one JSON object"},
};

}  // namespace

const Command kBodiesCommand = {
    .name = "bodies",
    .summary = "stored bodies: how much, and remove them",
    .operands = "stats|purge",
    .about =
        "Tells what the database holds of request and response bodies, and removes them. Rows,\n"
        "tokens and cost stay.\n",
    .example = "  halton-meter bodies purge --older-than 30d --vacuum\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
